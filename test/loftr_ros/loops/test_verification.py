"""Pairs that close a loop, and look-alikes that must not."""

from dataclasses import replace

import numpy as np
import pytest

from loftr_ros.geometry.scale.result import Scale, ScaleSource, unknown_scale
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.loops.drift import ExpectedMotion
from loftr_ros.loops.verification import disagreement, refusal
from loftr_ros.matches import Matches
from loftr_ros.pair_estimation import PairMotion
from loftr_ros.sensors.dynamic import DynamicMatches
from perception_common.geometry import so3_exp, transform

TRUE = transform(so3_exp(np.array([0.02, -0.01, 0.1])), np.array([9.0, 2.0, 0.5]))
DRIFT = np.diag([1.0] * 3 + [0.01**2] * 3)


def metres(motion, length):
    """The motion with a measured length."""
    scale = Scale(ScaleSource.ALTITUDE, length, variance=(0.02 * length) ** 2, by_pose=np.zeros(6), reason="")
    is_moving = np.zeros(len(motion.inliers), bool)
    return PairMotion(motion, scale, DynamicMatches(is_moving, ~is_moving * 1.0, ""))


@pytest.fixture(scope="module")
def seen(camera):
    """seen(T, count, wrong, part): matches of ground with relief 50 m away, and their motion."""

    def see(T=TRUE, count=200, wrong=0.1, part=1.0):
        rng = np.random.default_rng(1)
        X = np.column_stack([part * rng.uniform(-30, 30, (count, 2)), rng.uniform(42, 50, count)])
        K = camera.rectified_matrix
        points = []
        for Y in (X, (X - T[:3, 3]) @ T[:3, :3]):
            p = Y @ K.T
            points.append(p[:, :2] / p[:, 2:] + 0.3 * rng.normal(size=(count, 2)))
        is_wrong = rng.random(count) < wrong
        points[1][is_wrong] = rng.uniform(0, [640, 480], (is_wrong.sum(), 2))
        inside = ((points[1] >= 0) & (points[1] < [640, 480])).all(axis=1)
        points0, points1 = (p[inside].astype(np.float32) for p in points)
        motion = estimate_relative_pose(points0, points1, camera, camera)
        flat, numbers = np.ones(len(points0), np.float32), np.arange(len(points0))
        matches = Matches(points0, points1, flat, flat, numbers, numbers, (640, 480), (640, 480))
        return matches, metres(motion, float(np.linalg.norm(T[:3, 3])))

    return see


def test_a_pair_that_agrees_with_the_trajectory_closes_a_loop(seen):
    matches, estimate = seen()
    assert refusal(matches, estimate, ExpectedMotion(TRUE, DRIFT, depth=50.0)) == ""
    drifted = transform(so3_exp([0, 0, 0.02]) @ TRUE[:3, :3], TRUE[:3, 3] + [2.0, -1.5, 1.0])
    assert refusal(matches, estimate, ExpectedMotion(drifted, DRIFT, depth=50.0)) == ""
    assert refusal(matches, estimate, None) == ""


@pytest.mark.parametrize("shift", [[12.0, 0, 0], [0, 12.0, 0]])
def test_repeated_texture_one_period_beside_is_refused(seen, shift):
    """Rows of a field or of parked cars match perfectly, one period off."""
    alike = transform(TRUE[:3, :3], TRUE[:3, 3] + shift)
    matches, estimate = seen(alike, wrong=0.0)
    assert estimate.motion.inliers.mean() > 0.95
    assert "off the trajectory" in refusal(matches, estimate, ExpectedMotion(TRUE, DRIFT, depth=50.0))
    uncertain = np.diag([12.0**2] * 3 + [0.05**2] * 3)  # a drift that allows for it
    assert refusal(matches, estimate, ExpectedMotion(TRUE, uncertain, depth=50.0)) == ""


def test_a_wrong_rotation_is_refused(seen):
    turned = transform(so3_exp([0, 0, np.pi]) @ TRUE[:3, :3], TRUE[:3, 3])
    matches, estimate = seen(turned, wrong=0.0)
    assert "off the trajectory" in refusal(matches, estimate, ExpectedMotion(TRUE, DRIFT, depth=50.0))


def test_a_direction_is_compared_at_the_expected_length(seen):
    matches, estimate = seen()
    direction = replace(estimate, scale=unknown_scale("no sensor"))
    assert refusal(matches, direction, ExpectedMotion(TRUE, DRIFT, depth=50.0)) == ""
    aside = transform(TRUE[:3, :3], np.array([-2.0, 9.0, 0.5]))
    assert "off the trajectory" in refusal(matches, direction, ExpectedMotion(aside, DRIFT, depth=50.0))


def test_a_mere_turn_is_at_the_old_place(seen):
    turn = transform(so3_exp(np.array([0.0, 0.0, 0.3])), np.zeros(3))
    matches, estimate = seen(turn)
    assert estimate.motion.geometry == Geometry.ROTATION_ONLY
    near = transform(turn[:3, :3], np.array([1.0, 1.0, 0.0]))
    assert disagreement(estimate, ExpectedMotion(near, DRIFT, depth=50.0)) < 5
    far = transform(turn[:3, :3], np.array([25.0, 0.0, 0.0]))
    assert "off the trajectory" in refusal(matches, estimate, ExpectedMotion(far, DRIFT, depth=50.0))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"count": 31}, "inliers, fewer than 30"),
        ({"wrong": 0.8, "count": 400}, "of the matches agree"),
        ({"part": 0.15}, "parts of an image"),
    ],
)
def test_weak_evidence_is_refused(seen, options, why):
    assert why in refusal(*seen(**options), ExpectedMotion(TRUE, DRIFT, depth=50.0))


def test_without_a_trajectory_more_evidence_is_asked_for(seen):
    matches, estimate = seen(count=55)
    assert refusal(matches, estimate, ExpectedMotion(TRUE, DRIFT, depth=50.0)) == ""
    assert "fewer than 60" in refusal(matches, estimate, None)


def test_no_pose_is_no_closure(seen):
    matches, estimate = seen(count=8)
    assert estimate.motion.geometry == Geometry.FAILED
    assert refusal(matches, estimate, None) == estimate.motion.reason != ""
