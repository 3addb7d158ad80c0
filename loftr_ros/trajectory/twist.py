"""The velocity of a vehicle or camera from the step between two keyframes, with its covariance.

Twists are (6,): linear, then angular velocity, m/s and rad/s, in the axes of the moving body.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loftr_ros.base_frame import edge_between_bases
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.geometry.uncertainty.covariance import UNOBSERVED
from loftr_ros.results import PairResult
from perception_common.geometry import se3_log, skew


@dataclass(frozen=True, eq=False)
class MeanTwist:
    """Mean twist (6,) of a step and its covariance (6, 6); what is not observed is 0, with a variance of UNOBSERVED."""

    twist: np.ndarray
    covariance: np.ndarray


def mean_twist(
    pair: PairResult, T_base_camera0: np.ndarray | None, T_base_camera1: np.ndarray | None
) -> MeanTwist | None:
    """Return the mean twist of a body between two keyframes; None where there is no step from one to the next.

    T_base_camera0, T_base_camera1: pose of the camera in the body at both, (4, 4) or None where it is unknown.
    """
    seconds = (pair.newer.stamp_ns - pair.older.stamp_ns) / 1e9
    is_step = pair.newer.id == pair.older.id + 1 and pair.motion.geometry != Geometry.FAILED and seconds > 0
    if T_base_camera0 is None or T_base_camera1 is None or not is_step:
        return None
    T, covariance = edge_between_bases(
        pair.matrix, pair.covariance, T_base_camera0, T_base_camera1, is_metric=pair.is_metric
    )
    twist, covariance = twist_of(T, covariance, seconds)
    if not pair.is_metric:  # the rotation alone is known
        twist[:3] = 0.0
        covariance[:3], covariance[:, :3] = 0.0, 0.0
        covariance[:3, :3] = UNOBSERVED * np.eye(3)
    return MeanTwist(twist, covariance)


def velocity_at_end(step: MeanTwist | None, before: MeanTwist | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the twist (6,) at the end of a step, and its covariance (6, 6), from the means of it and of the last one.

    Under a constant acceleration the mean differs from the velocity at the end by half of what the mean changes from
    step to step; right after the acceleration began, by all of it. So the square of the change is added, beyond its own
    noise. A body of unknown motion is taken to start from rest. Without a step all is unknown.
    """
    if step is None:
        return np.zeros(6), UNOBSERVED * np.eye(6)
    last: np.ndarray = np.zeros(6)
    noise: np.ndarray = np.diag(step.covariance)
    if before is not None:
        is_known = np.diag(before.covariance) < UNOBSERVED
        last = np.where(is_known, before.twist, 0.0)
        noise = noise + np.where(is_known, np.diag(before.covariance), 0.0)
    return step.twist, step.covariance + np.diag(np.maximum((step.twist - last) ** 2 - noise, 0.0))


def twist_of(T: np.ndarray, covariance: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the constant twist (6,) that moves a body by T (4, 4) in a time, and its covariance (6, 6).

    covariance: (6, 6) of T in ROS order.
    """
    motion, R = se3_log(T), T[:3, :3]
    turned = np.kron(np.eye(2), R.T)  # errors in the axes of the body after the motion
    bracket = np.kron(np.eye(2), skew(motion[3:]))
    bracket[:3, 3:] = skew(motion[:3])
    # The inverse of the right Jacobian of SE(3) up to the second order; its next term is of the fourth.
    J = (np.eye(6) + bracket / 2 + bracket @ bracket / 12) @ turned
    return motion / seconds, J @ covariance @ J.T / seconds**2
