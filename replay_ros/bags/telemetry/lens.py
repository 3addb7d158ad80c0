"""The camera's projection from its focal length, in the terms that EXIF and XMP state it, with its uncertainty."""

from __future__ import annotations

import math

import numpy as np

from perception_common.errors import InputError
from replay_ros.bags.datasets.calibration import Calibration, unrectified_calibration
from replay_ros.bags.telemetry.readings import Lens

FILM_DIAGONAL = math.hypot(36.0, 24.0)  # millimetres; "35 mm" terms compare diagonals (CIPA DCG-001, 2005)
# Relative standard deviations of the focal length. Empirical: the maker's own calibration; that of a sensor's nominal
# size; 35 mm terms are whole numbers of millimetres, and makers measure the diagonal of the sensor or of the picture.
CALIBRATED, BY_SENSOR, BY_FILM, BY_FILM_VIDEO = 0.01, 0.03, 0.05, 0.10
SHORTEST, LONGEST = 0.1, 50.0  # focal length over the longer side: 157 and 1.1 degrees of view
_MILLIMETRES = {2: 25.4, 3: 10.0, 4: 1.0, 5: 1e-3}  # of FocalPlaneResolutionUnit
_WIDE = 1.6  # aspect from which a picture is cropped: sensors have 4:3 or 3:2
_INCH_SENSOR = (13.0, 19.0)  # millimetres of the diagonal of "1 inch" sensors, 15.9, which have 3:2 as those from
_LARGE_SENSOR = 25.0  # APS-C on; smaller sensors and "4/3 inch" have 4:3


def lens_from_sensor(millimetres: float, pixels_per_unit: float, unit: int, long_side: int) -> Lens:
    """Lens of a focal length in millimetres and FocalPlaneResolution. long_side: of the sensor's picture, pixels.

    Raises InputError for terms that are impossible.
    """
    if unit not in _MILLIMETRES or pixels_per_unit <= 0 or long_side <= 0:
        raise InputError("its FocalPlaneResolution is impossible")
    sensor = long_side / pixels_per_unit * _MILLIMETRES[unit]
    return _checked(Lens(millimetres / sensor, BY_SENSOR, f"{millimetres:g} mm on a sensor {sensor:.1f} mm wide"))


def lens_from_film(film: float, millimetres: float | None, size: tuple[int, int], deviation: float = BY_FILM) -> Lens:
    """Lens of a focal length in 35 mm terms. millimetres: the real one; None: unknown. size: of the picture, pixels.

    35 mm terms compare the diagonals of the sensor and of film. A picture wider than 1.6 : 1 is taken for a sensor of
    4:3, or of 3:2 where the real focal length tells a size that has it, cropped above and below. Raises InputError.
    """
    long_side, short_side = max(size), min(size)
    aspect = long_side / short_side
    if aspect > _WIDE:
        diagonal = 0.0 if millimetres is None else FILM_DIAGONAL * millimetres / film
        is_three_to_two = _INCH_SENSOR[0] < diagonal < _INCH_SENSOR[1] or diagonal > _LARGE_SENSOR
        aspect = 3 / 2 if is_three_to_two else 4 / 3
    focal = film / FILM_DIAGONAL * math.hypot(1.0, 1.0 / aspect)
    real = "" if millimetres is None else f"{millimetres:g} mm, "
    return _checked(Lens(focal, deviation, f"{real}{film:g} mm in 35 mm terms"))


def lens_from_pixels(focal: float, centre: tuple[float, float] | None, size: tuple[int, int]) -> Lens:
    """Lens of the maker's calibration. focal, centre: pixels of the picture of (width, height) `size`; corner at 0."""
    long_side = max(size)
    middle = centre or (size[0] / 2, size[1] / 2)
    offset = tuple((at - side / 2) / long_side for at, side in zip(middle, size, strict=True))
    if max(map(abs, offset)) > 0.1:
        raise InputError("its calibrated optical centre is not near the middle of the picture")
    return _checked(Lens(focal / long_side, CALIBRATED, "the maker's calibration", (offset[0], offset[1])))


def lens_from_dewarp(data: str, size: tuple[int, int], *, is_dewarped: bool) -> Lens:
    """Lens of DJI's DewarpData, "date;fx,fy,cx,cy,k1,k2,p1,p2,k3", with cx, cy from the middle of the picture.

    is_dewarped: the distortion is already taken out of the picture. Raises InputError for other text.
    """
    try:
        values = [float(value) for value in data.rpartition(";")[2].split(",")]
    except ValueError:
        values = []
    if len(values) != 9 or not all(map(math.isfinite, values)):
        raise InputError("its DewarpData is not nine numbers")
    focal, _, cx, cy, *distortion = values
    if max(abs(cx), abs(cy)) > 0.1 * max(size) or max(map(abs, distortion)) > 2.0:
        raise InputError("its DewarpData is impossible")
    offset = (cx / max(size), cy / max(size))
    kept = () if is_dewarped else tuple(distortion)
    return _checked(Lens(focal / max(size), CALIBRATED, "the maker's calibration (DewarpData)", offset, kept))


def calibration_of(lens: Lens, width: int, height: int) -> Calibration:
    """Return the approximate calibration of a picture of the lens, at any resolution; pixel centres at integers."""
    long_side = max(width, height)
    focal = lens.focal * long_side
    cx, cy = ((side - 1) / 2 + offset * long_side for side, offset in zip((width, height), lens.offset, strict=True))
    K = np.array([[focal, 0.0, cx], [0.0, focal, cy], [0.0, 0.0, 1.0]])
    return unrectified_calibration(width, height, K, lens.distortion or (0.0,) * 5)


def _checked(lens: Lens) -> Lens:
    if not SHORTEST <= lens.focal <= LONGEST:
        raise InputError(f"its focal length ({lens.source}) is {lens.focal:.3g} of the picture's side: impossible")
    return lens
