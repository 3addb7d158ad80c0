"""Yaw and focal length against motions that are known in closed form."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay_ros.bags.telemetry.contradictions import check_telemetry, focal_ratio, yaw_errors
from replay_ros.bags.telemetry.flight import FrameTelemetry
from replay_ros.bags.telemetry.pair_motions import PairMotion
from replay_ros.bags.telemetry.readings import CameraAngles, Lens

LENS = Lens(focal=0.6, deviation=0.05, source="a test")


def rotation(yaw, pitch=-90.0):
    return CameraAngles(yaw, pitch, 0.0, "horizon", "a test", 1.0, 5.0).rotation()


def flight(places, true_yaws, stated_yaws, *, pitch=-90.0, metres=1.0, height=40.0):
    """Telemetry with the stated yaws, and the motions that pictures with the true ones show.

    metres: distances by altitude over the true ones.
    """
    frames = {
        str(k): FrameTelemetry(
            location=np.array([*place, height]),
            location_deviations=np.array([1.0, 1.0, 0.5]),
            height=height,
            height_deviation=0.01 * height,
            rotation=rotation(yaw, pitch),
            rotation_covariance=np.eye(3),
            lens=LENS,
        )
        for k, (place, yaw) in enumerate(zip(places, stated_yaws, strict=True))
    }
    motions = []
    for k in range(len(places) - 1):
        R0, R1 = rotation(true_yaws[k], pitch), rotation(true_yaws[k + 1], pitch)
        step = np.array([*np.subtract(places[k + 1], places[k]), 0.0])
        length = np.linalg.norm(step)
        motions.append(PairMotion(str(k), str(k + 1), R0.T @ R1, R0.T @ step / length, metres * length))
    return frames, motions


PLACES = [(0, 0), (10, 1), (20, 0), (30, 3), (30, 13), (20, 12), (10, 13)]


@settings(max_examples=50, deadline=None)
@given(
    true=st.lists(st.floats(-180, 180), min_size=len(PLACES), max_size=len(PLACES)),
    off=st.lists(st.floats(-179, 179), min_size=len(PLACES), max_size=len(PLACES)),
    pitch=st.floats(-90, -30),
)
def test_the_error_of_each_yaw_is_found_exactly(true, off, pitch):
    frames, motions = flight(PLACES, true, np.add(true, off), pitch=pitch)
    errors = yaw_errors(frames, motions)
    # Yaw is clockwise from north, the errors are counterclockwise.
    assert [math.degrees(errors[name]) for name in frames] == pytest.approx([-each for each in off], abs=1e-6)


def test_a_yaw_that_is_turned_is_put_right_and_said():
    true = [45, 44, 43, 45, 40, 41, 42]
    frames, motions = flight(PLACES, true, [45, 44, 43, 45, 220, 221, 222])
    checked = check_telemetry(frames, motions)
    for name, yaw in zip(frames, true, strict=True):
        np.testing.assert_allclose(checked.frames[name].rotation, rotation(yaw), atol=1e-9)
    assert "contradicts the pictures in 3 of 7 checked pictures, by 180 to 180 degrees (4, 5, 6)" in checked.notes[0]


def test_a_compass_that_is_a_little_off_is_left_alone():
    frames, motions = flight(PLACES, [45] * 7, [48] * 7)
    checked = check_telemetry(frames, motions)
    for name in frames:
        np.testing.assert_array_equal(checked.frames[name].rotation, rotation(48))
    assert "agrees with the pictures in all 7 checked pictures; median difference: +3.0" in checked.notes[0]


def test_one_wrong_course_does_not_turn_the_others():
    frames, motions = flight(PLACES, [45] * 7, [45] * 7)
    frames["3"] = FrameTelemetry(
        location=np.array([-60.0, 3.0, 40.0]),  # a jump of the GPS
        location_deviations=np.array([1.0, 1.0, 0.5]),
        rotation=rotation(45),
        rotation_covariance=np.eye(3),
        lens=LENS,
    )
    assert np.degrees(list(yaw_errors(frames, motions).values())) == pytest.approx([0.0] * 7, abs=1e-6)


def test_positions_too_close_to_tell_the_course_give_no_result():
    frames, motions = flight([(0, 0), (1, 0), (2, 0)], [0] * 3, [180] * 3)
    assert yaw_errors(frames, motions) == {}
    assert "was not checked" in check_telemetry(frames, motions).notes[0]


def test_a_gap_between_pictures_makes_two_runs():
    frames, motions = flight(PLACES, [0] * 7, [0, 0, 0, 180, 180, 180, 180])
    del motions[2]  # from the right ones to the wrong ones
    errors = np.degrees(list(yaw_errors(frames, motions).values()))
    np.testing.assert_allclose(np.abs(errors), [0, 0, 0, 180, 180, 180, 180], atol=1e-6)


def test_the_focal_length_moves_to_the_distances_of_gps_by_its_uncertainty():
    frames, motions = flight(PLACES, [0] * 7, [0] * 7, metres=1.06)
    assert focal_ratio(frames, motions) == pytest.approx((1.06, 0.01))
    lens = check_telemetry(frames, motions).frames["0"].lens
    share = 0.05**2 / (0.05**2 + 0.01**2)  # of two independent measurements, weighted by their variances
    assert lens.focal == pytest.approx(0.6 * 1.06**share)
    assert lens.deviation == pytest.approx((1 / 0.05**2 + 1 / 0.01**2) ** -0.5)


def test_distances_that_contradict_are_said_and_change_nothing():
    frames, motions = flight(PLACES, [0] * 7, [0] * 7, metres=0.6)
    checked = check_telemetry(frames, motions)
    assert checked.frames["0"].lens == LENS
    assert "0.60 times those by GPS: the ground lies lower" in checked.notes[-1]


def test_a_given_camera_keeps_the_lens():
    frames, motions = flight(PLACES, [0] * 7, [0] * 7, metres=1.06)
    assert check_telemetry(frames, motions, has_camera=True).frames["0"].lens == LENS


def test_oblique_views_tell_nothing_of_the_focal_length():
    frames, motions = flight(PLACES, [0] * 7, [0] * 7, pitch=-40.0)
    assert focal_ratio(frames, motions) is None
