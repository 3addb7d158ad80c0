"""Subtitles (SRT) that drones write beside their videos, in the dialects of DJI.

- Phantom 3, Inspire: `GPS(149.0251,-20.2533,16) BAROMETER:1.9`
- Phantom 4, Mavic Pro: `GPS (-122.3699, 37.5929, 15), D 224.64m, H 20.50m`, some with `G.PRY (-90.0, 0.0, 33.1)`
- Mavic 2, Air and Mini: `[latitude : 0.608553] [longtitude : -1.963763] [altitude: 1417.69] [focal_len : 240]`
- Mavic 3, Mini 3 and later: `[latitude: 59.30] [longitude: 18.20] [rel_alt: 1.3 abs_alt: 132.8] [gb_yaw: 1.0 ...]`
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from perception_common.errors import InputError
from perception_common.text.text_files import read_text
from replay_ros.bags.telemetry.lens import BY_FILM_VIDEO, lens_from_film
from replay_ros.bags.telemetry.makers import GIMBAL_LEVEL, LARGEST_ALTITUDE, YAW
from replay_ros.bags.telemetry.photographs import HEIGHT_DEVIATION, POSITION_DEVIATION
from replay_ros.bags.telemetry.readings import CameraAngles, Lens, Position, Telemetry

MAX_BYTES = 1 << 26  # two hours of 60 cues a second, of 150 bytes
_NUMBER = r"[-+]?[0-9]{1,9}(?:\.[0-9]{1,15})?"
_CUE = re.compile(r"([0-9]{1,3}):([0-9]{2}):([0-9]{2})[,.]([0-9]{3}) *-->")
_FIELD = re.compile(rf"([A-Za-z_]{{1,20}}) ?: ?({_NUMBER})(?![0-9./:])")
_GPS = re.compile(rf"GPS ?\(({_NUMBER}), ?({_NUMBER})")
_HEIGHT = re.compile(rf"\bH ?({_NUMBER})m\b")
_GIMBAL = re.compile(rf"G\.PRY ?\(({_NUMBER})°?, ?({_NUMBER})°?, ?({_NUMBER})")


def read_subtitles(path: Path, size: tuple[int, int]) -> list[Telemetry]:
    """Read the telemetry in a file of subtitles, in the order of its cues, with times from the start of the video.

    size: (width, height) of the video, pixels. Raises InputError for a file without telemetry.
    """
    text = read_text(path, "subtitles", limit=MAX_BYTES)
    marks = list(_CUE.finditer(text))
    found = []
    ends = [*(mark.start() for mark in marks[1:]), len(text)][: len(marks)]
    for mark, end in zip(marks, ends, strict=True):
        hours, minutes, seconds, milliseconds = map(int, mark.groups())
        time_ns = ((hours * 60 + minutes) * 60 + seconds) * 10**9 + milliseconds * 10**6
        reading = cue_telemetry(text[mark.end() : end], time_ns, size)
        if not all(each is None for each in (reading.position, reading.relative_altitude, reading.angles)):
            found.append(reading)
    if not found:
        raise InputError(f"{path}: none of its {len(marks)} subtitles states a position, an altitude or an attitude")
    return found


def cue_telemetry(text: str, time_ns: int, size: tuple[int, int]) -> Telemetry:
    """Return the telemetry of one subtitle. Values that cannot be are left out, and stand in its `problems`."""
    fields = {name.lower(): number for name, number in _FIELD.findall(text)}
    problems: list[str] = []
    return Telemetry(
        time_ns=time_ns,
        has_fraction=True,
        make="DJI",
        position=_position(text, fields, problems),
        relative_altitude=_height(text, fields),
        angles=_angles(text, fields),
        lens=_lens(fields, size),
        problems=tuple(problems),
    )


def _position(text: str, fields: Mapping[str, str], problems: list[str]) -> Position | None:
    longitude = fields.get("longitude", fields.get("longtitude"))
    latitude = fields.get("latitude")
    if latitude is None or longitude is None:
        gps = _GPS.search(text)
        if gps is None:
            return None
        longitude, latitude = gps.groups()
    at = float(latitude), float(longitude)
    if not (abs(at[0]) <= 90.0 and abs(at[1]) <= 180.0) or at == (0.0, 0.0):
        problems.append("its GPS position is zero or impossible")
        return None
    altitude = _bounded(fields.get("abs_alt", fields.get("altitude")))
    return Position(*at, altitude, POSITION_DEVIATION, HEIGHT_DEVIATION)


def _height(text: str, fields: Mapping[str, str]) -> float | None:
    found = _HEIGHT.search(text)
    return _bounded(fields.get("rel_alt", fields.get("barometer", found[1] if found else None)))


def _angles(text: str, fields: Mapping[str, str]) -> CameraAngles | None:
    gimbal = _GIMBAL.search(text)
    if gimbal is not None:
        pitch, roll, yaw = map(float, gimbal.groups())
    elif {"gb_yaw", "gb_pitch", "gb_roll"} <= fields.keys():
        yaw, pitch, roll = (float(fields[f"gb_{name}"]) for name in ("yaw", "pitch", "roll"))
    else:
        return None
    if max(map(abs, (yaw, pitch, roll))) > 360.0:
        return None
    return CameraAngles(yaw, pitch, roll, "horizon", "subtitles", GIMBAL_LEVEL, YAW)


def _lens(fields: Mapping[str, str], size: tuple[int, int]) -> Lens | None:
    """Return the lens of `focal_len`, in 35 mm terms: millimetres with a decimal point, tenths of them without."""
    stated = fields.get("focal_len")
    if stated is None:
        return None
    try:
        return lens_from_film(float(stated) / (1.0 if "." in stated else 10.0), None, size, BY_FILM_VIDEO)
    except InputError:
        return None


def _bounded(text: str | None) -> float | None:
    value = math.nan if text is None else float(text)
    return value if abs(value) <= LARGEST_ALTITUDE else None
