"""Increments of an odometry against sampled errors of known covariance, and gaps."""

from types import SimpleNamespace

import numpy as np
import pytest

from loftr_ros.geometry.uncertainty.covariance import UNOBSERVED, unknown_covariance
from loftr_ros.trajectory.covariance import propagate, step_between
from perception_common.geometry import inverse, quaternion_from_matrix, so3_exp, transform
from perception_common.tum import Trajectory
from replay_ros.evaluation.motion.odometry import (
    OdometryPose,
    compare_odometry,
    increment_errors,
    odometry_consistency,
)

STEP = np.diag([0.1, 0.2, 0.3, 0.01, 0.02, 0.03]) ** 2


def flight(seed, count, factor=1.0, covariances=None):
    """Odometry with errors of `factor` times the covariance, and the true poses."""
    rng = np.random.default_rng(seed)
    pose, covariance, true = OdometryPose(0, np.eye(4), 1e-3 * np.eye(6)), 1e-3 * np.eye(6), [np.eye(4)]
    poses = [pose]
    for k in range(count):
        step = transform(so3_exp(0.3 * rng.normal(size=3)), 4.0 * rng.normal(size=3))
        of_step = STEP if covariances is None else covariances[k]
        error = factor * np.sqrt(np.diag(STEP)) * rng.normal(size=6)
        true.append(true[-1] @ transform(so3_exp(error[3:]) @ step[:3, :3], step[:3, 3] + error[:3]))
        covariance = propagate(poses[-1].T, covariance, step, of_step)
        poses.append(OdometryPose((k + 1) * 10**9, poses[-1].T @ step, covariance))
    return poses, true


def test_the_step_between_two_poses_of_a_chain_has_the_covariance_that_was_added():
    poses, _ = flight(1, 3)
    step, covariance = step_between(poses[2].T, poses[2].covariance, poses[3].T, poses[3].covariance)
    np.testing.assert_allclose(step, inverse(poses[2].T) @ poses[3].T, atol=1e-12)
    np.testing.assert_allclose(covariance, STEP, atol=1e-9)
    assert step_between(poses[3].T, poses[3].covariance, poses[1].T, poses[1].covariance) is None


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_nees_is_the_square_of_the_error_over_the_covariance(factor):
    found = odometry_consistency(increment_errors(*flight(2, 400, factor)))
    assert (found.increments, found.gaps, found.without_translation) == (400, 0, 0)
    assert found.nees_per_dof == pytest.approx(factor**2, rel=0.1)
    assert found.rms_m == pytest.approx(factor * np.sqrt(0.01 + 0.04 + 0.09), rel=0.1)
    assert found.rms_deg == pytest.approx(factor * np.degrees(np.sqrt(1e-4 + 4e-4 + 9e-4)), rel=0.1)
    assert (found.inside_95 > 0.9) == (factor == 1.0)


def test_gaps_are_counted_and_a_turn_counts_with_its_rotation():
    turn = STEP.copy()
    turn[:3, :3] = UNOBSERVED * np.eye(3)
    poses, true = flight(3, 5, covariances=[STEP, unknown_covariance(), STEP, turn, STEP])
    errors = increment_errors(poses, true)
    assert [error and error.dof for error in errors] == [6, None, 6, 3, 6]
    found = odometry_consistency(errors)
    assert (found.increments, found.gaps, found.without_translation) == (4, 1, 1)
    assert odometry_consistency([None]) is None
    again = [poses[4], poses[5], poses[1]]  # goes on from an older one
    assert increment_errors(again, [true[4], true[5], true[1]])[1] is None


def test_messages_of_a_base_are_compared_with_the_truth_of_the_camera():
    mount = transform(so3_exp(np.array([1.0, -2.0, 0.5])), np.array([0.3, 0.2, -0.1]))
    poses, true = flight(4, 300)
    cameras = Trajectory.from_matrices([pose.stamp_ns for pose in poses], [T @ mount for T in true])

    def message(pose):
        stamp = SimpleNamespace(sec=pose.stamp_ns // 10**9, nanosec=0)
        position = SimpleNamespace(**dict(zip("xyz", pose.T[:3, 3].tolist(), strict=True)))
        q = SimpleNamespace(**dict(zip("xyzw", quaternion_from_matrix(pose.T[:3, :3]).tolist(), strict=True)))
        at = SimpleNamespace(pose=SimpleNamespace(position=position, orientation=q), covariance=pose.covariance.ravel())
        return SimpleNamespace(header=SimpleNamespace(stamp=stamp), pose=at)

    found = compare_odometry(map(message, poses), cameras, mount)
    assert found.nees_per_dof == pytest.approx(1.0, abs=0.1)
    assert compare_odometry(map(message, poses), cameras, np.eye(4)).nees_per_dof > 1.5
