"""Pose errors and the area under the recall curve, against exact values and dense sampling of the curve."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.geometry.accuracy import area_under_recall, pose_degrees
from perception_common.geometry import transform


def moved(x, y, z):
    return transform(cv2.Rodrigues(np.array([0.1, -0.2, 0.3]))[0], np.array([x, y, z]))


@settings(deadline=None, max_examples=50)
@given(errors=st.lists(st.floats(0, 180), min_size=1, max_size=30))
def test_the_area_equals_that_of_a_densely_sampled_curve(errors):
    # The curve rises linearly between sorted errors, from (0, 0), and is constant after the last one within the limit.
    values = np.sort(np.array(errors))
    knots_x = np.concatenate([[0.0], values])
    knots_y = np.arange(len(knots_x)) / len(values)
    x = (np.arange(20000) + 0.5) / 20000 * 10
    within = values < 10
    last = knots_y[np.count_nonzero(within)]
    y = np.interp(x, knots_x[: within.sum() + 1], knots_y[: within.sum() + 1], right=last)
    assert area_under_recall(np.array(errors), 10) == pytest.approx(y.mean(), abs=2e-3)


@pytest.mark.parametrize(("errors", "expected"), [([0.0, 0.0], 1.0), ([180.0] * 3, 0.0), ([5.0], 0.0), ([2.5], 0.75)])
def test_areas_computed_by_hand(errors, expected):
    assert area_under_recall(errors, 5) == pytest.approx(expected)


def test_a_missing_pose_or_translation_is_an_error_of_180_degrees():
    assert pose_degrees(None, moved(1, 0, 0)) == 180
    assert pose_degrees(moved(0, 0, 0), moved(1, 0, 0)) == 180


def test_without_a_true_translation_only_the_rotation_counts():
    assert pose_degrees(np.eye(4), moved(0, 0, 0)) == pytest.approx(np.degrees(np.sqrt(0.14)))
