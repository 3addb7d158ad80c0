"""Keypoint ids join matches of several pairs to tracks."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.tracks import CELL, KeypointIds, name_matches

points = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=30).map(
    lambda cells: (np.array(cells, float).reshape(-1, 2) + 0.5) * CELL
)


def test_a_point_keeps_its_id_over_three_keyframes():
    a, b, c = (np.array([[4.0, 4], [100, 50]]) + shift for shift in (0, 20, 40))
    first = name_matches(KeypointIds(), KeypointIds(), a, b, next_id=7)
    second = name_matches(first.keypoints1, KeypointIds(), b + 1, c, first.next_id)  # found a pixel beside
    third = name_matches(first.keypoints0, second.keypoints1, a, c, second.next_id)

    np.testing.assert_array_equal(first.ids0, [7, 8])
    for named in (first, second, third):
        np.testing.assert_array_equal(named.ids0, [7, 8])
        np.testing.assert_array_equal(named.ids1, [7, 8])
    assert third.next_id == 9


def test_of_two_matches_to_one_place_the_first_keeps_the_id():
    a = np.array([[4.0, 4], [100, 50]])
    b = np.array([[4.0, 4], [5, 5]])
    named = name_matches(KeypointIds(), KeypointIds(), a, b, 0)
    np.testing.assert_array_equal(named.ids0, [0, 1])
    np.testing.assert_array_equal(named.ids1, [0, 0])


def test_no_matches_no_ids():
    named = name_matches(KeypointIds(), KeypointIds(), np.zeros((0, 2)), np.zeros((0, 2)), 3)
    assert named.ids0.shape == named.ids1.shape == (0,)
    assert named.next_id == 3


@given(points, points, points)
@settings(deadline=None, max_examples=100)
def test_an_id_belongs_to_one_place_of_a_keyframe(a, b, c):
    n, m = min(len(a), len(b)), min(len(b), len(c))
    first = name_matches(KeypointIds(), KeypointIds(), a[:n], b[:n], 0)
    second = name_matches(first.keypoints1, KeypointIds(), b[:m], c[:m], first.next_id)
    for keypoints in (first.keypoints0, second.keypoints0, second.keypoints1):
        ids = list(keypoints.by_cell.values())
        assert len(set(ids)) == len(ids)
        assert all(0 <= i < second.next_id for i in ids)
    for cell, number in first.keypoints1.by_cell.items():
        assert second.keypoints0.by_cell[cell] == number  # an id is never taken away
