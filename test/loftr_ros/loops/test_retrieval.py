"""Candidates by the trajectory, against the intersection of footprints, and by descriptors."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.loops.common_ground import SAMPLES, common_ground
from loftr_ros.loops.retrieval import MIN_COMMON, loop_candidates, similar_places
from loftr_ros.results import KeyframeInfo, TrajectoryPose
from perception_common.geometry import inverse

WIDTH, HEIGHT = 80.0, 60.0  # metres, footprint of the camera of conftest.py at 50 m
SURE = 1e-10 * np.eye(6)


def footprint_overlap(T0, T1):
    """Share of the second footprint that the first one covers, by intersecting both rectangles."""

    def corners(T):
        local = np.array([[-WIDTH, -HEIGHT], [WIDTH, -HEIGHT], [WIDTH, HEIGHT], [-WIDTH, HEIGHT]]) / 2
        return (local @ T[:2, :2].T + T[:2, 3]).astype(np.float32)

    return cv2.intersectConvexConvex(corners(T0), corners(T1))[0] / (WIDTH * HEIGHT)


@given(x=st.floats(-90, 90), y=st.floats(-90, 90), heading=st.floats(-3.1, 3.1))
@settings(deadline=None, max_examples=50)
def test_without_uncertainty_the_common_ground_is_that_of_the_footprints(fly_places, nadir, x, y, heading):
    older, newer = nadir(0, 0), nadir(x, y, heading)
    places = fly_places([nadir(-20, 0), older, newer])
    motions = np.stack([inverse(other) @ newer for other in (newer, older)])
    shares = common_ground([places[2], places[1]], places[2], motions, np.stack([SURE, SURE]))
    assert shares.shape == (2, SAMPLES)
    np.testing.assert_allclose(shares[0], 1.0, atol=0.12)
    np.testing.assert_allclose(shares[1], footprint_overlap(older, newer), atol=0.12)


def out_and_back(nadir, offset):
    """Ten keyframes ahead, then the same line back at a distance, turned by 180 degrees."""
    ahead = [nadir(30.0 * k, 0.0) for k in range(12)]
    return ahead + [nadir(30.0 * k, offset, np.pi) for k in range(11, -1, -1)]


@given(offset=st.floats(5, 120))
@settings(deadline=None, max_examples=25)
def test_a_sure_trajectory_chooses_what_overlaps_most(fly_places, nadir, offset):
    poses = out_and_back(nadir, offset)
    places = fly_places(poses, SURE)
    found = loop_candidates(places, 100, range(len(poses)), gap=7)
    shares = {k: footprint_overlap(poses[k], poses[-1]) for k in range(len(poses) - 8)}
    assert {k for k, share in shares.items() if share > MIN_COMMON + 0.1} <= {each.id for each in found}
    assert all(shares[each.id] > MIN_COMMON - 0.1 for each in found)
    ranked = [shares[each.id] for each in found]
    assert all(a > b - 0.15 for a, b in pairwise(ranked))
    for each in found:
        np.testing.assert_allclose(each.expected.T, inverse(poses[each.id]) @ poses[-1], atol=1e-9)


@given(sigma=st.floats(0.0, 3.0), offset=st.floats(0, 400))
@settings(deadline=None, max_examples=25)
def test_what_the_grown_uncertainty_cannot_reach_is_no_candidate(fly_places, nadir, sigma, offset):
    poses = out_and_back(nadir, offset)
    places = fly_places(poses, np.diag([sigma**2 + 1e-10] * 3 + [1e-12] * 3))
    for each in loop_candidates(places, 100, range(len(poses)), gap=7):
        steps = len(poses) - 1 - each.id
        distance = np.linalg.norm(poses[each.id][:3, 3] - poses[-1][:3, 3])
        assert distance < np.hypot(WIDTH, HEIGHT) + 3 * 2 * sigma * np.sqrt(steps) + 1e-6  # 2: INFLATION, a variance


def seen_again(count, place, others=1.0):
    """Descriptors of which the last one is that of a place; the others are random."""
    descriptors = others * np.random.default_rng(4).normal(size=(count, 32))
    descriptors[-1] = descriptors[place]
    return descriptors


def test_with_a_drifted_trajectory_the_descriptor_decides(fly_places, nadir):
    poses = out_and_back(nadir, 150.0)  # by the trajectory, 150 m beside the first line: no common ground
    descriptors = seen_again(len(poses), 2)
    drifted = np.diag([100.0] * 3 + [1e-8] * 3)  # 10 m a step: 45 m after 20 steps
    found = loop_candidates(fly_places(poses, drifted, descriptors), 4, range(len(poses)), gap=7)
    assert found[0].id == 2
    assert found[0].expected is not None
    assert loop_candidates(fly_places(poses, SURE, descriptors), 4, range(len(poses)), gap=7) == ()


def test_between_sections_only_a_similar_image_is_a_candidate(fly_places, nadir):
    poses = out_and_back(nadir, 0.0)
    found = loop_candidates(fly_places(poses, SURE, seen_again(24, 5), failed={14}), 4, range(24), gap=7)
    assert found[0].id == 5
    assert found[0].expected is None
    alike = np.ones((24, 32))
    assert loop_candidates(fly_places(poses, SURE, alike, failed={14}), 4, range(24), gap=7) == ()


@given(count=st.integers(0, 6), kept=st.sets(st.integers(0, 23)))
@settings(deadline=None, max_examples=25)
def test_candidates_are_bounded_kept_and_old(fly_places, nadir, count, kept):
    found = loop_candidates(fly_places(out_and_back(nadir, 20.0)), count, kept, gap=7)
    ids = [each.id for each in found]
    assert len(ids) == len(set(ids)) <= count
    assert set(ids) <= kept
    assert all(k < 24 - 8 for k in ids)


def test_the_ways_of_two_branches_add_up(fly_places, nadir, make_step):
    """After the track was found again at an old keyframe, the uncertainty is that of the way through it."""
    covariance = np.diag([1.0] * 3 + [1e-12] * 3)
    places = fly_places([nadir(10.0 * k, 0.0) for k in range(6)], covariance)
    camera = places[0].camera
    infos = [KeyframeInfo(k, k * 10**9, "camera", 640, 480, camera) for k in (1, 6)]
    pose = TrajectoryPose(infos[1], nadir(10.0, 10.0), is_metric=True, assumed="")
    pair = make_step(places[1].T_map_camera, pose.T_map_camera, covariance, *infos, depth=50.0)
    places.extend(pose, np.ones(4), pair)
    for k, steps in ((0, 2), (1, 1), (2, 2), (5, 5)):
        assert places.twist_to_newest(places[k])[0, 0] == pytest.approx(steps, rel=1e-6)


def test_the_map_is_found_again_by_the_look(fly_places, nadir):
    places = fly_places(out_and_back(nadir, 20.0), descriptors=np.eye(24))
    found = similar_places(places, np.eye(24)[3])
    assert max(found, key=found.get) == 3
    assert len(found) == 24
