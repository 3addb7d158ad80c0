"""Ground truth beside the images of a sequence: camera poses and altitudes, looked up by frame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from perception_common.errors import InputError
from perception_common.geometry import (
    matrix_from_quaternion,
    quaternion_from_matrix,
    rigid_fault,
    so3_exp,
    so3_log,
)
from perception_common.text.json_files import read_json
from perception_common.text.stamped_table import read_stamped_table
from perception_common.tum import Trajectory, read_tum

MAX_GAP_NS = 200_000_000  # no interpolation over a longer gap; empirical
Value = TypeVar("Value")


@dataclass(frozen=True)
class Pose:
    """Pose of the camera's optical frame in the world (p_world = R p_camera + position).

    position: (3,) float64, metres. orientation: (4,) float64, unit quaternion x, y, z, w.
    """

    position: np.ndarray
    orientation: np.ndarray

    @staticmethod
    def from_matrix(T: np.ndarray) -> Pose:
        """Return the pose of a matrix T_world_camera (4, 4)."""
        return Pose(T[:3, 3], quaternion_from_matrix(T[:3, :3]))


@dataclass(frozen=True)
class StampedPoses:
    """Poses over time."""

    trajectory: Trajectory

    def at(self, name: str, stamp_ns: int) -> Pose | None:
        """Return the pose at a stamp, interpolated over a gap of at most MAX_GAP_NS; else None."""
        bracket = _bracket(self.trajectory.stamps_ns, stamp_ns)
        if bracket is None:
            return None
        before, after, fraction = bracket
        positions, orientations = self.trajectory.positions, self.trajectory.orientations
        if before == after:
            return Pose(positions[before], orientations[before])
        position = (1.0 - fraction) * positions[before] + fraction * positions[after]
        return Pose(position, interpolate_rotation(orientations[before], orientations[after], fraction))

    def span(self) -> str:
        """Return the covered time, in words."""
        return _span(self.trajectory.stamps_ns)


@dataclass(frozen=True)
class ByImageName(Generic[Value]):
    """Poses, or heights above ground in metres, by the file name of the image."""

    values: Mapping[str, Value]

    def at(self, name: str, stamp_ns: int) -> Value | None:
        """Return the value of the image `name`, or None."""
        return self.values.get(name)

    def span(self) -> str:
        """Return the covered images, in words."""
        return f"{min(self.values)} to {max(self.values)}"


@dataclass(frozen=True)
class StampedAltitude:
    """Height above ground over time. stamps_ns: (N,) int64, ascending. metres: (N,) float64."""

    stamps_ns: np.ndarray
    metres: np.ndarray

    def at(self, name: str, stamp_ns: int) -> float | None:
        """Return the altitude at a stamp, interpolated over a gap of at most MAX_GAP_NS; else None."""
        bracket = _bracket(self.stamps_ns, stamp_ns)
        if bracket is None:
            return None
        before, after, fraction = bracket
        return float((1.0 - fraction) * self.metres[before] + fraction * self.metres[after])

    def span(self) -> str:
        """Return the covered time, in words."""
        return _span(self.stamps_ns)


@dataclass(frozen=True)
class ConstantAltitude:
    """The same height above ground, in metres, for every image."""

    metres: float

    def at(self, name: str, stamp_ns: int) -> float | None:
        """Return the altitude."""
        return self.metres

    def span(self) -> str:
        """Return the covered images, in words."""
        return "every image"


Poses = StampedPoses | ByImageName[Pose]
Altitude = StampedAltitude | ByImageName[float] | ConstantAltitude


def read_poses(path: Path | str) -> Poses:
    """Read camera poses: a TUM text file (stamp tx ty tz qx qy qz qw) or JSON with poses by file name.

    The JSON holds {"poses": {NAME: {"T_enu_cam": 4x4}}} or {"poses": {NAME: 4x4}}, camera to world.
    Raises InputError that names the file and the line or image.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        return ByImageName({name: _pose_of_entry(path, name, entry) for name, entry in _entries_by_image(path)})
    return StampedPoses(read_tum(path))


def read_altitude(source: str) -> Altitude:
    """Read the height above ground in metres: a number, a table of stamp and altitude, or JSON with poses.

    The table is text with two columns, separated by commas or blanks, with or without a heading. In the JSON,
    {"poses": {NAME: {"exif": {"RelativeAltitude": "+39.80"}}}}, images without an entry have no altitude.
    Raises InputError for a file that cannot be read, and for a number that is not positive.
    """
    try:
        constant = float(source)
    except ValueError:
        return _read_altitude_file(Path(source))
    if not 0.0 < constant < math.inf:
        raise InputError(f"the altitude is {source} m; give one above 0, or a file")
    return ConstantAltitude(constant)


def interpolate_rotation(q0: np.ndarray, q1: np.ndarray, fraction: float) -> np.ndarray:
    """Interpolate spherically (slerp) between unit quaternions x, y, z, w; fraction 0 gives q0, 1 gives q1."""
    R0, R1 = matrix_from_quaternion(q0), matrix_from_quaternion(q1)
    return quaternion_from_matrix(R0 @ so3_exp(fraction * so3_log(R0.T @ R1)))


def _bracket(stamps_ns: np.ndarray, stamp_ns: int) -> tuple[int, int, float] | None:
    """Return the indices before and after a stamp and its fraction between them; None outside and in long gaps."""
    after = int(np.searchsorted(stamps_ns, stamp_ns))
    if after < len(stamps_ns) and int(stamps_ns[after]) == stamp_ns:
        return after, after, 0.0
    if after in (0, len(stamps_ns)):
        return None
    gap = int(stamps_ns[after]) - int(stamps_ns[after - 1])
    if gap > MAX_GAP_NS:
        return None
    return after - 1, after, (stamp_ns - int(stamps_ns[after - 1])) / gap


def _span(stamps_ns: np.ndarray) -> str:
    return f"{stamps_ns[0] / 1e9:.3f} s to {stamps_ns[-1] / 1e9:.3f} s"


def _entries_by_image(path: Path) -> list[tuple[str, Any]]:
    content = read_json(path)
    entries = content.get("poses") if isinstance(content, dict) else None
    if not isinstance(entries, dict) or not entries:
        raise InputError(f'{path} has no "poses"; expected {{"poses": {{IMAGE NAME: {{"T_enu_cam": 4x4}}}}}}')
    return list(entries.items())


def _pose_of_entry(path: Path, name: str, entry: object) -> Pose:
    matrix = entry.get("T_enu_cam") if isinstance(entry, dict) else entry
    try:
        T = np.array(matrix, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: the pose of {name} is not a 4x4 matrix of numbers") from error
    if fault := rigid_fault(T):
        raise InputError(f"{path}: the pose of {name} {fault}; expected camera to world, right-handed")
    return Pose.from_matrix(T)


def _read_altitude_file(path: Path) -> StampedAltitude | ByImageName[float]:
    if path.suffix.lower() == ".json":
        metres: dict[str, float] = {}
        for name, entry in _entries_by_image(path):
            exif = entry.get("exif") if isinstance(entry, dict) else None
            if isinstance(exif, dict) and "RelativeAltitude" in exif:
                metres[name] = _number(path, name, exif["RelativeAltitude"])
        if not metres:
            raise InputError(f"{path}: no image has an exif.RelativeAltitude; give a number or a table of altitudes")
        return ByImageName(metres)
    stamps_ns, values = read_stamped_table(path, "altitude file", "stamp altitude")
    return StampedAltitude(stamps_ns, values[:, 0])


def _number(path: Path, name: str, value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{path}: the RelativeAltitude of {name} is {value!r}, expected a number")
    return number
