"""Whether a pair shows a translation: the test of a rotation alone against a plane with a translation.

Both models are homographies, nested: H = R against H = R + t n', with five parameters more. Without a translation,
twice the logarithm of their likelihood ratio has a chi-squared distribution with five degrees of freedom (Wilks, Annals
of Mathematical Statistics 1938). The noise and the share of wrong matches come from the fit of the plane, so the test
needs no scale of the residuals. Errors that neighbouring matches share raise the ratio by the variance inflation
factor, so the thresholds are multiplied by that (the first-order correction of Rao and Scott, Annals of Statistics
1984).

Relief looks like noise to a plane, and then hides a small translation. Where it is visible, a plane with relief is
tested too. Its heights change only what a translation displaces: without one it is a rotation as well.

With thousands of matches the test sees the systematic errors of a matcher too, which are a fraction of its noise. A
translation therefore must also have an effect: it must explain MIN_EFFECT standard deviations of an average match.
"""

from __future__ import annotations

from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.two_view import thresholds
from loftr_ros.geometry.two_view.homography.motion import PlaneMotion, RotationMotion
from loftr_ros.geometry.two_view.homography.relief_motion import ReliefMotion
from loftr_ros.geometry.uncertainty.dependence import variance_inflation
from loftr_ros.geometry.uncertainty.noise import Noise
from loftr_ros.geometry.uncertainty.refinement import Refined


def is_rotation_only(
    pairs: RayPairs,
    rotation: Refined[RotationMotion],
    translating: Refined[PlaneMotion] | Refined[ReliefMotion],
    *,
    noise: Noise,
    log_likelihood: float,
) -> bool:
    """Return whether plane and translation explain no more than the rotation does; both fitted to all `pairs`.

    noise, log_likelihood: of the matches as points, under the motion with a translation.
    """
    turned = noise.log_likelihood(pairs.root_weights * rotation.residuals)
    gain = 2.0 * (log_likelihood - turned)
    right = noise.inlier_ratio * len(pairs)
    least = max(thresholds.MIN_GAIN, right * thresholds.MIN_EFFECT**2)
    if gain < least:  # the inflation is at least 1
        return True
    return gain < least * variance_inflation(pairs, translating)
