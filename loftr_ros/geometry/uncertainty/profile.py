"""What the second derivative at an estimate does not show: how flat and how bent the valley of the cost is beside it.

Rotation and translation trade against each other along curves. Where they are weakly seen, as at small parallax, the
truth lies far down such a valley, off its tangent. So the cost is followed along the weakest directions for some
standard deviations (profile likelihood: Venzon and Moolgavkar, "A method for computing profile-likelihood-based
confidence intervals", Applied Statistics 1988, with one Newton step in place of the inner minimisation).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.uncertainty.noise import squared_lengths
from loftr_ros.geometry.uncertainty.refinement import Refined

_DIRECTIONS = 2  # the weakest ones
_STRAIGHT = 0.004  # radians of standard deviation up to which valleys are straight
_FAR = 2.0  # standard deviations to follow, at most
_FARTHEST = 0.5  # radians
_HALF_STEP = 0.5  # standard deviations, for the differences across the valley
_FLATTEST = 0.05  # of the rise that a parabola would have


def widened(pairs: RayPairs, refined: Refined[Any], covariance: np.ndarray) -> np.ndarray:
    """Covariance (p, p) of the steps from one by second derivatives, larger where the valley is flat or bent."""
    values, vectors = np.linalg.eigh(covariance)
    deviations = np.sqrt(np.maximum(values, 0.0))
    axes = vectors * deviations
    size = len(values)
    wider = np.eye(size)  # covariance in units of the axes

    def cost(place: np.ndarray) -> float:
        residuals = refined.motion.moved(axes @ place).residuals(pairs)
        return float(refined.weights @ squared_lengths(residuals)) / refined.noise.sigma**2

    lowest = cost(np.zeros(size))
    for k in range(size - _DIRECTIONS, size):
        if deviations[k] < _STRAIGHT:
            continue
        far = min(_FAR, _FARTHEST / deviations[k])
        rises, bends = [], []
        for place in (far * np.eye(size)[k], -far * np.eye(size)[k]):
            across = _to_the_bottom(cost, place, k)
            rises.append(min(cost(place), cost(place + across)) - lowest)
            bends.append(across)
        wider[k, k] = max(1.0, far**2 / max(min(rises), _FLATTEST * far**2))
        # A valley that is off by b z^2 at z standard deviations has the second moment 3 b^2 there.
        bend = (bends[0] + bends[1]) / (2.0 * far**2)
        wider += 3.0 * np.outer(bend, bend)
    return axes @ wider @ axes.T


def _to_the_bottom(cost: Any, place: np.ndarray, along: int) -> np.ndarray:
    """One Newton step (p,) across a valley from beside its bottom; the axes are nearly those of the cost."""
    here = cost(place)
    step = np.zeros(len(place))
    for j in range(len(place)):
        if j != along:
            shift = _HALF_STEP * np.eye(len(place))[j]
            ahead, behind = cost(place + shift), cost(place - shift)
            slope = (ahead - behind) / (2.0 * _HALF_STEP)
            curvature = (ahead + behind - 2.0 * here) / _HALF_STEP**2
            step[j] = -slope / max(curvature, 1.0)  # 2 where the second derivative at the estimate still holds
    return step
