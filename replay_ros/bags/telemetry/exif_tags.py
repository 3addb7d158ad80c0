"""EXIF tags of a picture as plain numbers and texts, read with Pillow from the EXIF structure alone."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perception_common.errors import InputError

MAX_BYTES = 1 << 16  # of an EXIF structure: that of a JPEG segment (EXIF 2.32, section 4.7.2)
_EXIF_DIRECTORY, _GPS_DIRECTORY = 0x8769, 0x8825
MOST_NUMBERS = 16  # of a tag; the tags that are read here have at most three


@dataclass(frozen=True)
class ExifTags:
    """The three directories of a picture: tag numbers with their values as the file states them."""

    image: Mapping[int, Any] = field(default_factory=dict)
    camera: Mapping[int, Any] = field(default_factory=dict)
    gps: Mapping[int, Any] = field(default_factory=dict)


def read_exif(tiff: bytes) -> ExifTags:
    """Read the EXIF structure (a TIFF header with its directories). Raises InputError for one that cannot be read.

    Without Pillow, the optional group `evaluation`, there are no tags to be had: raises InputError too.
    """
    if len(tiff) > MAX_BYTES:
        raise InputError(f"its EXIF has {len(tiff)} bytes, more than {MAX_BYTES}")
    try:
        from PIL.Image import Exif
    except ImportError as error:
        raise InputError("reading EXIF needs Pillow; install it with `pip install pillow`") from error
    exif = Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged tags, which are left out
            exif.load(b"Exif\0\0" + tiff)
            return ExifTags(dict(exif), dict(exif.get_ifd(_EXIF_DIRECTORY)), dict(exif.get_ifd(_GPS_DIRECTORY)))
    except Exception as error:  # Pillow's parser raises anything
        raise InputError(f"its EXIF is damaged ({type(error).__name__})") from error


def number(value: Any) -> float | None:
    """Return a finite number of a tag; None for anything else."""
    numbers_found = numbers(value)
    return numbers_found[0] if len(numbers_found) == 1 else None


def numbers(value: Any) -> tuple[float, ...]:
    """Return the finite numbers of a tag; empty where one of them is none."""
    values = value if isinstance(value, (tuple, list)) else (value,)
    found = []
    for each in values[: MOST_NUMBERS + 1]:
        try:
            if isinstance(each, (str, bytes)):
                return ()
            found.append(float(each))
        except (TypeError, ValueError, ZeroDivisionError, OverflowError):
            return ()
    return tuple(found) if len(found) <= MOST_NUMBERS and all(map(math.isfinite, found)) else ()


def text(value: Any) -> str:
    """Return the text of a tag up to its first NUL, without blanks around it; empty for anything else."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value.split("\0")[0].strip() if isinstance(value, str) else ""
