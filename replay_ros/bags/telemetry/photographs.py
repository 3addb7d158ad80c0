"""The telemetry in a photograph's EXIF and XMP."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

from perception_common.errors import InputError
from perception_common.images.pictures.header import read_header
from perception_common.images.pictures.jpeg import JPEG_SIZES, jpeg_segments
from replay_ros.bags.telemetry import lens, makers
from replay_ros.bags.telemetry.exif_tags import ExifTags, number, numbers, read_exif, text
from replay_ros.bags.telemetry.readings import Lens, Position, Telemetry
from replay_ros.bags.telemetry.xmp_tags import read_xmp

T = TypeVar("T")

_READ = 1 << 20  # bytes of a file: the metadata of a JPEG stand before its pixels
_APP1 = 0xE1
_EXIF_MARK, _XMP_MARK = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
# Standard deviations, metres. GPS: its standard positioning service is good to 3 m (Performance Standard 2020 has 95 %
# at 8 m). Heights: drones mix barometer, sea level and ellipsoid, which differ by 30 m (root mean square of EGM96).
POSITION_DEVIATION, HEIGHT_DEVIATION = 3.0, 30.0
_LAST_SECOND = 1 << 31  # that a ROS stamp can hold
_OFFSET_TEXT = re.compile(r"([+-])([0-9]{2}):([0-9]{2})")
# Tags, EXIF 2.32.
_MAKE, _MODEL = 271, 272
_TIME, _SUBSECOND, _OFFSET = 36867, 37521, 36881
_FOCAL, _FILM, _WIDTH, _HEIGHT = 37386, 41989, 40962, 40963
_PLANE_X, _PLANE_UNIT = 41486, 41488
_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE, _ALTITUDE_REF, _ALTITUDE, _STATUS, _ERROR = (
    1,
    2,
    3,
    4,
    5,
    6,
    9,
    31,
)


def read_photograph(path: Path) -> Telemetry:
    """Read the telemetry of a photograph. What cannot be read stands in its `problems`; only JPEGs have any.

    Raises InputError for a file that cannot be opened.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_READ)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
    return telemetry_of(data)


def telemetry_of(data: bytes) -> Telemetry:
    """Return the telemetry in the first bytes of a picture file; see `read_photograph`."""
    problems: list[str] = []
    try:
        header = read_header(data)
        exif_data, xmp_data = _metadata(data) if header.format == "JPEG" else (b"", b"")
    except InputError:
        return Telemetry()  # the reader of the pixels says what is wrong
    exif = _try(lambda: read_exif(exif_data), problems) if exif_data else None
    tags = _try(lambda: read_xmp(xmp_data), problems) if xmp_data else None
    exif, tags = exif or ExifTags(), tags or {}
    make = text(exif.image.get(_MAKE)) or tags.get("tiff:Make", "")
    angles, problem = makers.camera_angles(tags, make)
    if problem:
        problems.append(f"the camera's attitude is left out: {problem}")
    time_ns, has_fraction = _try(lambda: _time(exif), problems) or (None, False)
    return Telemetry(
        time_ns=time_ns,
        has_fraction=has_fraction,
        make=make[:40],
        model=text(exif.image.get(_MODEL))[:40],
        position=_try(lambda: _position(exif, tags), problems),
        relative_altitude=makers.relative_altitude(tags),
        angles=angles,
        lens=_try(lambda: _lens(exif, tags, (header.width, header.height)), problems),
        problems=tuple(problems),
    )


def _metadata(data: bytes) -> tuple[bytes, bytes]:
    """Return the EXIF structure and the XMP packet of a JPEG; empty where it has none."""
    exif = xmp = b""
    for segment in jpeg_segments(data):
        if segment.marker in JPEG_SIZES:
            break
        content = data[segment.begin : segment.end]
        if segment.marker == _APP1 and content.startswith(_EXIF_MARK):
            exif = exif or content.removeprefix(_EXIF_MARK)
        elif segment.marker == _APP1 and content.startswith(_XMP_MARK):
            xmp = xmp or content.removeprefix(_XMP_MARK)
    return exif, xmp


def _try(read: Callable[[], T], problems: list[str]) -> T | None:
    try:
        return read()
    except InputError as error:
        problems.append(str(error))
        return None


