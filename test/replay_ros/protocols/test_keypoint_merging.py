"""Shared keypoints: one in a cell, in its most confident bin, and one-to-one matches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay_ros.protocols.keypoint_merging import MergingOptions, assign_matches, merge_keypoints


def test_the_keypoint_is_the_weighted_mean_of_the_most_confident_bin():
    points = np.array([[1.0, 1.0], [1.4, 1.0], [5.0, 5.0], [20.0, 3.0]])
    confidence = np.array([0.3, 0.6, 0.8, 0.1])
    found = merge_keypoints(points, confidence, MergingOptions(cell=8, radius=2, max_keypoints=0))
    np.testing.assert_allclose(found.points, [[(0.3 * 1 + 0.6 * 1.4) / 0.9, 1], [20, 3]])
    np.testing.assert_allclose(found.scores, [0.9, 0.1])
    assert len(merge_keypoints(points, confidence, MergingOptions(max_keypoints=1)).points) == 1


def test_cells_begin_at_the_corner_of_the_image():
    """Pixel centres are at integers: the first cell of 8 pixels is -0.5 to 7.5."""
    points = np.array([[-0.4, 0.0], [7.4, 0.0], [7.6, 0.0]])
    assert len(merge_keypoints(points, np.ones(3), MergingOptions(cell=8, radius=8, max_keypoints=0)).points) == 2


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 200), st.integers(0, 1000))
def test_every_cell_with_points_has_exactly_one_keypoint(count, seed):
    rng = np.random.default_rng(seed)
    points, confidence = rng.uniform(0, 64, (count, 2)), rng.uniform(0, 1, count)
    found = merge_keypoints(points, confidence, MergingOptions(cell=8, radius=2, max_keypoints=0))

    def cells(values):
        return sorted(map(tuple, np.floor((values + 0.5) / 8).astype(int)))

    assert cells(found.points) == sorted(set(cells(points)))
    assert (np.diff(found.scores) <= 0).all()


def test_matches_are_one_to_one_and_the_most_confident_first():
    keypoints = np.array([[0.0, 0], [10, 0], [20, 0]])
    points0 = np.array([[0.5, 0], [0.2, 0], [10, 1], [20, 0], [15, 0]])
    points1 = np.array([[10.0, 0], [20, 0], [20, 1], [0, 1.5], [0, 0]])
    matches, scores = assign_matches(
        points0, points1, np.array([0.9, 0.8, 0.7, 0.6, 1.0]), keypoints, keypoints, radius=2
    )
    # The second match loses keypoint 0 to the first; the last one is too far from every keypoint.
    assert matches.tolist() == [1, 2, 0]
    assert scores.tolist() == pytest.approx([0.9, 0.7, 0.6])


@pytest.mark.parametrize(("count", "keypoints0", "keypoints1"), [(0, 2, 2), (2, 0, 2), (2, 2, 0)])
def test_no_points_or_keypoints_give_no_matches(count, keypoints0, keypoints1):
    matches, scores = assign_matches(
        np.zeros((count, 2)), np.zeros((count, 2)), np.ones(count), np.zeros((keypoints0, 2)),
        np.zeros((keypoints1, 2)), radius=2,
    )  # fmt: skip
    assert matches.tolist() == [-1] * keypoints0
    assert len(scores) == keypoints0
    assert len(merge_keypoints(np.zeros((0, 2)), np.zeros(0), MergingOptions()).points) == 0
