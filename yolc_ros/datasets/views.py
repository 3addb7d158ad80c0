"""The view of the ground in the image entries of a COCO file: altitude, tilt and camera beside the size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from perception_common.errors import InputError
from yolc_ros.looks.bands import GroundView


def read_view(entry: Mapping[str, Any], fov_deg: float | None) -> GroundView | None:
    """Read `altitude_m`, the tilt and the focal length of an image entry; None where one of them is missing.

    The tilt is `down` (gravity in the optical frame) or `pitch_deg` (of the optical axis below the horizon, 90 is
    straight down). The focal length is `focal_px`, or that of fov_deg (horizontal, degrees). Raises InputError for
    values that cannot be.
    """
    tilt = entry.get("down", entry.get("pitch_deg"))
    if entry.get("altitude_m") is None or tilt is None or (entry.get("focal_px") is None and fov_deg is None):
        return None
    try:
        return _view(entry, tilt, fov_deg)
    except (TypeError, ValueError, OverflowError) as error:  # another type, or a whole number that is no float
        raise InputError(f"has a view of the ground that is not of numbers ({error})") from error


def _view(entry: Mapping[str, Any], tilt: Any, fov_deg: float | None) -> GroundView:
    width, height, altitude = float(entry["width"]), float(entry["height"]), float(entry["altitude_m"])
    if "down" in entry:
        x, y, z = (float(value) for value in tilt)
    else:
        x, y, z = 0.0, math.cos(math.radians(float(tilt))), math.sin(math.radians(float(tilt)))
    length = math.hypot(x, y, z)
    focal = entry.get("focal_px")
    focal = float(focal) if focal is not None else width / 2 / math.tan(math.radians(fov_deg or 0.0) / 2)
    if not 0 < altitude < math.inf or not 0 < focal < math.inf or not 0.5 < length < 2:
        raise InputError("has an altitude, focal length or direction of gravity that cannot be")
    return GroundView(altitude, (x / length, y / length, z / length), (focal, focal), (width / 2, height / 2))
