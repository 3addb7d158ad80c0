"""Distances of matches to epipolar lines: known noise, and a truth that is turned by a known angle."""

import numpy as np
import pytest

from perception_common.cameras.camera import Camera
from perception_common.geometry import so3_exp, transform
from replay_ros.evaluation.pairs.metrics import PairErrors
from replay_ros.evaluation.pairs.truth_agreement import agreement_of_pairs, epipolar_distances

FOCAL = 500.0
CAMERA = Camera.from_matrix(np.array([[FOCAL, 0, 319.5], [0, FOCAL, 239.5], [0, 0, 1]]), 640, 480)
SIDEWAYS = transform(np.eye(3), np.array([0.2, 0.0, 0.0]))  # epipolar lines are rows


def matches(noise=0.0, count=2000):
    """Pixels of random points in both cameras; camera b sees them shifted along its rows, with noise across them."""
    rng = np.random.default_rng(5)
    points_a = rng.uniform((0, 0), (640, 480), (count, 2))
    shift = FOCAL * 0.2 / rng.uniform(2.0, 4.0, count)
    return points_a, points_a + np.column_stack([shift, noise * rng.normal(size=count)])


def distances(points, estimated, true, threshold=1.0):
    return epipolar_distances(*points, CAMERA, CAMERA, estimated=estimated, true=true, threshold=threshold)


def test_noise_across_the_lines_is_divided_between_both_images():
    median_of_normal = 0.6745
    estimate_px, truth_px = distances(matches(noise=0.3), SIDEWAYS, SIDEWAYS, threshold=5.0)
    assert estimate_px == pytest.approx(0.3 * median_of_normal / np.sqrt(2), rel=0.05)
    assert truth_px == estimate_px


def test_a_truth_turned_by_a_known_angle_is_contradicted_by_as_many_pixels():
    angle = 0.01  # radians, about the axis of the rows: all lines move by at least FOCAL * angle = 5 pixels
    turned = transform(so3_exp(np.array([angle, 0, 0])), SIDEWAYS[:3, 3])
    estimate_px, truth_px = distances(matches(), SIDEWAYS, turned)
    assert estimate_px == pytest.approx(0.0, abs=1e-9)
    assert FOCAL * angle / np.sqrt(2) < truth_px < 1.25 * FOCAL * angle / np.sqrt(2)


def test_matches_far_from_the_estimated_lines_do_not_count():
    points_a, points_b = matches()
    points_b[:900, 1] += 40.0
    assert distances((points_a, points_b), SIDEWAYS, SIDEWAYS) == pytest.approx((0.0, 0.0), abs=1e-9)


def test_a_motion_without_translation_has_no_epipolar_lines():
    still = np.eye(4)
    assert distances(matches(), still, SIDEWAYS) == (None, None)
    assert distances(matches(), SIDEWAYS, still) == (None, None)
    assert distances(matches(), None, SIDEWAYS) == (None, None)
    assert distances(matches(noise=100.0, count=3), SIDEWAYS, SIDEWAYS, threshold=1e-6) == (None, None)


def test_pairs_are_contradicted_above_the_threshold_of_inliers():
    def pair(estimate_px, truth_px):
        return PairErrors("a", "b", 9, 9, "GENERAL", 1.0, None, 0.1, 0.1, estimate_px=estimate_px, truth_px=truth_px)

    found = agreement_of_pairs([pair(0.2, 0.3), pair(0.4, 1.8), pair(0.3, 1.0), pair(None, None)], threshold=1.0)
    assert (found.pairs, found.contradicted) == (3, 1)
    assert (found.estimate_px, found.truth_px) == (0.3, 1.0)
    assert "in 1 of 3 pairs" in found.sentence
    assert agreement_of_pairs([pair(None, None)], threshold=1.0) is None
