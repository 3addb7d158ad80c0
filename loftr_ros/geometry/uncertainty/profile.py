"""Corrections of a covariance where the cost is not a parabola: flat or curved valleys beside the estimate.

Rotation and translation compensate each other along curved valleys of the cost. Where both are weakly observed, as at
small parallax, the truth lies far along such a valley and off its tangent, which second derivatives at the estimate do
not show. So the cost is evaluated up to some standard deviations away along the weakest directions: a profile
likelihood (Venzon and Moolgavkar, "A method for computing profile-likelihood-based confidence intervals", Applied
Statistics 1988), with one Newton step in place of the inner minimisation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.uncertainty.noise import squared_lengths
from loftr_ros.geometry.uncertainty.refinement import Refined

# All empirical: with them covariances are consistent on simulated flights (benchmark --only consistency).
_DIRECTIONS = 2  # the directions with the largest variance are followed
_STRAIGHT_DEVIATION = 0.004  # radians; a valley with a smaller standard deviation is straight enough
_MAX_SIGMAS = 2.0  # distance to follow, in standard deviations
_MAX_DISTANCE = 0.5  # and in radians
_DIFFERENCE_STEP = 0.5  # standard deviations, of the central differences across the valley
_MIN_RISE = 0.05  # lower bound of the rise of the cost, relative to the parabola


def widened(pairs: RayPairs, refined: Refined[Any], covariance: np.ndarray) -> np.ndarray:
    """Widen a covariance (p, p) of steps, computed from second derivatives, where the valley is flat or curved."""
    values, vectors = np.linalg.eigh(covariance)
    deviations = np.sqrt(np.maximum(values, 0.0))
    axes = vectors * deviations
    size = len(values)
    wider = np.eye(size)  # covariance in coordinates along the axes

    def cost(place: np.ndarray) -> float:
        residuals = refined.motion.moved(axes @ place).residuals(pairs)
        return float(refined.weights @ squared_lengths(residuals)) / refined.noise.sigma**2

    lowest = cost(np.zeros(size))
    for k in range(size - _DIRECTIONS, size):
        if deviations[k] < _STRAIGHT_DEVIATION:
            continue
        far = min(_MAX_SIGMAS, _MAX_DISTANCE / deviations[k])
        rises, bends = [], []
        for place in (far * np.eye(size)[k], -far * np.eye(size)[k]):
            across = _step_to_valley_floor(cost, place, along=k)
            rises.append(min(cost(place), cost(place + across)) - lowest)
            bends.append(across)
        wider[k, k] += max(0.0, far**2 / max(min(rises), _MIN_RISE * far**2) - 1.0)
        # A valley floor displaced by b z^2 at z standard deviations adds E (b z^2)^2 = 3 b^2 for normal z.
        bend = (bends[0] + bends[1]) / (2.0 * far**2)
        wider += 3.0 * np.outer(bend, bend)
    return axes @ wider @ axes.T


def _step_to_valley_floor(cost: Callable[[np.ndarray], float], place: np.ndarray, along: int) -> np.ndarray:
    """One Newton step (p,) from `place` across the valley that runs along axis `along`; cross terms are neglected."""
    here = cost(place)
    step = np.zeros(len(place))
    for j in range(len(place)):
        if j != along:
            shift = _DIFFERENCE_STEP * np.eye(len(place))[j]
            ahead, behind = cost(place + shift), cost(place - shift)
            slope = (ahead - behind) / (2.0 * _DIFFERENCE_STEP)
            curvature = (ahead + behind - 2.0 * here) / _DIFFERENCE_STEP**2
            step[j] = -slope / max(curvature, 1.0)  # the curvature is 2 for a parabola
    return step
