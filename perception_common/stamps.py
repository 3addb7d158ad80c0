"""Stamps as integers: of ROS messages (of rclpy and of rosbags, without needing either) and in text."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from perception_common.errors import InputError

ROS_LIMIT = 2**31 * 10**9  # nanoseconds: builtin_interfaces/Time has int32 seconds
_INT64 = 2**63


def stamp_ns(header: Any) -> int:
    """Return the stamp of a std_msgs/Header in nanoseconds."""
    return time_ns(header.stamp)


def time_ns(time: Any) -> int:
    """Return a builtin_interfaces/Time in nanoseconds."""
    return int(time.sec) * 1_000_000_000 + int(time.nanosec)


def parse_stamp_ns(text: str, *, digits: int = 9) -> int:
    """Return a decimal stamp in nanoseconds, exactly; it may be negative.

    digits: 9 for seconds, 6 for milliseconds, 3 for microseconds, 0 for nanoseconds. Raises InputError, which does not
    name a file, for text that is no number and for stamps beyond 64 bits.
    """
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise InputError(f"{text[:40]!r} is not a stamp") from error
    # The exponent is compared first: scaling or rounding "1e999999" would take minutes or fail.
    magnitude = value.adjusted() + digits if value else 0
    nanoseconds = _INT64
    if value.is_finite() and magnitude < 20:
        nanoseconds = int(value.scaleb(digits).to_integral_value()) if value and magnitude >= -1 else 0
    if abs(nanoseconds) >= _INT64:
        raise InputError(f"{text[:40]!r} is too large for a stamp")
    return nanoseconds
