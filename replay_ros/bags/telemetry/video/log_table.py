"""Tables (CSV) of a flight beside its video: as AirData and Litchi export them, or with the plain names below."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from perception_common.errors import InputError
from perception_common.text.text_files import read_text
from replay_ros.bags.telemetry.makers import GIMBAL_LEVEL, LARGEST_ALTITUDE, YAW
from replay_ros.bags.telemetry.photographs import HEIGHT_DEVIATION, POSITION_DEVIATION
from replay_ros.bags.telemetry.readings import CameraAngles, Position, Telemetry

MAX_BYTES = 1 << 26
LONGEST = 1e6  # seconds of a flight, 11 days; larger numbers are no seconds
NAMES = {  # of each quantity, in lower case and without the unit in brackets
    "time": ("time", "seconds", "t"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "lng"),
    "height": ("height_above_takeoff", "rel_alt", "relative_altitude", "height"),
    "altitude": ("altitude_above_sealevel", "abs_alt", "absolute_altitude"),
    "yaw": ("gimbal_heading", "gimbalyaw", "gimbal_yaw", "gb_yaw"),
    "pitch": ("gimbal_pitch", "gimbalpitch", "gb_pitch"),
    "roll": ("gimbal_roll", "gimbalroll", "gb_roll"),
    "video": ("isvideo",),
}
_UNITS = {"feet": 0.3048, "ft": 0.3048, "millisecond": 1e-3, "milliseconds": 1e-3, "ms": 1e-3}  # others are SI
_COLUMN = re.compile(r"\s*([a-z_ ]*[a-z])\s*(?:[\[(]\s*([a-z]+)\s*[\])])?\s*", re.IGNORECASE)


def read_log_table(path: Path) -> list[Telemetry]:
    """Read the telemetry in a table, with times from the start of the video.

    Times count from the first row, or from the first row with `isVideo` 1 where there is that column. Raises InputError
    for a file without time, for one that holds several videos, and for one whose rows hold nothing.
    """
    try:
        rows = list(csv.reader(read_text(path, "flight log", limit=MAX_BYTES).splitlines()))
    except csv.Error as error:
        raise InputError(f"{path}: is no table of values separated by commas ({error})") from error
    columns = _columns(rows[0]) if rows else {}
    if "time" not in columns:
        raise InputError(f"{path}: has no column of time; name it {NAMES['time'][0]} (seconds) or time(millisecond)")
    values = [{name: _number(row, at) * factor for name, (at, factor) in columns.items()} for row in rows[1:]]
    values = [row for row in values if math.isfinite(row["time"])]
    if "video" in columns:
        values = _of_the_video(path, values)
    times = [row["time"] - values[0]["time"] for row in values]
    found = [_telemetry(row, time) for row, time in zip(values, times, strict=True) if abs(time) < LONGEST]
    found = [each for each in found if each.position or each.relative_altitude is not None or each.angles]
    if not found:
        known = ", ".join(sorted({names[0] for name, names in NAMES.items() if name not in ("time", "video")}))
        raise InputError(f"{path}: none of its rows states a position, an altitude or an attitude; columns: {known}")
    return found


def _columns(heading: Sequence[str]) -> dict[str, tuple[int, float]]:
    """Return the column of each quantity, and the factor that makes it metres, seconds or degrees."""
    found: dict[str, tuple[int, float]] = {}
    for at, text in enumerate(heading):
        parts = _COLUMN.fullmatch(text)
        if parts is None:
            continue
        name = parts[1].strip().lower().replace(" ", "_")
        for quantity, names in NAMES.items():
            if name in names:
                found.setdefault(quantity, (at, _UNITS.get((parts[2] or "").lower(), 1.0)))
    return found


def _number(row: Sequence[str], at: int) -> float:
    try:
        value = float(row[at])
    except (IndexError, ValueError):
        return math.nan
    return value if abs(value) < 1e12 else math.nan


def _of_the_video(path: Path, rows: list[dict[str, float]]) -> list[dict[str, float]]:
    """Return the rows that were taken while the video ran."""
    filming = [row["video"] == 1.0 for row in rows]
    starts = sum(now and not before for before, now in zip([False, *filming], filming, strict=False))
    if starts != 1:
        raise InputError(f"{path}: its column isVideo holds {starts} videos, expected 1; cut the table to that of one")
    return [row for row, is_filming in zip(rows, filming, strict=True) if is_filming]


def _telemetry(row: Mapping[str, float], seconds: float) -> Telemetry:
    latitude, longitude, height, altitude, yaw, pitch, roll = (
        row.get(name, math.nan) for name in ("latitude", "longitude", "height", "altitude", "yaw", "pitch", "roll")
    )
    position = None
    if abs(latitude) <= 90.0 and abs(longitude) <= 180.0 and (latitude, longitude) != (0.0, 0.0):
        known = altitude if abs(altitude) <= LARGEST_ALTITUDE else None
        position = Position(latitude, longitude, known, POSITION_DEVIATION, HEIGHT_DEVIATION)
    roll = 0.0 if "roll" not in row else roll  # a gimbal without that column holds the horizon
    angles = None
    if all(abs(angle) <= 360.0 for angle in (yaw, pitch, roll)):
        angles = CameraAngles(yaw, pitch, roll, "horizon", "flight log", GIMBAL_LEVEL, YAW)
    return Telemetry(
        time_ns=round(seconds * 1e9),
        has_fraction=True,
        position=position,
        relative_altitude=height if abs(height) <= LARGEST_ALTITUDE else None,
        angles=angles,
    )
