"""Trajectories as text in the format of the TUM RGB-D benchmark: one line `stamp tx ty tz qx qy qz qw` per pose.

https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats; evo and most SLAM tools read this format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perception_common.atomic_file import output_file
from perception_common.errors import InputError
from perception_common.geometry import matrix_from_quaternion, quaternion_fault, quaternion_from_matrix, transform
from perception_common.text.stamped_table import read_stamped_table

COLUMNS = "stamp tx ty tz qx qy qz qw"


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Poses of a moving frame in a fixed one over time: p_fixed = R p_moving + position.

    stamps_ns: (N,) int64, ascending. positions: (N, 3) float64, metres. orientations: (N, 4) float64, unit quaternions
    (x, y, z, w).
    """

    stamps_ns: np.ndarray
    positions: np.ndarray
    orientations: np.ndarray

    @staticmethod
    def from_matrices(stamps_ns: Sequence[int] | np.ndarray, poses: Sequence[np.ndarray] | np.ndarray) -> Trajectory:
        """Build a trajectory from poses T_fixed_moving (N, 4, 4) at ascending stamps (N,)."""
        matrices = np.asarray(poses, np.float64).reshape(-1, 4, 4)
        orientations = np.array([quaternion_from_matrix(T[:3, :3]) for T in matrices]).reshape(-1, 4)
        return Trajectory(np.asarray(stamps_ns, np.int64), matrices[:, :3, 3].copy(), orientations)

    def matrices(self) -> np.ndarray:
        """Return the poses T_fixed_moving as (N, 4, 4) float64."""
        poses = zip(self.orientations, self.positions, strict=True)
        return np.array([transform(matrix_from_quaternion(q), t) for q, t in poses]).reshape(-1, 4, 4)

    def __len__(self) -> int:
        return len(self.stamps_ns)


def read_tum(path: Path | str) -> Trajectory:
    """Read a TUM text file; the poses are sorted by stamp, and stamps are exact to the nanosecond.

    Raises InputError that names the file and the wrong line or stamp.
    """
    path = Path(path)
    stamps, values = read_stamped_table(path, "pose file", COLUMNS)
    lengths = np.linalg.norm(values[:, 3:], axis=1)
    row = int(np.argmax(np.abs(lengths - 1.0)))
    if fault := quaternion_fault(values[row, 3:]):
        raise InputError(f"pose file {path}: the pose at {stamps[row] / 1e9:.6f} s {fault}; expected {COLUMNS}")
    return Trajectory(stamps, values[:, :3], values[:, 3:] / lengths[:, None])


def write_tum(path: Path | str, trajectory: Trajectory) -> None:
    """Write a trajectory as TUM text without rounding: stamps with nine decimals, numbers with all their digits.

    Raises InputError when the file cannot be written.
    """
    poses = np.hstack([trajectory.positions, trajectory.orientations]).tolist()
    lines = [tum_line(stamp, pose) for stamp, pose in zip(trajectory.stamps_ns.tolist(), poses, strict=True)]
    with output_file(Path(path)) as unfinished:
        unfinished.write_text("".join(lines), encoding="utf-8")


def tum_line(stamp_ns: int, pose: Sequence[float]) -> str:
    """Return the line, with its newline, of a pose (tx, ty, tz, qx, qy, qz, qw)."""
    sign = "-" if stamp_ns < 0 else ""
    seconds, nanoseconds = divmod(abs(stamp_ns), 1_000_000_000)
    return " ".join([f"{sign}{seconds}.{nanoseconds:09d}", *(repr(float(value)) for value in pose)]) + "\n"
