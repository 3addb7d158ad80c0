"""EuRoC MAV (the "ASL" folders, also those of TUM-VI): mav0 with cam0, cam1, imu0 and the estimated ground truth.

Burri et al., "The EuRoC micro aerial vehicle datasets", IJRR 2016. A sensor.yaml holds T_BS, which takes points from
the sensor's frame to the body's; for cameras that is the optical frame. The truth is the pose of its own sensor frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from perception_common.errors import InputError
from perception_common.geometry import inverse, matrix_from_quaternion, transform
from perception_common.text.stamped_table import read_text
from perception_common.tum import Trajectory
from replay_ros.bags.datasets.calibration import Calibration, calibration_from_mapping
from replay_ros.bags.datasets.recording import CameraStream, FrameTiming, ImuSamples, Recording
from replay_ros.bags.datasets.rows import ascending, read_rows, stamped_files, unit_quaternion

TRUTHS = ("state_groundtruth_estimate0", "mocap0")  # the latter is TUM-VI's
MODELS = {"radial-tangential": "radtan", "radtan": "radtan", "equidistant": "equidistant", "equi": "equidistant"}


def is_euroc(folder: Path) -> bool:
    """Tell whether a folder is a sequence of EuRoC, or the mav0 in one."""
    return any(_mav(folder).glob("cam*/data.csv"))


def read_euroc(folder: Path, timing: FrameTiming) -> Recording:
    """Read a sequence: its folder or the mav0 in it. Raises InputError."""
    if timing != FrameTiming():
        raise InputError(f"{folder} has its stamps in data.csv: leave rate and start stamp out")
    mav = _mav(folder)
    cameras = tuple(_camera(path.parent) for path in sorted(mav.glob("cam*/data.csv")))
    if not cameras:
        raise InputError(f"{mav} has no cam0/data.csv; give the folder of a sequence, or the mav0 in it")
    truth = next((mav / name for name in TRUTHS if (mav / name / "data.csv").is_file()), None)
    imu = mav / "imu0"
    return Recording(
        what=f"a EuRoC sequence ({', '.join(camera.name for camera in cameras)})",
        cameras=cameras,
        poses=None if truth is None else _poses(truth),
        base_frame="base_link",
        imu=_imu(imu) if (imu / "data.csv").is_file() else None,
        notes=() if truth else (f"none of {', '.join(TRUTHS)} is there: there is no true pose",),
    )


def _mav(folder: Path) -> Path:
    return folder / "mav0" if (folder / "mav0").is_dir() else folder


def _camera(folder: Path) -> CameraStream:
    sensor = _sensor(folder)
    images = stamped_files(folder / "data.csv", "list of images", folder / "data", in_seconds=False)
    calibration = None if sensor is None or "intrinsics" not in sensor else _calibration(folder, sensor)
    return CameraStream(folder.name, images, calibration, True, _base_from_sensor(folder, sensor))


def _calibration(folder: Path, sensor: Mapping[str, Any]) -> Calibration:
    path = folder / "sensor.yaml"
    model = str(sensor.get("distortion_model", "radial-tangential"))
    if str(sensor.get("camera_model", "pinhole")) != "pinhole" or model not in MODELS:
        raise InputError(f"{path}: unknown camera, a pinhole with one of {', '.join(MODELS)} is expected")
    size = sensor.get("resolution")
    if not isinstance(size, list) or len(size) != 2:
        raise InputError(f"{path}: the resolution is {size!r}, expected [width, height]")
    fields = {
        "K": sensor["intrinsics"],
        "D": sensor.get("distortion_coefficients", []),
        "model": MODELS[model],
        "width": size[0],
        "height": size[1],
    }
    try:
        return calibration_from_mapping(fields)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _poses(folder: Path) -> Trajectory:
    """Return the poses of the body in the world: T_world_body = T_world_sensor T_BS^-1."""
    T_sensor_base = inverse(_base_from_sensor(folder, _sensor(folder)))
    rows = read_rows(folder / "data.csv", "ground truth", "stamp x y z qw qx qy qz")
    stamps = [row.nanoseconds() for row in rows]
    order = list(ascending(rows, stamps))
    poses = []
    for index in order:
        x, y, z, qw, qx, qy, qz = rows[index].numbers(1, 8)
        quaternion = unit_quaternion(rows[index], (qx, qy, qz, qw))
        poses.append(transform(matrix_from_quaternion(quaternion), np.array([x, y, z])) @ T_sensor_base)
    return Trajectory.from_matrices([stamps[index] for index in order], poses)


def _imu(folder: Path) -> ImuSamples:
    rows = read_rows(folder / "data.csv", "IMU samples", "stamp wx wy wz ax ay az")
    stamps = [row.nanoseconds() for row in rows]
    order = list(ascending(rows, stamps))
    values = np.array([rows[index].numbers(1, 7) for index in order])
    return ImuSamples(
        np.array(stamps, np.int64)[order], values[:, :3], values[:, 3:], _base_from_sensor(folder, _sensor(folder))
    )


def _sensor(folder: Path) -> Mapping[str, Any] | None:
    """Return the content of sensor.yaml, or None without one."""
    path = folder / "sensor.yaml"
    if not path.is_file():
        return None
    text = read_text(path, "sensor file").removeprefix("%YAML:1.0")  # OpenCV's heading, which YAML does not know
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError(f"{path} is no valid YAML{f' (line {mark.line + 1})' if mark else ''}") from error
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds no sensor; copy it again")
    return content


def _base_from_sensor(folder: Path, sensor: Mapping[str, Any] | None) -> np.ndarray:
    """Return T_BS (4, 4); the identity where it is not given."""
    matrix = None if sensor is None else sensor.get("T_BS")
    if matrix is None:
        return np.eye(4)
    try:
        T = np.array(matrix["data"] if isinstance(matrix, Mapping) else matrix, np.float64).reshape(4, 4)
        is_pose = np.allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-3) and np.allclose(T[3], [0, 0, 0, 1])
    except (KeyError, TypeError, ValueError):
        is_pose = False
    if not is_pose:
        raise InputError(f"{folder / 'sensor.yaml'}: T_BS is no 4x4 matrix with a rotation in it; copy the file again")
    return T
