"""The front end without ROS, on a simulated flight with exact truth."""

from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest

from loftr_ros.frontend import Frontend, FrontendSettings
from loftr_ros.geometry.scale.result import ScaleSource
from loftr_ros.geometry.two_view.relative_pose import Geometry, TwoViewSettings
from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.keyframes.policy import KeyframePolicy, Outcome
from loftr_ros.matcher import Matcher
from loftr_ros.pair_estimation import PairSettings, expected_motion
from loftr_ros.tracks.keypoint_ids import KeypointIds, longest_first
from perception_common.backends.devices import choose_device
from perception_common.errors import InputError

EVERY = KeyframePolicy(max_interval=0.0)  # every image becomes a keyframe
PAIR = PairSettings(two_view=TwoViewSettings(threshold=1.0))


@pytest.fixture(scope="module")
def matcher():
    return Matcher.load("loftr_lite", "default", choose_device("cpu"))


@pytest.fixture
def frontend(matcher):
    return Frontend(matcher, FrontendSettings(policy=EVERY, pair=PAIR))


def header(stamp_ns):
    return SimpleNamespace(stamp=SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9), frame_id="beam")


def add_altitude(frontend, stamp_ns, metres):
    message = SimpleNamespace(header=header(stamp_ns), range=metres, min_range=0.1, max_range=200.0)
    assert frontend.sensors.add_range(message)


def fly(frontend, flight, frames=range(5), altitude=False):
    """Results of some frames of a flight."""
    results = []
    for k in frames:
        if altitude:
            add_altitude(frontend, flight.stamps_ns[k], float(flight.poses[k][2, 3]))
        results.append(frontend.process(flight.stamps_ns[k], flight.images[k], flight.camera, frame_id="camera"))
    return results


def test_an_altitude_gives_metres(frontend, small_flight):
    results = fly(frontend, small_flight, altitude=True)
    pairs = [pair for result in results for pair in result.pairs]
    ids = [(pair.older.id, pair.newer.id) for pair in pairs]
    assert ids == [(0, 1), (1, 2), (0, 2), (2, 3), (1, 3), (3, 4), (2, 4)]
    for pair in pairs:
        true = small_flight.motion(pair.older.id, pair.newer.id)[:3, 3]
        error = pair.matrix[:3, 3] - true
        assert pair.scale.source == ScaleSource.ALTITUDE
        assert np.linalg.norm(error) < 0.06 * np.linalg.norm(true)
        assert np.trace(pair.covariance[:3, :3]) < 0.1 * true @ true  # the length is known too
    assert results[-1].pose.is_metric
    end = small_flight.motion(0, 4)[:3, 3]
    assert np.linalg.norm(results[-1].T_map_camera[:3, 3] - end) < 0.05 * np.linalg.norm(end)


def test_a_depth_image_gives_metres(frontend, small_flight):
    depth = np.ascontiguousarray(small_flight.depths[0], "<f4")
    layout = {"encoding": "32FC1", "height": 240, "width": 320, "step": 4 * 320, "is_bigendian": 0}
    message = SimpleNamespace(header=header(small_flight.stamps_ns[0]), data=depth.tobytes(), **layout)
    assert frontend.sensors.add_depth(message)
    (pair,) = fly(frontend, small_flight, range(2))[-1].pairs
    assert pair.scale.source == ScaleSource.DEPTH
    true = small_flight.motion(0, 1)[:3, 3]
    assert np.linalg.norm(pair.matrix[:3, 3] - true) < 0.06 * np.linalg.norm(true)


def test_without_a_sensor_the_length_is_unknown_and_never_called_metric(frontend, small_flight):
    results = fly(frontend, small_flight, range(3))
    assert len(results[-1].pairs) == 2
    for pair in results[-1].pairs:
        assert pair.scale.source == ScaleSource.UNKNOWN
        assert np.linalg.norm(pair.matrix[:3, 3]) == pytest.approx(1.0)
    assert results[0].pose.is_metric  # the origin
    assert not results[-1].pose.is_metric
    assert results[-1].pose.assumed == results[-1].pairs[0].scale.reason != ""


