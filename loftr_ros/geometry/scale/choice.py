"""The choice among the scales of several sources."""

from __future__ import annotations

import numpy as np

from loftr_ros.geometry.scale.limits import DEFAULT_LIMITS, ScaleLimits
from loftr_ros.geometry.scale.result import Scale, ScaleSource, unknown_scale


def choose_scale(scales: list[Scale], limits: ScaleLimits = DEFAULT_LIMITS) -> Scale:
    """Return the scale with the smallest relative variance; UNKNOWN without one, or if another one contradicts it."""
    known = sorted((s for s in scales if s.source != ScaleSource.UNKNOWN), key=lambda s: s.variance / s.value**2)
    if not known:
        return unknown_scale("; ".join(s.reason for s in scales) or "no source of scale")
    best = known[0]
    for other in known[1:]:
        deviations = abs(best.value - other.value) / np.sqrt(best.variance + other.variance)
        if deviations > limits.disagreement:
            return unknown_scale(
                f"{best.source.name.lower()} gives {best.value:.2f} m, {other.source.name.lower()} {other.value:.2f} m"
            )
    return best
