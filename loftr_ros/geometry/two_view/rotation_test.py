"""Whether a pair shows a translation: the test of a plane with a translation against a rotation alone."""

from __future__ import annotations

import numpy as np

from loftr_ros.geometry.normal import INLIER_SIGMAS
from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.two_view import thresholds
from loftr_ros.geometry.two_view.homography.motion import PlaneMotion, RotationMotion
from loftr_ros.geometry.uncertainty.refinement import Refined


def is_rotation_only(pairs: RayPairs, rotation: Refined[RotationMotion], plane: Refined[PlaneMotion]) -> bool:
    """Return whether plane and translation explain no more than the rotation does."""
    on_plane = plane.distances < INLIER_SIGMAS * plane.noise.sigma
    if np.median(rotation.distances[on_plane]) < thresholds.MIN_MOTION:
        return True
    return trimmed_gain(pairs, rotation, plane) < thresholds.MIN_GAIN


def trimmed_gain(pairs: RayPairs, rotation: Refined[RotationMotion], plane: Refined[PlaneMotion]) -> float:
    """Twice the logarithm of the likelihood ratio of the plane over the rotation, without the matches that gain most.
    """
    noise = plane.noise
    inside_plane, outside = noise.densities(pairs.root_weights * plane.residuals)
    inside_rotation, _ = noise.densities(pairs.root_weights * rotation.residuals)
    gains = 2.0 * np.log((inside_plane + outside) / (inside_rotation + outside))
    kept = max(len(gains) - 3, 0)
    return float(np.partition(gains, kept)[:kept].sum()) if kept else 0.0
