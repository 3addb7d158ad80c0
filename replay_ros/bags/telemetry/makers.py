"""The XMP properties of each maker: attitude of the camera, altitude above the take-off, accuracy of the position."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from replay_ros.bags.telemetry.readings import CameraAngles, Convention

# Standard deviations, degrees. Empirical: a gimbal holds level to about a degree and its yaw is a compass heading; a
# camera without a gimbal has the attitude of the autopilot.
GIMBAL_LEVEL, FIXED_LEVEL, YAW = 1.0, 3.0, 5.0
LARGEST_ALTITUDE = 10_000.0  # metres; drones fly lower
_LARGEST_ANGLE = 360.0


@dataclass(frozen=True)
class _AngleTags:
    """pattern: of the property names, with Yaw, Pitch or Roll in the braces. makes: whose tags they are; empty: any."""

    pattern: str
    convention: Convention
    level_deviation: float
    makes: tuple[str, ...] = ()
    roll_sign: float = 1.0


_ANGLES = (
    _AngleTags("drone-dji:Gimbal{}Degree", "horizon", GIMBAL_LEVEL),
    _AngleTags("drone-parrot:Camera{}Degree", "horizon", GIMBAL_LEVEL),
    _AngleTags("drone:Gimbal{}Degree", "horizon", GIMBAL_LEVEL),  # Autel
    _AngleTags("Camera:{}", "horizon", GIMBAL_LEVEL, ("autel",)),
    _AngleTags("Camera:{}", "nadir", FIXED_LEVEL, ("sensefly",), roll_sign=-1.0),
    _AngleTags("Camera:{}", "nadir", FIXED_LEVEL, ("parrot",)),
)
_VEHICLE_ONLY = ("drone-dji:FlightYawDegree", "drone-parrot:DroneYawDegree", "drone:FlightYawDegree")
_RELATIVE_ALTITUDES = ("drone-dji:RelativeAltitude", "drone:RelativeAltitude", "Camera:AboveGroundAltitude")
_ABSOLUTE_ALTITUDES = ("drone-dji:AbsoluteAltitude", "drone:AbsoluteAltitude")
_LATITUDES = ("drone-dji:GpsLatitude", "drone-dji:Latitude")
_LONGITUDES = ("drone-dji:GpsLongitude", "drone-dji:GpsLongtitude", "drone-dji:Longitude")  # DJI's spelling, too


def camera_angles(tags: Mapping[str, str], make: str) -> tuple[CameraAngles | None, str]:
    """Return the camera's attitude; None, and why in words, where it is unknown ("" where no tag speaks of it)."""
    maker = make.lower()
    for each in _ANGLES:
        if each.makes and not maker.startswith(each.makes):
            continue
        names = [each.pattern.format(angle) for angle in ("Yaw", "Pitch", "Roll")]
        if not any(name in tags for name in names):
            continue
        yaw, pitch, roll = (xmp_number(tags, (name,), largest=_LARGEST_ANGLE) for name in names)
        if yaw is None or pitch is None or roll is None:
            return None, f"{names[0]}, {names[1]} and {names[2]} are not three angles"
        source = f"XMP {each.pattern.format('*')}"
        angles = CameraAngles(yaw, pitch, each.roll_sign * roll, each.convention, source, each.level_deviation, YAW)
        return angles, ""
    if "Camera:Pitch" in tags:
        return None, f"what Camera:Pitch 0 means is not known for the maker {make or 'that is not named'}"
    if any(name in tags for name in _VEHICLE_ONLY):
        return None, "only the attitude of the drone is stated, not that of the camera"
    return None, ""


def relative_altitude(tags: Mapping[str, str]) -> float | None:
    """Return the height above the take-off, metres; None: unknown."""
    return xmp_number(tags, _RELATIVE_ALTITUDES, largest=LARGEST_ALTITUDE)


def absolute_altitude(tags: Mapping[str, str]) -> float | None:
    """Return the height above the sea or the ellipsoid, metres; None: unknown."""
    return xmp_number(tags, _ABSOLUTE_ALTITUDES, largest=LARGEST_ALTITUDE)


def xmp_position(tags: Mapping[str, str]) -> tuple[float, float] | None:
    """Return latitude and longitude, degrees; None: unknown."""
    latitude = xmp_number(tags, _LATITUDES, largest=90.0)
    longitude = xmp_number(tags, _LONGITUDES, largest=180.0)
    return None if latitude is None or longitude is None else (latitude, longitude)


def position_deviations(tags: Mapping[str, str]) -> tuple[float | None, float | None]:
    """Return the standard deviations of the position, horizontal and vertical, metres; None: not stated."""
    by_rtk = [xmp_number(tags, (f"drone-dji:RtkStd{axis}",), largest=1000.0) for axis in ("Lat", "Lon", "Hgt")]
    if by_rtk[0] is not None and by_rtk[1] is not None:
        horizontal: float | None = max(by_rtk[0], by_rtk[1])
    else:
        horizontal = xmp_number(tags, ("Camera:GPSXYAccuracy",), largest=1000.0)
    vertical = by_rtk[2] if by_rtk[2] is not None else xmp_number(tags, ("Camera:GPSZAccuracy",), largest=1000.0)
    return horizontal or None, vertical or None


def xmp_number(tags: Mapping[str, str], names: tuple[str, ...], largest: float) -> float | None:
    """Return the first property of these names as a number of at most this size; "3/4" is a number, too."""
    for name in names:
        try:
            above, _, below = tags[name].partition("/")
            value = float(above) / float(below or 1)
        except (KeyError, ValueError, ZeroDivisionError):
            continue
        if math.isfinite(value) and abs(value) <= largest:
            return value
    return None
