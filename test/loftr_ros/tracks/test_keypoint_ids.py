"""Keypoint ids join matches of several pairs to tracks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.tracks.keypoint_ids import KeypointIds, name_matches

NONE = np.zeros((0, 2))
coordinates = st.floats(0, 40, width=32)
points = st.lists(st.tuples(coordinates, coordinates, st.booleans()), max_size=30).map(
    lambda rows: (np.array([row[:2] for row in rows]).reshape(-1, 2), np.array([row[2] for row in rows], bool))
)


def test_a_point_keeps_its_id_over_three_keyframes():
    a, b, c = (np.array([[4.0, 4], [100, 50]]) + shift for shift in (0, 20, 40))
    first = name_matches(KeypointIds(), KeypointIds(), a, b, next_id=7)
    second = name_matches(first.keypoints1, KeypointIds(), b + 1, c, first.next_id)  # found a pixel beside
    third = name_matches(first.keypoints0, second.keypoints1, a, c, second.next_id)

    for named in (first, second, third):
        np.testing.assert_array_equal(named.ids0, [7, 8])
        np.testing.assert_array_equal(named.ids1, [7, 8])
    assert third.next_id == 9


def test_a_place_is_the_mean_of_its_points():
    a = np.array([[10.0, 10]])
    keypoints, next_id = KeypointIds(), 0
    for shift in ([0, 0], [1, 0], [0, 2]):
        named = name_matches(keypoints, KeypointIds(), a + shift, a, next_id)
        keypoints, next_id = named.keypoints0, named.next_id
    np.testing.assert_allclose(keypoints.points, [[10 + 1 / 3, 10 + 2 / 3]])
    assert keypoints.counts.tolist() == [3]
    assert keypoints.ids.tolist() == [0]


@pytest.mark.parametrize(("radius", "places"), [(2.0, 2), (3.0, 1)])
def test_the_radius_says_what_is_one_place(radius, places):
    a, b = np.array([[0.0, 0], [2.5, 0]]), np.array([[0.0, 0], [90, 0]])
    assert len(name_matches(KeypointIds(), KeypointIds(), a, b, 0, radius=radius).keypoints0) == places


def test_points_on_both_sides_of_a_cell_border_are_one_place():
    a = np.array([[7.9, 7.9]])
    first = name_matches(KeypointIds(), KeypointIds(), a, a, 0)
    second = name_matches(first.keypoints0, KeypointIds(), a + 0.2, a, first.next_id)
    assert second.ids0.tolist() == first.ids0.tolist()


def test_of_two_matches_to_one_place_the_first_keeps_the_id():
    a, b = np.array([[4.0, 4], [100, 50]]), np.array([[4.0, 4], [5, 5]])
    named = name_matches(KeypointIds(), KeypointIds(), a, b, 0)
    np.testing.assert_array_equal(named.ids0, [0, 1])
    np.testing.assert_array_equal(named.ids1, [0, 0])


def test_an_outlier_joins_nothing_and_leaves_its_place_to_a_better_match():
    a, b, c = np.array([[4.0, 4], [100, 50]]), np.array([[24.0, 4], [120, 50]]), np.array([[44.0, 4], [140, 50]])
    first = name_matches(KeypointIds(), KeypointIds(), a, b, 0, inlier=np.array([True, False]))
    assert first.ids0[0] == first.ids1[0] == 0
    assert first.ids0[1] != first.ids1[1]
    assert first.keypoints0.ids.tolist() == first.keypoints1.ids.tolist() == [0]

    second = name_matches(first.keypoints1, KeypointIds(), b, c, first.next_id)
    np.testing.assert_array_equal(second.ids0, second.ids1)
    assert second.ids0[0] == 0
    assert second.ids0[1] not in {*first.ids0, *first.ids1}


def test_an_outlier_on_a_known_place_has_its_id_but_does_not_move_it():
    a = np.array([[4.0, 4], [100, 50]])
    first = name_matches(KeypointIds(), KeypointIds(), a, a, 0)
    second = name_matches(first.keypoints0, KeypointIds(), a + 1, a[::-1], 2, inlier=np.zeros(2, bool))
    assert second.ids0.tolist() == [0, 1]
    assert not set(second.ids1) & {0, 1}
    np.testing.assert_array_equal(second.keypoints0.points, first.keypoints0.points)
    assert len(second.keypoints1) == 0


def test_no_matches_no_ids():
    named = name_matches(KeypointIds(), KeypointIds(), NONE, NONE, 3)
    assert named.ids0.shape == named.ids1.shape == (0,)
    assert named.next_id == 3


def test_a_radius_of_zero_is_refused():
    with pytest.raises(ValueError, match="radius"):
        name_matches(KeypointIds(), KeypointIds(), NONE, NONE, 0, radius=0.0)


@given(points, points, points)
@settings(deadline=None)
def test_one_id_for_a_place_and_one_place_for_an_id(a, b, c):
    n, m = min(len(a[0]), len(b[0])), min(len(b[0]), len(c[0]))
    first = name_matches(KeypointIds(), KeypointIds(), a[0][:n], b[0][:n], 0, inlier=a[1][:n])
    second = name_matches(first.keypoints1, KeypointIds(), b[0][:m], c[0][:m], first.next_id, inlier=c[1][:m])
    for keypoints in (first.keypoints0, first.keypoints1, second.keypoints0, second.keypoints1):
        assert len(set(keypoints.ids.tolist())) == len(keypoints)
        assert (keypoints.ids < second.next_id).all()
    np.testing.assert_array_equal(second.keypoints0.ids[: len(first.keypoints1)], first.keypoints1.ids)  # none is lost
    inlier = a[1][:n]
    assert {*first.ids0[inlier].tolist()} == {*first.keypoints0.ids.tolist()}
    joined = first.ids0[~inlier & (first.ids0 == first.ids1)]
    assert {*joined.tolist()} <= {*first.keypoints0.ids.tolist()}  # only what better matches joined before
