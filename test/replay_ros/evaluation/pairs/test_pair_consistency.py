"""NEES of pairs: errors drawn from known covariances, and a truth with errors of its own."""

import numpy as np
import pytest

from loftr_ros.geometry.two_view.relative_pose import Geometry
from perception_common.geometry import inverse, so3_exp, transform
from replay_ros.evaluation.pairs.consistency import EXACT, TruthDeviation, consistency_of_pairs, normalised_error
from replay_ros.evaluation.pairs.estimators import PoseEstimate
from replay_ros.evaluation.pairs.metrics import PairErrors

DIRECTION = np.array([0.0, 0.6, 0.8])
DEVIATION = 0.01  # radians, of the estimates
BASELINE = 5.0  # metres


def drawn(rng, deviation):
    """The pose (4, 4) of camera b in a with random errors of its rotation and direction, and a baseline of 1."""
    across = rng.normal(scale=deviation, size=3)
    direction = DIRECTION + across - DIRECTION * (across @ DIRECTION)
    return transform(so3_exp(rng.normal(scale=deviation, size=3)), direction / np.linalg.norm(direction))


def errors_of(count, truth_deviation=0.0, truth=EXACT):
    """Pairs whose estimates and truths err independently."""
    rng = np.random.default_rng(3)
    covariance = DEVIATION**2 * np.eye(6)  # along the direction it does not count
    pairs = []
    for _ in range(count):
        found = PoseEstimate(inverse(drawn(rng, DEVIATION)), 100, Geometry.GENERAL, covariance)
        true = drawn(rng, truth_deviation)
        true[:3, 3] *= BASELINE
        nees, dof = normalised_error(found, inverse(true), truth)
        pairs.append(PairErrors("a", "b", 100, 80, "GENERAL", 1.0, None, 0.1, 0.1, nees=nees, dof=dof))
    return consistency_of_pairs(pairs)


def test_errors_of_the_stated_size_are_consistent():
    found = errors_of(400)
    assert found.mean == pytest.approx(1.0, abs=0.1)
    assert found.inside_95 == pytest.approx(0.95, abs=0.03)
    assert found.by_geometry == {"GENERAL": pytest.approx(found.mean)}
    assert "NEES" in found.sentence


def test_the_deviation_of_the_truth_is_taken_into_account():
    truth = TruthDeviation(degrees=np.degrees(0.02))
    assert errors_of(400, truth_deviation=0.02).mean == pytest.approx(5.0, rel=0.15)
    assert errors_of(400, truth_deviation=0.02, truth=truth).mean == pytest.approx(1.0, abs=0.1)


def test_the_deviation_of_the_true_translation_counts_as_an_angle_over_the_baseline():
    found = PoseEstimate(inverse(transform(np.eye(3), np.array([0, 0, 1.0]))), 9, Geometry.GENERAL, 1e-12 * np.eye(6))
    true = transform(np.eye(3), BASELINE * np.array([np.sin(0.02), 0, np.cos(0.02)]))
    nees, dof = normalised_error(found, inverse(true), TruthDeviation(degrees=1e-4, length=0.1))
    assert dof == 5
    assert nees == pytest.approx((0.02 / (0.1 / BASELINE)) ** 2, rel=1e-3)


def test_no_covariance_gives_no_figure():
    plain = PoseEstimate(np.eye(4), 9, Geometry.GENERAL)
    assert normalised_error(plain, np.eye(4)) == (None, 0)
    assert consistency_of_pairs([PairErrors("a", "b", 9, 9, "GENERAL", 1.0, None, 0.1, 0.1)]) is None
