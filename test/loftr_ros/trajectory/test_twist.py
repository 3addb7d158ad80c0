"""Velocities of steps against the matrix exponential and sampled errors."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from loftr_ros.geometry.uncertainty.covariance import UNOBSERVED
from loftr_ros.trajectory.twist import MeanTwist, mean_twist, twist_of, velocity_at_end
from perception_common.geometry import inverse, se3_log, skew, so3_exp, transform

seeds = st.integers(0, 10_000)


def exponential(twist):
    matrix = np.zeros((4, 4))
    matrix[:3, :3], matrix[:3, 3] = skew(twist[3:]), twist[:3]
    return expm(matrix)


@given(seeds, st.sampled_from([0.0, 1e-9, 1e-5, 1e-3, 0.5, 2.0]))
@settings(deadline=None, max_examples=40)
def test_the_logarithm_inverts_the_matrix_exponential(seed, turn):
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=3)
    twist = np.r_[5.0 * rng.normal(size=3), turn * axis / np.linalg.norm(axis)]
    np.testing.assert_allclose(se3_log(exponential(twist)), twist, atol=1e-7)


@given(seeds)
@settings(deadline=None, max_examples=4)
def test_the_covariance_of_a_twist_is_that_of_sampled_errors(seed):
    rng = np.random.default_rng(seed)
    T = exponential(np.r_[3.0 * rng.normal(size=3), 0.25 * rng.normal(size=3)])
    root, seconds = 1e-3 * rng.normal(size=(6, 6)), 2.0
    twist, covariance = twist_of(T, root @ root.T, seconds)
    np.testing.assert_allclose(exponential(seconds * twist), T, atol=1e-9)
    found = []
    for error in rng.normal(size=(3000, 6)) @ root.T:
        true = transform(so3_exp(error[3:]) @ T[:3, :3], T[:3, 3] + error[:3])
        found.append(se3_log(true) / seconds - twist)
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(np.cov(np.array(found).T) / scale, covariance / scale, atol=0.12)


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_a_base_that_moves_steadily_has_its_own_velocity_whatever_the_gimbal_does(made, seed):
    rng = np.random.default_rng(seed)
    velocity = np.r_[4.0 * rng.normal(size=3), 0.3 * rng.normal(size=3)]
    mounts = [exponential(rng.normal(size=6)) for _ in range(2)]
    T = inverse(mounts[0]) @ exponential(velocity) @ mounts[1]  # in the second between two keyframes
    step = made.pair(made.keyframe(0, mounts[0]), made.keyframe(1, mounts[1]), T)
    np.testing.assert_allclose(mean_twist(step, *mounts).twist, velocity, atol=1e-7)


def test_there_is_no_velocity_without_a_step_from_one_keyframe_to_the_next(made):
    one = np.eye(4)
    skipped = made.pair(made.keyframe(0), made.keyframe(2), exponential(np.ones(6)))
    assert mean_twist(skipped, one, one) is None
    next_one = made.pair(made.keyframe(0), made.keyframe(1), exponential(np.ones(6)))
    assert mean_twist(next_one, None, one) is None
    assert mean_twist(next_one, one, one) is not None
    twist, covariance = velocity_at_end(None, mean_twist(next_one, one, one))
    assert not twist.any()
    np.testing.assert_array_equal(covariance, UNOBSERVED * np.eye(6))


def test_the_covariance_of_a_velocity_covers_the_acceleration():
    """Braking at 2 m/s^2 from 6 m/s, in steps of a second: the mean differs by 1 m/s from the velocity at the end."""
    noise = 1e-4 * np.eye(6)
    means = [6.0, 6.0, 5.0, 3.0, 1.0]
    at_ends = [6.0, 6.0, 4.0, 2.0, 0.0]
    steps = [MeanTwist(np.array([mean, 0, 0, 0, 0, 0]), noise) for mean in means]
    for before, step, at_end in zip(steps, steps[1:], at_ends[1:], strict=False):
        twist, covariance = velocity_at_end(step, before)
        assert abs(twist[0] - at_end) <= 1.01 * np.sqrt(covariance[0, 0]) + 0.01
        assert covariance[1, 1] == noise[1, 1]
    _, steady = velocity_at_end(steps[1], steps[0])
    np.testing.assert_array_equal(steady, noise)
    _, from_rest = velocity_at_end(steps[0], None)
    assert np.sqrt(from_rest[0, 0]) > 5.9
