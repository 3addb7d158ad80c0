"""Frames of a sequence and their stamps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from perception_common.errors import InputError

DEFAULT_RATE = 10.0  # Hz, for images without stamps
DEFAULT_START_NS = 1_000_000_000  # 1 s: a stamp of zero means "no stamp" in ROS
_EXPONENTS = {10: 9, 13: 6, 16: 3, 19: 0}  # digits of a stamp in a name: power of ten that makes it nanoseconds
_NAMED = re.compile(  # a stamp of the Unix epoch; words may stand around it
    r"(?:[A-Za-z][A-Za-z0-9]*[_-])*"
    r"([1-9][0-9]{9}\.[0-9]+|[1-9][0-9]{9}[_-][0-9]{9}|[1-9][0-9]+)"
    r"(?:[_-][A-Za-z][A-Za-z0-9]*)*"
)
_YEAR_2100 = 4_102_444_800  # seconds of the Unix epoch
MAX_RATE = 10_000.0  # Hz; empirical: a rate above it is a mistake


@dataclass(frozen=True)
class Frame:
    """One image of a sequence.

    name: file name, or "frame 12" of a video. stamp_ns: nanoseconds.
    image: (H, W, 3) uint8, BGR, upright. orientation: how the pixels are stored, in words; empty: upright.
    """

    name: str
    stamp_ns: int
    image: np.ndarray
    orientation: str = ""


@dataclass(frozen=True)
class BrokenFrame:
    """A frame that cannot be read. name, stamp_ns: as of a Frame. reason: for the user."""

    name: str
    stamp_ns: int
    reason: str


def check_timing(rate: float | None, start_ns: int | None) -> None:
    """Raise InputError for an impossible frame rate or start stamp; None: not given."""
    if rate is not None and not 0.0 < rate <= MAX_RATE:
        raise InputError(f"the rate is {rate} Hz; give one above 0, at most {MAX_RATE:.0f}")
    if start_ns is not None and start_ns < 0:
        raise InputError(f"the start stamp is {start_ns / 1e9} s; give one that is not negative")


def parse_stamp(stem: str) -> int | None:
    """Return the stamp in nanoseconds that the stem of a file name is, exactly, or None when it is not a stamp.

    A stamp is seconds with a fraction (TUM), 10 digits of seconds, 13 of milliseconds, 16 of microseconds, or 18 to 19
    of nanoseconds (EuRoC). 10, 13 and 16 digits that begin with 0, or lie beyond the year 2100, are a number. Words
    may stand around a stamp with 10 digits of seconds or more, and 9 digits of nanoseconds behind 10 of seconds.

    >>> parse_stamp("1311868169.163498"), parse_stamp("1311868169163")
    (1311868169163498000, 1311868169163000000)
    >>> parse_stamp("left_1311868169163"), parse_stamp("1311868169_163498000")
    (1311868169163000000, 1311868169163498000)
    >>> parse_stamp("0012") is None and parse_stamp("0000000012") is None
    True
    """
    if re.fullmatch(r"[0-9]{1,10}\.[0-9]+", stem):
        return int(Decimal(stem).scaleb(9).to_integral_value())
    if re.fullmatch(r"[0-9]{18,19}", stem):
        return int(stem)
    named = _NAMED.fullmatch(stem)
    if named is None:
        return None
    text = re.sub("[_-]", ".", named[1])
    exponent = 9 if "." in text else _EXPONENTS.get(len(text))
    if exponent is None:
        return None
    stamp = int(Decimal(text).scaleb(exponent).to_integral_value())
    return stamp if stamp < _YEAR_2100 * 10**9 else None


def regular_stamp(start_ns: int, rate: float, index: int) -> int:
    """Return the stamp of frame `index` at `rate` Hz, in nanoseconds; rounding errors do not accumulate."""
    return start_ns + round(index * 1e9 / rate)