def test_a_stale_altitude_turns_unknown_and_says_so(frontend, small_flight):
    add_altitude(frontend, small_flight.stamps_ns[0] - 10**9, 50.0)
    pair = fly(frontend, small_flight, range(2))[-1].pairs[0]
    assert pair.scale.source == ScaleSource.UNKNOWN
    assert "the altitude is 1.00 s old" in pair.scale.reason


def test_an_unmeasured_step_is_as_long_as_the_last_measured_one(frontend, small_flight):
    fly(frontend, small_flight, range(2), altitude=True)
    measured, guessed = fly(frontend, small_flight, (2, 3))  # keyframe 1 still has its altitude, keyframe 2 none
    assert measured.pairs[0].is_metric
    assert measured.pose.is_metric
    assert not guessed.pairs[0].is_metric
    assert not guessed.pose.is_metric
    step = np.linalg.inv(measured.T_map_camera) @ guessed.T_map_camera
    assert np.linalg.norm(step[:3, 3]) == pytest.approx(np.linalg.norm(measured.pairs[0].matrix[:3, 3]))


def test_matches_on_detected_vehicles_are_flagged_and_left_out(frontend, small_flight):
    car = SimpleNamespace(class_name="car", score=0.9, center_x=100.0, center_y=120.0, size_x=120.0, size_y=160.0)
    sign = SimpleNamespace(class_name="sign", score=0.9, center_x=260.0, center_y=120.0, size_x=60.0, size_y=160.0)
    for stamp in small_flight.stamps_ns[:2]:
        message = SimpleNamespace(
            header=header(stamp), trained=True, image_width=320, image_height=240, detections=[car, sign]
        )
        assert frontend.sensors.add_detections(message)
    pair = fly(frontend, small_flight, range(2))[-1].pairs[0]
    margin = 0.1 * np.array([120.0, 160.0]) + 4.0  # of DynamicSettings
    low, high = (np.array([100.0, 120.0]) - 0.5 + side * (np.array([60.0, 80.0]) + margin) for side in (-1, 1))
    on = [((p >= low) & (p <= high)).all(axis=1) for p in (pair.matches.points0, pair.matches.points1)]
    np.testing.assert_array_equal(pair.dynamic, on[0] | on[1])
    assert 0.2 < pair.dynamic.mean() < 0.9
    assert pair.dynamic_reason == ""
    assert pair.motion.geometry != Geometry.FAILED


def test_missing_detections_are_said(frontend, small_flight):
    assert "no detections" in fly(frontend, small_flight, range(2))[-1].pairs[0].dynamic_reason


