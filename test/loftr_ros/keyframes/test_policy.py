"""The keyframe policy, without a network."""

from dataclasses import replace

import pytest

from loftr_ros.keyframes.policy import FIRST, KeyframePolicy, Outcome, ViewChange, decide, decide_first, is_too_soon
from loftr_ros.keyframes.quality import Appearance, Quality

POLICY = KeyframePolicy(
    min_interval=0.5,
    max_interval=3.0,
    hover_parallax_deg=1.0,
    hover_displacement=0.02,
    max_displacement=0.2,
    min_matches=100,
    lost_matches=20,
    min_overlap=0.6,
    max_parallax_deg=8.0,
    max_rotation_deg=25.0,
    max_bad_seconds=1.0,
)
SLOW = ViewChange(seconds=1.0, matches=500, overlap=0.95, displacement=0.05, parallax_deg=2.0, rotation_deg=1.0)
HOVERING = ViewChange(seconds=99.0, matches=500, overlap=0.95, displacement=0.03, parallax_deg=0.9, rotation_deg=1.0)
APPEARANCE = Appearance(0.3, 120.0, 20.0, 0.0, 0.0)
GOOD = Quality(APPEARANCE, "", 0.0)
TRIGGERS = [
    ("min_overlap", {"overlap": 0.59}, "59 % of the last keyframe"),
    ("max_parallax_deg", {"parallax_deg": 8.1}, "parallax of 8.1"),
    ("max_rotation_deg", {"rotation_deg": 25.1}, "turned by 25.1"),
    ("max_displacement", {"displacement": 0.21}, "moved by 0.21"),
    ("min_matches", {"matches": 99}, "99 matches"),
    ("max_interval", {"seconds": 3.0}, "3.0 s after"),
]


def blurred(seconds):
    return Quality(APPEARANCE, "blurred: 0.40 of the usual sharpness", seconds)


def test_an_image_that_still_shows_the_keyframe_is_tracked():
    decision = decide(POLICY, SLOW)
    assert decision.outcome == Outcome.TRACKED
    assert not decision.makes_keyframe
    assert "500 matches" in decision.reason


@pytest.mark.parametrize(("trigger", "change", "reason"), TRIGGERS)
def test_each_trigger_makes_a_keyframe_and_can_be_switched_off(trigger, change, reason):
    tracking = replace(SLOW, **change)
    decision = decide(POLICY, tracking)
    assert decision.outcome == Outcome.KEYFRAME
    assert decision.makes_keyframe
    assert reason in decision.reason
    assert decide(replace(POLICY, **{trigger: None}), tracking).outcome == Outcome.TRACKED


def test_without_cameras_parallax_and_rotation_say_nothing():
    assert decide(POLICY, replace(SLOW, parallax_deg=None, rotation_deg=None)).outcome == Outcome.TRACKED


@pytest.mark.parametrize("change", [{}, {"displacement": 0.5}, {"matches": 99}, {"parallax_deg": 0.0}])
def test_time_few_matches_and_displacement_make_no_keyframe_while_hovering(change):
    decision = decide(POLICY, replace(HOVERING, **change))
    assert decision.outcome == Outcome.TRACKED
    assert "hovering" in decision.reason
    assert decide(replace(POLICY, hover_parallax_deg=None), replace(HOVERING, **change)).makes_keyframe
    assert decide(replace(POLICY, max_interval=0.0), replace(HOVERING, **change)).makes_keyframe


@pytest.mark.parametrize(
    ("change", "reason"), [({"rotation_deg": 25.1}, "turned by"), ({"overlap": 0.59}, "still seen")]
)
def test_a_turn_on_the_spot_makes_a_keyframe_by_rotation_or_overlap(change, reason):
    decision = decide(POLICY, replace(HOVERING, displacement=0.5, **change))
    assert decision.outcome == Outcome.KEYFRAME
    assert reason in decision.reason


def test_hovering_ends_with_the_parallax():
    assert decide(POLICY, replace(HOVERING, parallax_deg=1.0)).makes_keyframe
    assert "hovering" not in decide(POLICY, SLOW).reason


def test_without_a_camera_hovering_is_a_small_displacement():
    unknown = replace(HOVERING, parallax_deg=None, rotation_deg=None)
    assert decide(POLICY, unknown).makes_keyframe
    assert decide(POLICY, replace(unknown, displacement=0.019)).outcome == Outcome.TRACKED
    assert decide(replace(POLICY, hover_displacement=None), replace(unknown, displacement=0.0)).makes_keyframe


def test_a_camera_that_hovers_can_lose_its_keyframe():
    assert decide(POLICY, replace(HOVERING, matches=19)).outcome == Outcome.LOST


@pytest.mark.parametrize("matches", [0, 19])
def test_a_keyframe_out_of_sight_is_lost(matches):
    decision = decide(POLICY, replace(SLOW, matches=matches, overlap=0.0))
    assert decision.outcome == Outcome.LOST
    assert decision.makes_keyframe
    assert decide(replace(POLICY, lost_matches=0), replace(SLOW, matches=matches)).outcome == Outcome.KEYFRAME


def test_an_image_too_soon_is_not_matched():
    assert is_too_soon(POLICY, 0.4).outcome == Outcome.SKIPPED
    assert is_too_soon(POLICY, 0.5) is None


@pytest.mark.parametrize("change", [{"overlap": 0.3}, {"matches": 5}])
def test_a_blurred_image_is_no_keyframe_until_there_was_nothing_better_for_long(change):
    tracking = replace(SLOW, **change)
    wanted = decide(POLICY, replace(tracking, quality=GOOD))
    assert wanted.makes_keyframe

    waiting = decide(POLICY, replace(tracking, quality=blurred(1.0)))
    assert waiting.outcome == Outcome.TRACKED
    assert "because the image is blurred" in waiting.reason
    assert wanted.reason in waiting.reason

    forced = decide(POLICY, replace(tracking, quality=blurred(1.1)))
    assert forced.outcome == wanted.outcome
    assert "nothing better for 1.1 s" in forced.reason
    assert not decide(replace(POLICY, max_bad_seconds=None), replace(tracking, quality=blurred(99.0))).makes_keyframe


def test_a_blurred_image_without_a_trigger_is_tracked_as_usual():
    assert decide(POLICY, replace(SLOW, quality=blurred(9.0))).reason == decide(POLICY, SLOW).reason


def test_the_first_keyframe_is_the_first_good_image():
    assert decide_first(POLICY, GOOD) == decide_first(POLICY, None) == FIRST
    assert decide_first(POLICY, blurred(0.5)).outcome == Outcome.SKIPPED
    assert decide_first(POLICY, blurred(1.5)).makes_keyframe
