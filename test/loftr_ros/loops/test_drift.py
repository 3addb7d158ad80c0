"""The grown uncertainty against simulated trajectories."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.loops.drift import (
    ASSUMED_LENGTH,
    ROTATION_STEP,
    ExpectedMotion,
    point_deviation,
    relative_covariance,
    step_covariance,
    step_twist,
)
from perception_common.geometry import inverse, so3_exp, so3_log, transform

SIGMAS = np.array([0.2, 0.1, 0.15, 0.004, 0.008, 0.006])


def steps(count):
    rng = np.random.default_rng(5)
    return [transform(so3_exp(rng.normal(scale=0.4, size=3)), rng.normal([8, 0, 0], 1.0)) for _ in range(count)]


def chained(motions):
    poses = [np.eye(4)]
    for T in motions:
        poses.append(poses[-1] @ T)
    return poses


def disturbed(T, error):
    return transform(so3_exp(error[3:]) @ T[:3, :3], T[:3, 3] + error[:3])


def test_the_covariance_between_two_keyframes_is_that_of_simulated_trajectories():
    motions = steps(8)
    poses = chained(motions)
    covariance = np.diag(SIGMAS**2)
    twist = sum(step_twist(a, b, covariance) for a, b in pairwise(poses[2:]))  # from keyframe 2 on
    expected = relative_covariance(twist, poses[2], poses[-1])

    rng = np.random.default_rng(6)
    T = inverse(poses[2]) @ poses[-1]
    errors = []
    for _ in range(4000):
        drawn = chained([disturbed(each, SIGMAS * rng.normal(size=6)) for each in motions])
        found = inverse(drawn[2]) @ drawn[-1]
        errors.append(np.concatenate([found[:3, 3] - T[:3, 3], so3_log(found[:3, :3] @ T[:3, :3].T)]))
    sampled = np.cov(np.array(errors).T)
    scale = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(sampled / np.outer(scale, scale), expected / np.outer(scale, scale), atol=0.1)


def test_the_deviation_of_a_point_is_the_largest_of_all_axes():
    twist = np.diag([0.0, 0.0, 0.0, 0.0, 0.0, 0.01**2])  # about z
    (found,) = point_deviation(twist[None], np.array([[30.0, 40.0, 7.0]]))
    assert found == pytest.approx(0.01 * 50.0)


def pair_of(geometry, direction, covariance):
    motion = SimpleNamespace(geometry=geometry, translation=direction, covariance=covariance)
    return SimpleNamespace(motion=motion, covariance=covariance)


def test_an_assumed_length_is_uncertain_along_the_step():
    direction = np.array([0.0, 0.6, 0.8])
    covariance = np.diag([1e-4, 1e-4, 1e-4, 1e-6, 1e-6, 1e-6]) + np.pad(1e4 * np.outer(direction, direction), (0, 3))
    found = step_covariance(pair_of(Geometry.GENERAL, direction, covariance), length=10.0, depth=50.0, is_assumed=True)
    assert direction @ found[:3, :3] @ direction == pytest.approx((ASSUMED_LENGTH * 10.0) ** 2)
    assert found[0, 0] == pytest.approx(1e-4 * 10.0**2)  # across
    np.testing.assert_allclose(found[3:, 3:], covariance[3:, 3:])


def test_a_mere_turn_hardly_moves_the_camera():
    covariance = np.diag([1e4] * 3 + [1e-6] * 3)
    found = step_covariance(pair_of(Geometry.ROTATION_ONLY, np.zeros(3), covariance), 0.0, depth=50.0, is_assumed=False)
    np.testing.assert_allclose(found, np.diag([(ROTATION_STEP * 50.0) ** 2] * 3 + [1e-6] * 3))


def test_an_uncertain_expectation_is_no_prior():
    T = transform(np.eye(3), np.array([3.0, 0.0, 0.0]))
    sure = ExpectedMotion(T, np.diag([0.01] * 3 + [1e-4] * 3), depth=50.0)
    np.testing.assert_array_equal(sure.prior, T)
    somewhere = ExpectedMotion(T, np.diag([4.0] * 3 + [1e-4] * 3), depth=50.0)
    np.testing.assert_array_equal(somewhere.prior, np.eye(4))
    assert ExpectedMotion(T, np.diag([0.01] * 3 + [0.1] * 3), depth=50.0).prior is None
