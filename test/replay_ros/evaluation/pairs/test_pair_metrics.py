"""Summaries of pairs computed by hand, corner errors of known homographies."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay_ros.evaluation.pairs.metrics import PairErrors, corner_error, summarise_pairs

POSE = PairErrors("a", "b", 100, 80, "GENERAL", 1.0, None, 0.5, 0.1)
PLANE = PairErrors("a", "c", 50, 20, "PLANAR", None, 3.0, 0.5, 0.3)


def test_poses_alone():
    summary = summarise_pairs([POSE, replace(POSE, error_degrees=180.0, geometry="FAILED", inliers=0)])
    assert (summary.pairs, summary.success_5deg, summary.failures) == (2, 1, 1)
    assert summary.median_degrees == pytest.approx(90.5)
    # Recall rises from 0 to 1/2 at 1 degree and stays there.
    assert summary.auc == pytest.approx({"5": (0.25 + 2) / 5, "10": (0.25 + 4.5) / 10, "20": (0.25 + 9.5) / 20})
    assert summary.corner_px is None
    assert (summary.matches, summary.inliers) == (100, 40)
    assert summary.seconds_per_pair == pytest.approx(0.6)


def test_an_error_of_exactly_five_degrees_is_not_a_success():
    assert summarise_pairs([replace(POSE, error_degrees=5.0)]).success_5deg == 0


def test_homographies_alone():
    summary = summarise_pairs([PLANE, replace(PLANE, corner_px=1.0)])
    assert summary.corner_px == pytest.approx(2.0)
    assert summary.success_5deg is None
    assert set(summary.auc.values()) == {None}
    assert summary.median_degrees is None


def test_the_area_of_the_corner_errors_counts_a_failure_as_infinite():
    summary = summarise_pairs([replace(PLANE, corner_px=1.0), replace(PLANE, corner_px=None, geometry="FAILED")])
    # Recall rises from 0 to 1/2 at 1 pixel and stays there.
    assert summary.corner_auc == pytest.approx({"3": (0.25 + 1) / 3, "5": (0.25 + 2) / 5, "10": (0.25 + 4.5) / 10})
    assert set(summarise_pairs([POSE]).corner_auc.values()) == {None}


def test_a_failed_homography_leaves_no_mean_corner_error():
    summary = summarise_pairs([PLANE, replace(PLANE, corner_px=None, geometry="FAILED")])
    assert summary.corner_px is None
    assert summary.failures == 1


def test_poses_and_homographies_are_summarised_separately():
    summary = summarise_pairs([POSE, PLANE])
    assert (summary.pairs, summary.success_5deg, summary.corner_px) == (2, 1, 3.0)


def test_the_corner_error_of_a_shift_is_its_length():
    shift = np.array([[1, 0, 3], [0, 1, -4], [0, 0, 1.0]])
    assert corner_error(shift, np.eye(3), 640, 480) == pytest.approx(5.0)


@settings(deadline=None, max_examples=50)
@given(angle=st.floats(-0.5, 0.5), factor=st.floats(0.1, 10), width=st.integers(2, 2000), height=st.integers(2, 2000))
def test_the_scale_of_the_matrix_has_no_effect(angle, factor, width, height):
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    # Corner pixels lie on the chord of a circle about the first one.
    sides = np.array([0, width - 1, np.hypot(width - 1, height - 1), height - 1])
    expected = np.mean(2 * np.abs(np.sin(angle / 2)) * sides)
    assert corner_error(factor * turn, np.eye(3), width, height) == pytest.approx(expected, abs=1e-6)
