"""EuRoC MAV (the "ASL" folders, also those of TUM-VI): mav0 with cam0, cam1, imu0 and the estimated ground truth.

Burri et al., "The EuRoC micro aerial vehicle datasets", IJRR 2016. A sensor.yaml holds T_BS, which maps points from
the sensor's frame to the body's; the frame of a camera is its optical frame. The ground truth is the pose of a sensor
with a T_BS of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from perception_common.errors import InputError
from perception_common.geometry import inverse, matrix_from_quaternion, rigid_fault, transform
from perception_common.text.text_files import read_text
from perception_common.text.yaml_files import MAX_BYTES, parse_yaml
from perception_common.tum import Trajectory
from replay_ros.bags.datasets.calibration import Calibration
from replay_ros.bags.datasets.camera_files import calibration_from_mapping
from replay_ros.bags.datasets.recording import CameraStream, FrameTiming, ImuSamples, Recording
from replay_ros.bags.datasets.rows import read_image_list, read_rows_by_stamp, unit_quaternion

TRUTH_FOLDERS = ("state_groundtruth_estimate0", "mocap0")  # of EuRoC, of TUM-VI
MODELS = {"radial-tangential": "radtan", "radtan": "radtan", "equidistant": "equidistant", "equi": "equidistant"}


def is_euroc(folder: Path) -> bool:
    """Tell whether a folder is a EuRoC sequence, or the mav0 in one."""
    return any(_mav(folder).glob("cam*/data.csv"))


def read_euroc(folder: Path, timing: FrameTiming) -> Recording:
    """Read a sequence: its folder or the mav0 in it. `timing` must be empty. Raises InputError."""
    if timing != FrameTiming():
        raise InputError(f"{folder} has its stamps in data.csv: leave rate and start stamp out")
    mav = _mav(folder)
    cameras = tuple(_camera(path.parent) for path in sorted(mav.glob("cam*/data.csv")))
    if not cameras:
        raise InputError(f"{mav} has no cam0/data.csv; give the folder of a sequence, or the mav0 in it")
    truth = next((mav / name for name in TRUTH_FOLDERS if (mav / name / "data.csv").is_file()), None)
    imu = mav / "imu0"
    return Recording(
        what=f"a EuRoC sequence ({', '.join(camera.name for camera in cameras)})",
        cameras=cameras,
        poses=None if truth is None else _poses(truth),
        base_frame="base_link",
        imu=_imu(imu) if (imu / "data.csv").is_file() else None,
        notes=() if truth else (f"no {' or '.join(TRUTH_FOLDERS)}: there are no true poses",),
    )


def _mav(folder: Path) -> Path:
    return folder / "mav0" if (folder / "mav0").is_dir() else folder


def _camera(folder: Path) -> CameraStream:
    sensor = _sensor(folder)
    images = read_image_list(folder / "data.csv", "list of images", folder / "data", in_seconds=False)
    return CameraStream(
        name=folder.name,
        sequence=images,
        calibration=None if sensor is None or "intrinsics" not in sensor else _calibration(folder, sensor),
        is_gray=True,
        T_base_optical=_base_from_sensor(folder, sensor),
    )


def _calibration(folder: Path, sensor: Mapping[str, Any]) -> Calibration:
    path = folder / "sensor.yaml"
    model = str(sensor.get("distortion_model", "radial-tangential"))
    if str(sensor.get("camera_model", "pinhole")) != "pinhole" or model not in MODELS:
        raise InputError(f"{path}: unknown camera; expected a pinhole with one of {', '.join(MODELS)}")
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
    stamps, rows = read_rows_by_stamp(folder / "data.csv", "ground truth", "stamp x y z qw qx qy qz")
    poses = []
    for row in rows:
        x, y, z, qw, qx, qy, qz = row.numbers(1, 8)
        quaternion = unit_quaternion(row, (qx, qy, qz, qw))
        poses.append(transform(matrix_from_quaternion(quaternion), np.array([x, y, z])) @ T_sensor_base)
    return Trajectory.from_matrices(stamps, poses)


def _imu(folder: Path) -> ImuSamples:
    stamps, rows = read_rows_by_stamp(folder / "data.csv", "IMU samples", "stamp wx wy wz ax ay az")
    values = np.array([row.numbers(1, 7) for row in rows])
    return ImuSamples(
        stamps_ns=np.array(stamps, np.int64),
        rates=values[:, :3],
        accelerations=values[:, 3:],
        T_base_imu=_base_from_sensor(folder, _sensor(folder)),
    )


def _sensor(folder: Path) -> Mapping[str, Any] | None:
    """Return the content of sensor.yaml, or None without one."""
    path = folder / "sensor.yaml"
    if not path.is_file():
        return None
    text = read_text(path, "sensor file", limit=MAX_BYTES)
    try:
        content = parse_yaml(text.removeprefix("%YAML:1.0"))  # OpenCV's header is not valid YAML
    except InputError as error:
        raise InputError(f"{path} is {error}") from error
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds no sensor; copy it again")
    return content


def _base_from_sensor(folder: Path, sensor: Mapping[str, Any] | None) -> np.ndarray:
    """Return T_BS (4, 4); the identity where the file has none."""
    matrix = None if sensor is None else sensor.get("T_BS")
    if matrix is None:
        return np.eye(4)
    try:
        T = np.array(matrix["data"] if isinstance(matrix, Mapping) else matrix, np.float64).reshape(4, 4)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder / 'sensor.yaml'}: T_BS is not a 4x4 pose matrix; copy the file again") from error
    if fault := rigid_fault(T):
        raise InputError(f"{folder / 'sensor.yaml'}: T_BS is not a pose matrix: it {fault}; copy the file again")
    return T
