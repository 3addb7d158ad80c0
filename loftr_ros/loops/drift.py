"""How the uncertainty of the trajectory grows: covariances of the pose of a keyframe in an older one.

Each step of the trajectory adds an independent error. As a twist about the origin of the map (v, w), which moves a
point c by v + w x c, the errors of the steps just add up, so the error between two keyframes is a difference of sums.
Covariances are 6x6: twists with v first; poses as geometry/uncertainty/covariance.py has them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.two_view.ambiguity import COURSE_CHANGE, ROTATION_CHANGE
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.results import PairResult
from loftr_ros.trajectory.covariance import with_length
from perception_common.geometry import skew, transform

ASSUMED_LENGTH = 0.5  # relative standard deviation of a step whose length is not measured (empirical)
ROTATION_STEP = 0.05  # of the depth of the scene: deviation of the motion in a pair that only turned (empirical)


@dataclass(frozen=True, eq=False)
class ExpectedMotion:
    """The pose T (4, 4) of a camera in an older one by the trajectory, in units of the map.

    covariance: (6, 6) in ROS order, axes of the older camera. depth: of the scene in the newer camera.
    """

    T: np.ndarray
    covariance: np.ndarray
    depth: float

    @property
    def prior(self) -> np.ndarray | None:
        """The motion (4, 4), as a prior to choose among the motions of a plane; None where it is too uncertain.

        The translation is 0 where its direction is too uncertain.
        """
        if np.linalg.eigvalsh(self.covariance[3:, 3:])[-1] > ROTATION_CHANGE**2:
            return None
        length = float(np.linalg.norm(self.T[:3, 3]))
        deviation = float(np.sqrt(max(np.linalg.eigvalsh(self.covariance[:3, :3])[-1], 0.0)))
        is_known = deviation < COURSE_CHANGE * length
        return transform(self.T[:3, :3], self.T[:3, 3] if is_known else np.zeros(3))


def step_covariance(pair: PairResult, length: float, depth: float, *, is_assumed: bool) -> np.ndarray:
    """Return the covariance (6, 6) of the step that the trajectory takes over a pair that has not failed.

    length: of the step, in units of the map. depth: of the scene, in units of the map. is_assumed: the length is not
    measured.
    """
    if pair.motion.geometry == Geometry.ROTATION_ONLY:
        return with_standing(pair.covariance, depth)
    if is_assumed:
        return with_length(pair.motion.covariance, pair.motion.translation, length, ASSUMED_LENGTH * length)
    return pair.covariance


def with_standing(covariance: np.ndarray, depth: float) -> np.ndarray:
    """Return the covariance (6, 6) of a pose without translation: it may have moved by a share of the scene's depth."""
    found = covariance.copy()
    found[:3], found[:, :3] = 0.0, 0.0
    found[:3, :3] = (ROTATION_STEP * depth) ** 2 * np.eye(3)
    return found


def step_twist(T_map_older: np.ndarray, T_map_newer: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return the covariance (6, 6) of the twist of a step, from that of the newer pose in the older one."""
    R = T_map_older[:3, :3]
    jacobian = np.zeros((6, 6))
    jacobian[:3, :3] = jacobian[3:, 3:] = R
    jacobian[:3, 3:] = skew(T_map_newer[:3, 3]) @ R
    return jacobian @ covariance @ jacobian.T


def relative_covariance(twist: np.ndarray, T_map_older: np.ndarray, T_map_newer: np.ndarray) -> np.ndarray:
    """Return the covariance (6, 6) of the newer pose in the older one, axes of the older camera.

    twist: (6, 6), covariance of the sum of the steps between the two.
    """
    R = T_map_older[:3, :3].T
    jacobian = np.zeros((6, 6))
    jacobian[:3, :3] = jacobian[3:, 3:] = R
    jacobian[:3, 3:] = -R @ skew(T_map_newer[:3, 3])
    return jacobian @ twist @ jacobian.T


def point_deviation(twists: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return standard deviations (N,) of points (N, 3) of the map under twists (N, 6, 6): the largest of all axes."""
    jacobians = np.zeros((len(points), 3, 6))
    jacobians[:, :, :3] = np.eye(3)
    x, y, z = points.T
    jacobians[:, 0, 4], jacobians[:, 0, 5] = z, -y
    jacobians[:, 1, 3], jacobians[:, 1, 5] = -z, x
    jacobians[:, 2, 3], jacobians[:, 2, 4] = y, -x
    covariances = jacobians @ twists @ jacobians.transpose(0, 2, 1)
    return np.sqrt(np.maximum(np.linalg.eigvalsh(covariances)[:, -1], 0.0))
