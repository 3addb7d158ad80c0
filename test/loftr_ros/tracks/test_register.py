"""Keypoint ids over several pairs of keyframes."""

import numpy as np

from loftr_ros.tracks.register import KeypointRegister

POINTS = np.array([[10.0, 10.0], [50.0, 20.0]])


def test_a_point_keeps_its_id_from_pair_to_pair():
    register = KeypointRegister()
    for keyframe in (0, 1, 2):
        register.add(keyframe)
    _, newer = register.name(0, 1, POINTS, POINTS + 5, radius=4.0, inlier=None)
    older, newest = register.name(1, 2, POINTS + 5, POINTS + 9, radius=4.0, inlier=None)
    np.testing.assert_array_equal(older, newer)
    np.testing.assert_array_equal(newest, newer)
    np.testing.assert_allclose(register.known_points(2), POINTS + 9)


def test_a_dropped_keyframe_has_no_points_and_its_ids_are_not_used_again():
    register = KeypointRegister()
    register.add(0)
    register.add(1)
    before, _ = register.name(0, 1, POINTS, POINTS, radius=4.0, inlier=None)
    register.drop([0])
    assert register.known_points(0) is None
    register.clear()
    register.add(2)
    register.add(3)
    after, _ = register.name(2, 3, POINTS, POINTS, radius=4.0, inlier=None)
    assert min(after) > max(before)


def test_a_keyframe_that_is_not_registered_can_be_matched_but_keeps_nothing():
    register = KeypointRegister()
    register.add(1)
    register.name(0, 1, POINTS, POINTS, radius=4.0, inlier=None)
    assert register.known_points(0) is None
    assert len(register.known_points(1)) == len(POINTS)