def _time(exif: ExifTags) -> tuple[int, bool] | None:
    """Return the time of the picture, nanoseconds, and whether it is finer than a second; None: not stated.

    Without OffsetTimeOriginal the clock of the camera is taken for UTC. Raises InputError for a text that is no time.
    """
    stated = text(exif.camera.get(_TIME))
    if not stated or not stated.strip("0: "):
        return None
    try:
        time = datetime.strptime(stated, "%Y:%m:%d %H:%M:%S").replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise InputError(f"its DateTimeOriginal {stated[:30]!r} is no time") from error
    seconds = (time - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(seconds=1)
    offset = _OFFSET_TEXT.fullmatch(text(exif.camera.get(_OFFSET)))
    if offset is not None:
        seconds -= int(f"{offset[1]}1") * (3600 * int(offset[2]) + 60 * int(offset[3]))
    if not 0 < seconds < _LAST_SECOND:
        raise InputError(f"its DateTimeOriginal {stated[:30]} is impossible")
    fraction = text(exif.camera.get(_SUBSECOND))
    has_fraction = fraction.isascii() and fraction.isdigit()
    return seconds * 10**9 + (int(fraction[:9].ljust(9, "0")) if has_fraction else 0), has_fraction


def _position(exif: ExifTags, tags: Mapping[str, str]) -> Position | None:
    """Return the position; None: not stated. Raises InputError for one that cannot be."""
    gps = exif.gps
    found = makers.xmp_position(tags)
    if _LATITUDE in gps or _LONGITUDE in gps:
        latitude = _degrees(gps.get(_LATITUDE), text(gps.get(_LATITUDE_REF)), "NS")
        longitude = _degrees(gps.get(_LONGITUDE), text(gps.get(_LONGITUDE_REF)), "EW")
        found = found if latitude is None or longitude is None else (latitude, longitude)
        if found is None:
            raise InputError("its GPS position is incomplete")
    if found is None:
        return None
    if text(gps.get(_STATUS)) == "V":
        raise InputError("its GPS had no fix")
    if not (abs(found[0]) <= 90.0 and abs(found[1]) <= 180.0) or found == (0.0, 0.0):
        raise InputError(f"its GPS position {found[0]:g}, {found[1]:g} is impossible")
    altitude = number(gps.get(_ALTITUDE))
    if altitude is not None and gps.get(_ALTITUDE_REF) in (b"\x01", 1):
        altitude = -altitude
    if altitude is None or abs(altitude) > makers.LARGEST_ALTITUDE:
        altitude = makers.absolute_altitude(tags)
    horizontal, vertical = makers.position_deviations(tags)
    stated = number(gps.get(_ERROR)) or 0.0
    horizontal = horizontal or (stated if 0.0 < stated < 1000.0 else POSITION_DEVIATION)
    return Position(*found, altitude, horizontal, vertical or HEIGHT_DEVIATION)


def _degrees(value: Any, reference: str, letters: str) -> float | None:
    parts = numbers(value)
    if len(parts) != 3 or reference not in tuple(letters) or min(parts) < 0.0:
        return None
    degrees = parts[0] + parts[1] / 60.0 + parts[2] / 3600.0
    return degrees if reference == letters[0] else -degrees


def _lens(exif: ExifTags, tags: Mapping[str, str], stored: tuple[int, int]) -> Lens | None:
    """Return what is known of the lens, from the best source; None: nothing. Raises InputError for impossible terms."""
    width, height = number(exif.camera.get(_WIDTH)), number(exif.camera.get(_HEIGHT))
    taken = stored if not width or not height else (int(width), int(height))  # before the picture was made smaller
    if min(taken) < 1 or abs(taken[0] / taken[1] - stored[0] / stored[1]) > 0.02 * stored[0] / stored[1]:
        raise InputError(
            f"it was taken with {taken[0]}x{taken[1]} pixels and has {stored[0]}x{stored[1]}: it was cropped or turned,"
            " so its focal length is left out"
        )
    if "drone-dji:DewarpData" in tags:
        is_dewarped = tags.get("drone-dji:DewarpFlag") == "1"
        return lens.lens_from_dewarp(tags["drone-dji:DewarpData"], taken, is_dewarped=is_dewarped)
    pixels = makers.xmp_number(tags, ("drone-dji:CalibratedFocalLength",), largest=1e5)
    if pixels:
        names = ("drone-dji:CalibratedOpticalCenterX", "drone-dji:CalibratedOpticalCenterY")
        x, y = (makers.xmp_number(tags, (name,), largest=1e5) for name in names)
        return lens.lens_from_pixels(pixels, None if x is None or y is None else (x, y), taken)
    millimetres = makers.xmp_number(tags, ("Camera:PerspectiveFocalLength",), largest=1e3)
    millimetres = millimetres or number(exif.camera.get(_FOCAL))
    film = number(exif.camera.get(_FILM))
    resolution, unit = number(exif.camera.get(_PLANE_X)), number(exif.camera.get(_PLANE_UNIT))
    if millimetres and millimetres > 0 and resolution:
        return lens.lens_from_sensor(millimetres, resolution, int(unit or 2), max(taken))
    if film and film > 0:
        return lens.lens_from_film(film, millimetres if millimetres and millimetres > 0 else None, taken)
    if millimetres:
        raise InputError(f"its focal length of {millimetres:g} mm says nothing without the size of the sensor")
    return None
