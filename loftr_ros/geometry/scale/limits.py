"""Measurements of a length, and the limits within which they and the scales from them are accepted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.scale.result import Scale, unknown_scale


@dataclass(frozen=True)
class ScaleLimits:
    """Limits of acceptance; a scale beyond them becomes UNKNOWN.

    max_age: seconds between a measurement and the image. max_deviation: standard deviation of the scale over its value.
    min_points: matches that carry the scale. min_agreement: fraction of the depths that agree with the median scale.
    min_ground: fraction of the matches on the ground. disagreement: of two measurements, in standard deviations of
    their difference.
    """

    max_age: float = 0.5
    max_deviation: float = 0.3
    min_points: int = 15
    min_agreement: float = 0.5
    min_ground: float = 0.15
    disagreement: float = 4.0


DEFAULT_LIMITS = ScaleLimits()


@dataclass(frozen=True)
class LengthMeasurement:
    """A length, metres, with its standard deviation; age: seconds between the measurement and its image."""

    value: float
    deviation: float
    age: float = 0.0


def rejection(measurement: LengthMeasurement, name: str, points: int, limits: ScaleLimits) -> str:
    """Return why a measurement cannot be used with so many matches, "" if it can. name: of it, for the text."""
    if abs(measurement.age) > limits.max_age:
        return f"the {name} is {abs(measurement.age):.2f} s old, more than {limits.max_age:g} s"
    if not np.isfinite([measurement.value, measurement.deviation]).all() or measurement.value <= 0:
        return f"the {name} is {measurement.value:g} m"
    if points < limits.min_points:
        return f"{points} matches for the {name}, at least {limits.min_points} are needed"
    return ""


def accepted(scale: Scale, limits: ScaleLimits) -> Scale:
    """Return the scale, or UNKNOWN if its relative standard deviation is above the limit."""
    deviation = np.sqrt(scale.variance) / scale.value
    if not deviation <= limits.max_deviation:
        return unknown_scale(f"the {scale.source.name.lower()} gives the scale only to {100 * deviation:.0f} %")
    return scale
