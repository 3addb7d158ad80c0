"""What is known about a sequence besides its images: camera poses and altitude, looked up by frame."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np

from perception_common.errors import InputError
from perception_common.geometry import matrix_from_quaternion, quaternion_from_matrix, so3_exp, so3_log

MAX_GAP_NS = 200_000_000  # values further apart than this are not interpolated


@dataclass(frozen=True)
class Pose:
    """Pose of the camera's optical frame in the world (p_world = R p_camera + position).

    position: (3,) float64, metres. orientation: (4,) float64, unit quaternion x, y, z, w.
    """

    position: np.ndarray
    orientation: np.ndarray


@dataclass(frozen=True)
class StampedPoses:
    """A trajectory over time. stamps_ns: (N,) int64, ascending. positions: (N, 3). orientations: (N, 4) x, y, z, w."""

    stamps_ns: np.ndarray
    positions: np.ndarray
    orientations: np.ndarray

    def at(self, name: str, stamp_ns: int) -> Pose | None:
        """Return the pose at a stamp: exact where there is one, interpolated over gaps up to 0.2 s, else None."""
        bracket = _bracket(self.stamps_ns, stamp_ns)
        if bracket is None:
            return None
        before, after, fraction = bracket
        if before == after:
            return Pose(self.positions[before], self.orientations[before])
        position = (1.0 - fraction) * self.positions[before] + fraction * self.positions[after]
        return Pose(position, interpolate_rotation(self.orientations[before], self.orientations[after], fraction))

    def span(self) -> str:
        """Say which time is covered."""
        return f"{self.stamps_ns[0] / 1e9:.3f} s to {self.stamps_ns[-1] / 1e9:.3f} s"


@dataclass(frozen=True)
class NamedPoses:
    """Poses by the file name of the image."""

    poses: Mapping[str, Pose]

    def at(self, name: str, stamp_ns: int) -> Pose | None:
        """Return the pose of the image `name`, or None."""
        return self.poses.get(name)

    def span(self) -> str:
        """Say which images are covered."""
        return f"{min(self.poses)} to {max(self.poses)}"


@dataclass(frozen=True)
class StampedAltitude:
    """Height above ground over time. stamps_ns: (N,) int64, ascending. metres: (N,) float64."""

    stamps_ns: np.ndarray
    metres: np.ndarray

    def at(self, name: str, stamp_ns: int) -> float | None:
        """Return the altitude at a stamp: exact where there is one, interpolated over gaps up to 0.2 s, else None."""
        bracket = _bracket(self.stamps_ns, stamp_ns)
        if bracket is None:
            return None
        before, after, fraction = bracket
        return float((1.0 - fraction) * self.metres[before] + fraction * self.metres[after])

    def span(self) -> str:
        """Say which time is covered."""
        return f"{self.stamps_ns[0] / 1e9:.3f} s to {self.stamps_ns[-1] / 1e9:.3f} s"


@dataclass(frozen=True)
class NamedAltitude:
    """Height above ground in metres by the file name of the image."""

    metres: Mapping[str, float]

    def at(self, name: str, stamp_ns: int) -> float | None:
        """Return the altitude of the image `name`, or None."""
        return self.metres.get(name)

    def span(self) -> str:
        """Say which images are covered."""
        return f"{min(self.metres)} to {max(self.metres)}"


@dataclass(frozen=True)
class ConstantAltitude:
    """The same height above ground, in metres, for every image."""

    metres: float

    def at(self, name: str, stamp_ns: int) -> float | None:
        """Return the altitude."""
        return self.metres

    def span(self) -> str:
        """Say which images are covered."""
        return "every image"


def read_poses(path: Path | str) -> StampedPoses | NamedPoses:
    """Read camera poses: a TUM text file (stamp tx ty tz qx qy qz qw) or JSON with poses by file name.

    The JSON holds {"poses": {NAME: {"T_enu_cam": 4x4}}} or {"poses": {NAME: 4x4}}, camera to world.
    Raises InputError that names the file and the line or image at fault.
    """
    path = Path(path)
    text = _read_text(path, "pose file")
    if path.suffix.lower() == ".json":
        return NamedPoses({name: _pose_of_entry(path, name, entry) for name, entry in _poses_entries(path, text)})
    table = _read_table(path, text, 8, "stamp tx ty tz qx qy qz qw")
    stamps = np.array([row[0] for row in table], np.int64)
    values = np.array([row[1:] for row in table], np.float64)
    lengths = np.linalg.norm(values[:, 3:], axis=1)
    if np.any(np.abs(lengths - 1.0) > 0.01):
        worst = int(np.argmax(np.abs(lengths - 1.0)))
        raise InputError(
            f"pose file {path}: the quaternion at {stamps[worst] / 1e9:.6f} s has length {lengths[worst]:.3f}, not 1; "
            "expected stamp tx ty tz qx qy qz qw"
        )
    return StampedPoses(stamps, values[:, :3], values[:, 3:] / lengths[:, None])


def read_altitude(source: str) -> StampedAltitude | NamedAltitude | ConstantAltitude:
    """Read the height above ground in metres: a number, a table of stamp and altitude, or JSON with poses.

    The table is text with two columns, separated by commas or blanks, with or without a heading. In the JSON,
    {"poses": {NAME: {"exif": {"RelativeAltitude": "+39.80"}}}}, images without an entry have no altitude.
    Raises InputError for a file that cannot be read and for a constant that is not positive.
    """
    try:
        constant = float(source)
    except ValueError:
        return _read_altitude_file(Path(source))
    if not 0.0 < constant < math.inf:
        raise InputError(f"the altitude is {source} m; give one above 0, or a file")
    return ConstantAltitude(constant)


def interpolate_rotation(q0: np.ndarray, q1: np.ndarray, fraction: float) -> np.ndarray:
    """Turn from the orientation q0 to q1 (x, y, z, w) about one axis at constant speed; 0 gives q0, 1 gives q1."""
    R0, R1 = matrix_from_quaternion(q0), matrix_from_quaternion(q1)
    return quaternion_from_matrix(R0 @ so3_exp(fraction * so3_log(R0.T @ R1)))


def _bracket(stamps_ns: np.ndarray, stamp_ns: int) -> tuple[int, int, float] | None:
    """Return the indices around a stamp and how far it lies between them, or None outside and in wide gaps."""
    after = int(np.searchsorted(stamps_ns, stamp_ns))
    if after < len(stamps_ns) and int(stamps_ns[after]) == stamp_ns:
        return after, after, 0.0
    if after in (0, len(stamps_ns)):
        return None
    gap = int(stamps_ns[after]) - int(stamps_ns[after - 1])
    if gap > MAX_GAP_NS:
        return None
    return after - 1, after, (stamp_ns - int(stamps_ns[after - 1])) / gap


def _read_text(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{what} {path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{what} {path} cannot be read as text") from error


def _read_table(path: Path, text: str, columns: int, header: str) -> list[tuple[float, ...]]:
    """Return rows of numbers, sorted; the first of each row is its stamp as an exact int of nanoseconds."""
    rows: list[tuple[float, ...]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        cells = [cell for cell in re.split(r"[,;\s]+", line.strip()) if cell]
        if not cells or cells[0].startswith("#"):
            continue
        try:
            stamp_ns = int(np.int64(int(Decimal(cells[0]).scaleb(9).to_integral_value())))
            row = (stamp_ns, *(float(cell) for cell in cells[1:]))
        except (InvalidOperation, ValueError, OverflowError) as error:
            if number == 1:  # a heading
                continue
            raise InputError(
                f"{path} line {number}: {line.strip()[:60]!r} is not a row of numbers ({header})"
            ) from error
        if len(row) != columns or not all(math.isfinite(value) for value in row):
            raise InputError(
                f"{path} line {number}: expected {columns} finite numbers ({header}), got {len(row)} cells"
            )
        rows.append(row)
    if not rows:
        raise InputError(f"{path} holds no rows; expected {header}")
    rows.sort(key=lambda row: row[0])
    for row, following in itertools.pairwise(rows):
        if row[0] == following[0]:
            raise InputError(f"{path} has two rows for the stamp {row[0] / 1e9:.6f} s; remove one of them")
    return rows


def _poses_entries(path: Path, text: str) -> list[tuple[str, Any]]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is no valid JSON (line {error.lineno}: {error.msg})") from error
    entries = content.get("poses") if isinstance(content, dict) else None
    if not isinstance(entries, dict) or not entries:
        raise InputError(f'{path} has no "poses"; expected {{"poses": {{IMAGE NAME: {{"T_enu_cam": 4x4}}}}}}')
    return list(entries.items())


def _pose_of_entry(path: Path, name: str, entry: object) -> Pose:
    matrix = entry.get("T_enu_cam") if isinstance(entry, dict) else entry
    try:
        T = np.array(matrix, np.float64)
    except (TypeError, ValueError):
        T = np.empty(0)
    if T.shape != (4, 4) or not np.allclose(T[3], [0, 0, 0, 1]) or not np.isfinite(T).all():
        raise InputError(f"{path}: the pose of {name} is not a 4x4 matrix with the last row 0 0 0 1")
    if not np.allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-3) or np.linalg.det(T[:3, :3]) < 0.0:
        raise InputError(f"{path}: the pose of {name} has no rotation in it; expected camera to world, right-handed")
    return Pose(T[:3, 3], quaternion_from_matrix(T[:3, :3]))


def _read_altitude_file(path: Path) -> StampedAltitude | NamedAltitude:
    text = _read_text(path, "altitude file")
    if path.suffix.lower() == ".json":
        metres: dict[str, float] = {}
        for name, entry in _poses_entries(path, text):
            exif = entry.get("exif") if isinstance(entry, dict) else None
            if isinstance(exif, dict) and "RelativeAltitude" in exif:
                metres[name] = _number(path, name, exif["RelativeAltitude"])
        if not metres:
            raise InputError(f"{path}: no image has an exif.RelativeAltitude; give a number or a table of altitudes")
        return NamedAltitude(metres)
    table = _read_table(path, text, 2, "stamp altitude")
    return StampedAltitude(np.array([row[0] for row in table], np.int64), np.array([row[1] for row in table]))


def _number(path: Path, name: str, value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{path}: the RelativeAltitude of {name} is {value!r}, expected a number")
    return number