def test_dark_and_blurred_images_are_no_keyframes(matcher, small_flight):
    frontend = Frontend(matcher, FrontendSettings(policy=replace(EVERY, max_bad_seconds=100.0), pair=PAIR))
    image, stamps = small_flight.images[0], small_flight.stamps_ns
    night = frontend.process(0, image // 64, small_flight.camera)
    assert night.decision.outcome == Outcome.SKIPPED
    assert night.keyframe is None
    assert night.pose is None
    assert fly(frontend, small_flight, range(3))[-1].keyframe.id == 2
    dark = frontend.process(stamps[3], image // 8, small_flight.camera)
    assert dark.decision.outcome == Outcome.TRACKED
    assert "dark" in dark.decision.reason
    assert dark.new_keyframe is None
    assert dark.keyframe.id == 2


def elsewhere(shape):
    """An image of another place."""
    noise = np.random.default_rng(1).integers(0, 256, (shape[0] // 8, shape[1] // 8))
    return np.kron(noise, np.ones((8, 8))).astype(np.uint8)


def test_a_lost_track_goes_on_from_the_older_keyframe_that_fits(frontend, small_flight):
    before = fly(frontend, small_flight, (0, 1), altitude=True)
    far = frontend.process(small_flight.stamps_ns[2], elsewhere((240, 320)), small_flight.camera)
    assert far.decision.outcome == Outcome.LOST
    assert far.pairs[0].motion.geometry == Geometry.FAILED
    np.testing.assert_array_equal(far.T_map_camera, before[-1].T_map_camera)

    (back,) = fly(frontend, small_flight, (3,), altitude=True)
    assert back.decision.outcome == Outcome.LOST
    assert "found keyframe 1 again" in back.decision.reason
    assert [pair.older.id for pair in back.pairs] == [1]
    true = small_flight.motion(0, 3)[:3, 3]
    assert np.linalg.norm(back.T_map_camera[:3, 3] - true) < 0.06 * np.linalg.norm(true)
    assert back.pose.is_metric


def test_keyframes_are_kept_within_memory_and_matched_on_request(matcher, small_flight):
    unbounded = Frontend(matcher, FrontendSettings(policy=EVERY, pair=PAIR))
    fly(unbounded, small_flight)
    assert unbounded.keyframes_kept == (0, 1, 2, 3, 4)
    asked = unbounded.match_keyframes(1, 4)
    assert (asked.older.id, asked.newer.id) == (1, 4)
    assert asked.motion.geometry != Geometry.FAILED

    bounded = Frontend(matcher, FrontendSettings(policy=EVERY, pair=PAIR, memory=1, match_last=1))
    fly(bounded, small_flight)
    assert bounded.keyframes_kept == (3, 4)
    assert bounded.match_keyframes(3, 4).motion.geometry != Geometry.FAILED
    with pytest.raises(InputError, match="keyframe 0 is no longer kept: kept are 3 to 4"):
        bounded.match_keyframes(0, 4)
    with pytest.raises(InputError, match="there is no keyframe 99"):
        bounded.match_keyframes(3, 99)
    with pytest.raises(InputError, match="lower id first"):
        bounded.match_keyframes(4, 3)


def test_a_request_finds_the_keypoints_under_their_names(frontend, small_flight):
    first = fly(frontend, small_flight, range(2))[-1].pairs[0]
    again = frontend.match_keyframes(0, 1)
    inside = first.motion.inliers
    assert inside.sum() > 100
    # The points of the first pair are known now and matched from where they lie.
    names = dict(zip(again.ids0.tolist(), again.ids1.tolist(), strict=True))
    kept = [names.get(a) == b for a, b in zip(first.ids0[inside].tolist(), first.ids1[inside].tolist(), strict=True)]
    assert np.mean(kept) > 0.9


def test_tracks_are_measured(frontend, small_flight):
    results = fly(frontend, small_flight, altitude=True)
    assert results[0].tracks is None
    assert results[1].tracks.mean_length == 2.0
    assert 2.0 < results[-1].tracks.mean_length <= 5.0
    assert all(0.0 < result.tracks.median_error_px < 1.5 for result in results[1:])


def test_the_same_flight_gives_the_same_results(matcher, small_flight):
    one, other = (
        fly(Frontend(matcher, FrontendSettings(policy=EVERY, pair=PAIR)), small_flight, range(3), True)
        for _ in range(2)
    )
    one, other = ([pair for result in results for pair in result.pairs] for results in (one, other))
    assert len(one) == 3
    for a, b in zip(one, other, strict=True):
        for field in ("ids0", "ids1", "dynamic", "matrix", "covariance"):
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field), err_msg=field)
        for field in fields(a.matches):
            np.testing.assert_array_equal(getattr(a.matches, field.name), getattr(b.matches, field.name))


def test_forgetting_starts_a_new_trajectory_with_new_ids(frontend, small_flight):
    fly(frontend, small_flight, range(2))
    frontend.forget()
    assert frontend.keyframes_kept == ()
    result = fly(frontend, small_flight, (0,))[0]
    assert result.keyframe.id == 2
    np.testing.assert_array_equal(result.T_map_camera, np.eye(4))
    assert frontend.keyframes_made == 3


def test_settings_change_from_the_next_image_on(frontend, small_flight):
    fly(frontend, small_flight, (0,))
    frontend.apply(replace(frontend.settings, matcher=MatcherSettings(max_matches=5)))
    assert fly(frontend, small_flight, (1,))[0].matches == 5
    frontend.apply(replace(frontend.settings, memory=1, match_last=1, pair=replace(PAIR, gimbal_pitch=-75.0)))
    assert len(fly(frontend, small_flight, (2,))[0].pairs) == 1
    assert frontend.keyframes_kept == (1, 2)


def test_without_a_camera_there_is_no_pose_but_there_are_matches(frontend, small_flight):
    for k in range(2):
        result = frontend.process(small_flight.stamps_ns[k], small_flight.images[k], None)
    (pair,) = result.pairs
    assert len(pair.matches) > 100
    assert pair.motion.geometry == Geometry.FAILED
    assert "camera_info" in pair.motion.reason
    late = frontend.process(small_flight.stamps_ns[2], small_flight.images[2], small_flight.camera)
    assert late.pairs[0].motion.geometry != Geometry.FAILED  # the older image is of the same size


def test_the_last_motion_is_expected_again_only_where_it_is_certain(frontend, small_flight):
    results = fly(frontend, small_flight, range(3))
    last, newest = results[1].pairs[0], results[2].keyframe
    certain = replace(last, motion=replace(last.motion, covariance=1e-4 * np.eye(6)))
    expected = expected_motion(certain, last.newer, newest)
    np.testing.assert_allclose(expected, last.motion.matrix, atol=1e-9)  # frames are evenly apart
    doubtful = replace(last, motion=replace(last.motion, covariance=np.eye(6)))
    assert expected_motion(doubtful, last.newer, newest) is None
    assert expected_motion(certain, last.older, newest) is None
    assert expected_motion(None, last.newer, newest) is None


@pytest.mark.parametrize(
    "image", [np.zeros((240, 320, 3), np.uint8), np.zeros((240, 320)), np.zeros((0, 320), np.uint8)]
)
def test_anything_but_a_gray_image_is_refused(frontend, image):
    with pytest.raises(InputError, match="expected a gray image"):
        frontend.process(0, image, None)
    assert frontend.keyframes_made == 0


def test_only_new_keyframes_ask_for_their_mount_and_a_late_one_is_completed(matcher, small_flight):
    frontend = Frontend(matcher, FrontendSettings(policy=replace(EVERY, min_interval=3.0), pair=PAIR))
    asked, mount = [], np.diag([-1.0, 1.0, -1.0, 1.0])

    def ask(stamp, found):
        asked.append(stamp)
        return found

    for k, found in ((0, None), (1, mount), (2, mount)):  # the second one is too soon after the first
        stamp = small_flight.stamps_ns[k]
        result = frontend.process(stamp, small_flight.images[k], small_flight.camera, mount=lambda: ask(stamp, found))  # noqa: B023  # called at once
    assert asked == [small_flight.stamps_ns[k] for k in (0, 2)]
    (pair,) = result.pairs
    assert pair.older.T_base_camera is None
    np.testing.assert_array_equal(pair.newer.T_base_camera, mount)

    later = {}
    frontend.complete_mounts(lambda frame, stamp: later.setdefault((frame, stamp), mount))
    assert list(later) == [("", small_flight.stamps_ns[0])]  # the others are known
    np.testing.assert_array_equal(frontend.match_keyframes(0, 1).older.T_base_camera, mount)


class CentresOnly(Matcher):
    """Matches from the centres of the cells, whatever is known."""

    def match(self, features0, features1, known=None, *, rough=False):
        return super().match(features0, features1, rough=rough)


def test_tracks_last_because_known_places_are_matched_onward(matcher, small_flight):
    statistics = []
    for each in (matcher, CentresOnly(**vars(matcher))):
        frontend = Frontend(each, FrontendSettings(policy=EVERY, pair=PAIR))
        statistics.append(fly(frontend, small_flight, altitude=True)[-1].tracks)
    onward, centres = statistics
    assert onward.mean_length > 1.05 * centres.mean_length
    assert onward.long_share > 1.2 * centres.long_share
    assert onward.observed_share > centres.observed_share + 0.05
    assert onward.median_error_px < 0.9 * centres.median_error_px


def test_the_longest_tracks_come_first():
    def places(*ids):
        return KeypointIds(np.array(ids, np.uint32), np.array(ids)[:, None] * np.ones(2), np.ones(len(ids), np.int64))

    keypoints = {0: places(7), 1: places(7, 8), 2: places(5, 8, 7, 6), 3: places(6, 9)}
    assert longest_first(keypoints, 2)[:, 0].tolist() == [7, 8, 6, 5]
    assert longest_first({0: KeypointIds()}, 0).shape == (0, 2)
