"""Odometry against the truth, increment by increment: errors, and whether the covariances fit them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import chi2

from loftr_ros.geometry.uncertainty.covariance import UNKNOWN_ROTATION, UNOBSERVED
from loftr_ros.trajectory.covariance import step_between
from perception_common.geometry import compose, inverse, so3_log
from perception_common.stamps import stamp_ns
from perception_common.tum import Trajectory
from replay_ros.evaluation.motion.edges import matrix_of_pose
from replay_ros.evaluation.motion.results import OdometryConsistency
from replay_ros.evaluation.motion.truth import TOLERANCE, associate

_REGION = 0.95  # probability of the confidence region


@dataclass(frozen=True, eq=False)
class OdometryPose:
    """A pose of an odometry: T (4, 4) with its covariance (6, 6), ROS order."""

    stamp_ns: int
    T: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True, eq=False)
class IncrementError:
    """Error of the motion between two poses.

    error: (6,), true minus estimated: translation, metres, and rotation, radians, in the axes of the older pose.
    covariance: (6, 6). has_translation: the translation is known, else the rotation alone.
    """

    error: np.ndarray
    covariance: np.ndarray
    has_translation: bool

    @property
    def dof(self) -> int:
        """Degrees of freedom that are known."""
        return 6 if self.has_translation else 3

    @property
    def nees(self) -> float:
        """Normalised squared error of what is known."""
        known = slice(0, 6) if self.has_translation else slice(3, 6)
        error = self.error[known]
        return float(error @ np.linalg.solve(self.covariance[known, known], error))


def poses_of_messages(messages: Iterable[Any]) -> Iterator[OdometryPose]:
    """Yield the poses of nav_msgs/Odometry messages, of rclpy or rosbags."""
    for message in messages:
        covariance = np.array(message.pose.covariance, np.float64).reshape(6, 6)
        yield OdometryPose(stamp_ns(message.header), matrix_of_pose(message.pose.pose), covariance)


def compare_odometry(
    messages: Iterable[Any], truth: Trajectory, T_child_optical: np.ndarray, tolerance: float = TOLERANCE
) -> OdometryConsistency | None:
    """Compare nav_msgs/Odometry messages with the true poses of the optical frame; None without known increments.

    T_child_optical: (4, 4), pose of the optical frame in the child frame of the odometry. tolerance: largest stamp
    difference of a pose and its truth, seconds.
    """
    poses = list(poses_of_messages(messages))
    matched, true, _ = associate(np.array([pose.stamp_ns for pose in poses], np.int64), truth, tolerance)
    kept = np.flatnonzero(matched)
    T_optical_child = inverse(T_child_optical)
    return odometry_consistency(
        increment_errors([poses[k] for k in kept], [compose(true[k], T_optical_child) for k in kept])
    )


def increment_errors(poses: Sequence[OdometryPose], true: Sequence[np.ndarray]) -> list[IncrementError | None]:
    """Compare the motions between consecutive poses with those between the true poses (4, 4) of the same frame.

    None for a gap: the newer pose does not continue the older one, or not even the rotation between them is known.
    """
    errors: list[IncrementError | None] = []
    for (older, true_older), (newer, true_newer) in pairwise(zip(poses, true, strict=True)):
        found = step_between(older.T, older.covariance, newer.T, newer.covariance)
        if found is None or newer.stamp_ns <= older.stamp_ns:
            errors.append(None)
            continue
        step, covariance = found
        variances = np.linalg.eigvalsh(covariance[:3, :3])[-1], np.linalg.eigvalsh(covariance[3:, 3:])[-1]
        if variances[1] >= UNKNOWN_ROTATION / 2:
            errors.append(None)
            continue
        moved = compose(inverse(true_older), true_newer)
        error = np.concatenate([moved[:3, 3] - step[:3, 3], so3_log(moved[:3, :3] @ step[:3, :3].T)])
        errors.append(IncrementError(error, covariance, has_translation=bool(variances[0] < UNOBSERVED / 2)))
    return errors


def odometry_consistency(errors: Sequence[IncrementError | None]) -> OdometryConsistency | None:
    """Summarise the errors of increments; None without any that is known."""
    known = [error for error in errors if error is not None]
    if not known:
        return None
    dof, nees = np.array([each.dof for each in known]), np.array([each.nees for each in known])
    moved = [each for each in known if each.has_translation]
    return OdometryConsistency(
        increments=len(known),
        gaps=len(errors) - len(known),
        without_translation=len(known) - len(moved),
        nees_per_dof=float(nees.sum() / dof.sum()),
        median_nees_per_dof=float(np.median(nees / dof)),
        inside_95=float(np.mean(nees <= chi2.ppf(_REGION, dof))),
        rms_m=_rms([each.error[:3] for each in moved]) if moved else None,
        rms_deg=float(np.degrees(_rms([each.error[3:] for each in known]))),
    )


def _rms(errors: Sequence[np.ndarray]) -> float:
    return float(np.sqrt(np.mean([error @ error for error in errors])))
