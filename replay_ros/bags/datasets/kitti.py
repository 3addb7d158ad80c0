"""KITTI odometry: sequences/NN with image_0 to image_3, times.txt, calib.txt, and the truth in poses/NN.txt.

Geiger et al., "Are we ready for Autonomous Driving?", CVPR 2012; formats as in the benchmark's development kit. The
images are rectified. x_i = P_i X with X in the rectified frame of camera 0 (left, gray); a pose takes points from
that frame at its image to that of the first image.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from perception_common.errors import InputError
from perception_common.geometry import inverse, transform
from perception_common.tum import Trajectory
from replay_ros.bags.datasets.calibration import Calibration
from replay_ros.bags.datasets.recording import CameraStream, FrameTiming, Recording
from replay_ros.bags.datasets.rows import read_rows
from replay_ros.bags.datasets.sequences import DEFAULT_START_NS, IMAGE_SUFFIXES, ImageFolder

CAMERAS = ("image_2", "image_0", "image_3", "image_1")  # left before right, colour before gray
# x forward, y left, z up (REP-103) of a camera that looks forward: the base frame, and "map" at the first image.
T_BASE_CAMERA0 = transform(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.zeros(3))


def is_kitti(folder: Path) -> bool:
    """Tell whether a folder is a sequence of KITTI odometry."""
    return (folder / "times.txt").is_file() and any((folder / name).is_dir() for name in CAMERAS)


def read_kitti(folder: Path, timing: FrameTiming) -> Recording:
    """Read a sequence. Its times begin at 0, which ROS takes for "no stamp": they are counted from timing.start_ns, or
    1 s. Raises InputError.
    """
    if timing.rate is not None:
        raise InputError(f"{folder} has its times in times.txt: leave the rate out")
    start_ns = DEFAULT_START_NS if timing.start_ns is None else timing.start_ns
    stamps = [start_ns + row.seconds() for row in read_rows(folder / "times.txt", "times file", "seconds")]
    if any(after <= before for before, after in itertools.pairwise(stamps)):
        raise InputError(f"{folder / 'times.txt'}: the times do not ascend; copy the file again")
    projections = _read_projections(folder / "calib.txt")
    names = [name for name in CAMERAS if (folder / name).is_dir()]
    cameras = tuple(
        CameraStream(
            name,
            _images(folder / name, stamps, start_ns),
            None if projections is None else _calibration(folder, projections, name),
            is_gray=name in ("image_0", "image_1"),
            T_base_optical=T_BASE_CAMERA0
            if projections is None
            else T_BASE_CAMERA0 @ _camera0_from_camera(_projection(folder, projections, name)),
        )
        for name in names
    )
    truth = _truth_file(folder)
    notes = [] if truth else [f"no poses/{folder.resolve().name}.txt beside sequences/: there is no true pose"]
    if projections is None:
        notes.append("no calib.txt: cameras are uncalibrated, and truth of the left gray camera is taken for all")
    return Recording(
        what=f"a KITTI odometry sequence ({', '.join(names)})",
        cameras=cameras,
        poses=None if truth is None else _read_poses(truth, stamps),
        base_frame="base_link",
        notes=tuple(notes),
    )


def _images(folder: Path, stamps: list[int], start_ns: int) -> ImageFolder:
    """Images by their numbers, which are indices into the times: some may have been left away."""
    numbered = {
        int(file.stem): file
        for file in folder.iterdir()
        if file.suffix.lower() in IMAGE_SUFFIXES and file.stem.isascii() and file.stem.isdigit()
    }
    if not numbered:
        raise InputError(f"{folder} holds no numbered images such as 000000.png; extract them there")
    last = max(numbered)
    if last >= len(stamps):
        raise InputError(f"{numbered[last]} has no time: times.txt ends at number {len(stamps) - 1}; copy it again")
    order = sorted(numbered)
    return ImageFolder(
        tuple(numbered[number] for number in order),
        tuple(stamps[number] for number in order),
        f"times.txt, from {start_ns / 1e9:g} s",
    )


def _read_projections(path: Path) -> dict[str, np.ndarray] | None:
    """Return P0 to P3, (3, 4) each, by name; None without a file."""
    if not path.is_file():
        return None
    found = {}
    for row in read_rows(path, "calibration file", "name value"):
        name = row.cells[0].rstrip(":")
        if name in ("P0", "P1", "P2", "P3"):
            if len(row.cells) != 13:
                raise row.error("row of a name and 12 numbers")
            found[name] = np.array(row.numbers(1)).reshape(3, 4)
    return found


def _projection(folder: Path, projections: dict[str, np.ndarray], camera: str) -> np.ndarray:
    name = f"P{camera[-1]}"
    P = projections.get(name)
    if P is None:
        raise InputError(f"{folder / 'calib.txt'} has no {name}, the projection of {camera}; copy the file again")
    if P[0, 0] <= 0 or P[1, 1] <= 0 or not np.allclose(P[2, :3], [0, 0, 1]):
        raise InputError(f"{folder / 'calib.txt'}: {name} is no projection of a rectified camera; copy the file again")
    return P


def _calibration(folder: Path, projections: dict[str, np.ndarray], camera: str) -> Calibration:
    K = _projection(folder, projections, camera)[:, :3]
    return Calibration(0, 0, "plumb_bob", K, (0.0,) * 5, np.eye(3), np.hstack([K, np.zeros((3, 1))]))


def _camera0_from_camera(P: np.ndarray) -> np.ndarray:
    """Return the pose of a camera in camera 0: P = K [I | t] says x_camera = x_camera0 + t."""
    return inverse(transform(np.eye(3), np.linalg.solve(P[:, :3], P[:, 3])))


def _truth_file(folder: Path) -> Path | None:
    name = folder.resolve().name
    places = (folder.resolve().parent.parent / "poses" / f"{name}.txt", folder / "poses.txt", folder / f"{name}.txt")
    return next((place for place in places if place.is_file()), None)


def _read_poses(path: Path, stamps: list[int]) -> Trajectory:
    """Return the poses of the base frame in that of the first image, at the stamps of the images."""
    poses = []
    for row in read_rows(path, "pose file", "r11 r12 r13 x r21 r22 r23 y r31 r32 r33 z"):
        values = np.array(row.numbers()).reshape(-1, 4)
        T = np.vstack([values, [0, 0, 0, 1]])
        if T.shape != (4, 4) or not np.allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-3):
            raise row.error("pose: 12 numbers with a rotation in them")
        poses.append(T_BASE_CAMERA0 @ T @ inverse(T_BASE_CAMERA0))
    if len(poses) > len(stamps):
        raise InputError(f"{path} has {len(poses)} poses for {len(stamps)} times; they are of different sequences")
    return Trajectory.from_matrices(stamps[: len(poses)], poses)
