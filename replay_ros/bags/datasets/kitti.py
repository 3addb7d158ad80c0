"""KITTI odometry: sequences/NN with image_0 to image_3, times.txt and calib.txt; ground truth in poses/NN.txt.

Geiger et al., "Are we ready for Autonomous Driving?", CVPR 2012; formats as in the benchmark's development kit. The
images are rectified. x_i = P_i X projects a point X of the rectified frame of camera 0 (left, gray) into image i. A
pose maps points from the frame of camera 0 at its image to that at the first image.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from perception_common.errors import InputError
from perception_common.geometry import inverse, rigid_fault, transform
from perception_common.tum import Trajectory
from replay_ros.bags.datasets.calibration import unrectified_calibration
from replay_ros.bags.datasets.recording import CameraStream, FrameTiming, Recording
from replay_ros.bags.datasets.rows import read_rows
from replay_ros.bags.datasets.sequences.frames import DEFAULT_START_NS
from replay_ros.bags.datasets.sequences.images import ImageFolder, numbered_images

GRAY_CAMERAS = ("image_0", "image_1")
CAMERAS = ("image_2", "image_0", "image_3", "image_1")  # left before right, colour before gray
# Pose of camera 0, which looks forward, in the base frame: x forward, y left, z up (REP-103). "map" is the base frame
# at the first image.
T_BASE_CAMERA0 = transform(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.zeros(3))


def is_kitti(folder: Path) -> bool:
    """Tell whether a folder is a KITTI odometry sequence."""
    return (folder / "times.txt").is_file() and any((folder / name).is_dir() for name in CAMERAS)


def read_kitti(folder: Path, timing: FrameTiming) -> Recording:
    """Read a sequence.

    Its times begin at 0, which means "no stamp" in ROS, so timing.start_ns (default 1 s) is added. Raises InputError.
    """
    if timing.rate is not None:
        raise InputError(f"{folder} has its times in times.txt: leave the rate out")
    start_ns = DEFAULT_START_NS if timing.start_ns is None else timing.start_ns
    stamps = _read_times(folder / "times.txt", start_ns)
    projections = _read_projections(folder / "calib.txt")
    names = [name for name in CAMERAS if (folder / name).is_dir()]
    cameras = tuple(_camera(folder, name, stamps, projections, start_ns) for name in names)
    truth = _truth_file(folder)
    notes = [] if truth else [f"no poses/{folder.resolve().name}.txt beside sequences/: there are no true poses"]
    if projections is None:
        notes.append("no calib.txt: cameras are uncalibrated, and the true poses are those of the left gray camera")
    return Recording(
        what=f"a KITTI odometry sequence ({', '.join(names)})",
        cameras=cameras,
        poses=None if truth is None else _read_poses(truth, stamps),
        base_frame="base_link",
        notes=tuple(notes),
    )


def _read_times(path: Path, start_ns: int) -> list[int]:
    stamps = [start_ns + row.seconds() for row in read_rows(path, "times file", "seconds")]
    if any(after <= before for before, after in itertools.pairwise(stamps)):
        raise InputError(f"{path}: the times do not ascend; copy the file again")
    return stamps


def _camera(
    folder: Path, name: str, stamps: list[int], projections: dict[str, np.ndarray] | None, start_ns: int
) -> CameraStream:
    """Return the camera whose images are in the folder `name`. stamps: nanoseconds, by the number of the image."""
    images = _images(folder / name, stamps, start_ns)
    calibration, T_base_optical = None, T_BASE_CAMERA0
    if projections is not None:
        P = _projection(folder, projections, name)
        calibration = unrectified_calibration(0, 0, P[:, :3], (0.0,) * 5)
        T_base_optical = T_BASE_CAMERA0 @ _camera0_from_camera(P)
    return CameraStream(
        name=name,
        sequence=images,
        calibration=calibration,
        is_gray=name in GRAY_CAMERAS,
        T_base_optical=T_base_optical,
    )


def _images(folder: Path, stamps: list[int], start_ns: int) -> ImageFolder:
    """Return the images with the stamps of their numbers; images may be missing, so their order is not the index."""
    numbered = numbered_images(folder, example="000000.png")
    last = max(numbered)
    if last >= len(stamps):
        raise InputError(f"{numbered[last]} has no time: times.txt ends at number {len(stamps) - 1}; copy it again")
    return ImageFolder(
        files=tuple(numbered.values()),
        stamps_ns=tuple(stamps[number] for number in numbered),
        timing=f"times from times.txt, from {start_ns / 1e9:g} s",
    )


def _read_projections(path: Path) -> dict[str, np.ndarray] | None:
    """Return P0 to P3, (3, 4) each, by name; None when there is no file."""
    if not path.is_file():
        return None
    found = {}
    for row in read_rows(path, "calibration file", "name value"):
        name = row.cells[0].rstrip(":")
        if name in ("P0", "P1", "P2", "P3"):
            if len(row.cells) != 13:
                raise row.error("is not a row of a name and 12 numbers")
            found[name] = np.array(row.numbers(1)).reshape(3, 4)
    return found


def _projection(folder: Path, projections: dict[str, np.ndarray], camera: str) -> np.ndarray:
    name = f"P{camera[-1]}"
    P = projections.get(name)
    if P is None:
        raise InputError(f"{folder / 'calib.txt'} has no {name}, the projection of {camera}; copy the file again")
    if P[0, 0] <= 0 or P[1, 1] <= 0 or not np.allclose(P[2, :3], [0, 0, 1]):
        raise InputError(
            f"{folder / 'calib.txt'}: {name} is not the projection matrix of a rectified camera; copy the file again"
        )
    return P


def _camera0_from_camera(P: np.ndarray) -> np.ndarray:
    """Return the pose (4, 4) of a camera in camera 0: P = K [I | t] means x_camera = x_camera0 + t."""
    return inverse(transform(np.eye(3), np.linalg.solve(P[:, :3], P[:, 3])))


def _truth_file(folder: Path) -> Path | None:
    name = folder.resolve().name
    places = (folder.resolve().parent.parent / "poses" / f"{name}.txt", folder / "poses.txt", folder / f"{name}.txt")
    return next((place for place in places if place.is_file()), None)


def _read_poses(path: Path, stamps: list[int]) -> Trajectory:
    """Return the poses of the base frame in that of the first image, at the stamps of the images."""
    poses = []
    for row in read_rows(path, "pose file", "r11 r12 r13 x r21 r22 r23 y r31 r32 r33 z"):
        values = row.numbers()
        if len(values) != 12:
            raise row.error("is not a pose: 12 numbers of a 3x4 matrix [R | t] are expected")
        if fault := rigid_fault(np.reshape(values, (3, 4))):
            raise row.error(f"is not a pose: [R | t] {fault}")
        T = np.vstack([np.reshape(values, (3, 4)), [0, 0, 0, 1]])
        poses.append(T_BASE_CAMERA0 @ T @ inverse(T_BASE_CAMERA0))
    if len(poses) > len(stamps):
        raise InputError(f"{path} has {len(poses)} poses for {len(stamps)} times; they belong to different sequences")
    return Trajectory.from_matrices(stamps[: len(poses)], poses)
