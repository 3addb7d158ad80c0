"""The fit of a calibration to sets of boxes, and the F1 over the threshold."""

import numpy as np
import pytest
from scipy.special import expit, logit

from replay_ros.evaluation.calibration_fit import LOWEST, ScoredBoxesOfSet, f1_over_threshold, fit_sets
from replay_ros.evaluation.detection.calibration.reliability import measure_reliability
from yolc_ros.calibration import calibrate
from yolc_ros.network.config import ScoreCalibration


def drawn(count: int, offset: float, seed: int) -> ScoredBoxesOfSet:
    """Boxes whose scores are overconfident by `offset` in the logit."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(LOWEST, 0.95, count)
    return ScoredBoxesOfSet(scores, rng.random(count) < expit(logit(scores) - offset), objects=count)


def test_after_the_fit_held_out_scores_are_probabilities():
    fitted = fit_sets([drawn(20_000, 1.0, 1)], "ab")
    held_out = drawn(20_000, 1.0, 2)
    assert fitted.weights_sha256 == "ab"
    assert measure_reliability(held_out.scores, held_out.is_hit, 0.0).error > 0.15
    assert measure_reliability(calibrate(held_out.scores, fitted), held_out.is_hit, 0.0).error < 0.02


def test_sets_count_alike_whatever_their_number_of_boxes():
    small, large = drawn(2_000, 0.0, 3), drawn(40_000, 2.0, 4)
    assert fit_sets([small, large], "").offset == pytest.approx(-0.94, abs=0.15)
    assert fit_sets([large], "").offset == pytest.approx(-2.0, abs=0.1)


def test_boxes_of_hardly_any_score_are_not_fitted():
    boxes = drawn(5_000, 0.5, 5)
    more = ScoredBoxesOfSet(
        np.concatenate([boxes.scores, np.full(3_000, 0.05)]),
        np.concatenate([boxes.is_hit, np.ones(3_000, bool)]),
        9_000,
    )
    assert fit_sets([boxes], "") == fit_sets([more], "")


def test_the_f1_over_the_threshold_counts_hits_false_and_missed():
    boxes = ScoredBoxesOfSet(np.array([0.9, 0.6, 0.4]), np.array([True, False, True]), objects=4)
    f1 = f1_over_threshold(boxes, ScoreCalibration(1.0, 0.0), np.array([0.3, 0.5, 0.95]))
    np.testing.assert_allclose(f1, [4 / 7, 2 / 6, 0.0])
