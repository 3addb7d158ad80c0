"""The front end finds loops, within its bounds, with a matcher that knows the true geometry."""

from dataclasses import replace
from itertools import chain
from types import SimpleNamespace

import numpy as np
import pytest

from loftr_ros.frontend import RECOVERY_MATCHINGS, Frontend, FrontendSettings
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.keyframes.policy import KeyframePolicy, Outcome
from loftr_ros.loops.settings import LoopSettings
from loftr_ros.matches import Matches
from loftr_ros.pair_estimation import PairSettings
from loftr_ros.turning.matching import WEAK
from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.geometry import inverse, pose_error, so3_log

WIDTH, HEIGHT = 320, 240  # footprint at 50 m: 80 m x 60 m
CAMERA = Camera(WIDTH, HEIGHT, (200.0, 0.0, 159.5, 0.0, 200.0, 119.5, 0.0, 0.0, 1.0))
BLOCK = 16  # pixels; the number of an image is the gray value of its top left block, which survives a smaller size
LINE = 6  # keyframes
FEATURES = 10_000  # bytes of an encoded image


class TrueMatcher:
    """Matches the ground of a flat world at poses that it knows; blind when images are turned by more than 45 degrees.

    encoded, matched, matched_in_full: how often. Places look like those within about 20 m.
    """

    name, trained, weights_sha256, device_name, repeats_keypoints = "true", True, "", "cpu", False
    turning_helps = True

    def __init__(self, poses):
        rng = np.random.default_rng(2)
        self.poses = poses
        self.ground = np.column_stack([rng.uniform(-400, 400, (12_000, 2)), rng.uniform(0, 2, 12_000)])
        self.waves, self.phases = rng.normal(scale=1 / 15, size=(200, 2)), rng.uniform(0, 6.28, 200)
        self.encoded = self.matched = self.matched_in_full = 0

    def with_settings(self, settings: MatcherSettings):
        return self

    def encode(self, gray, turns=0, *, rough=False):
        self.encoded += 1
        number = int(gray[2, 2])
        look = np.cos(self.waves @ self.poses[number][:2, 3] + self.phases)
        return SimpleNamespace(number=number, turns=turns, nbytes=FEATURES, descriptor=look)

    def match(self, image0, image1, known=None, *, rough=False):
        self.matched += 1
        self.matched_in_full += not rough
        pixels, seen = zip(*(self._project(image) for image in (image0, image1)), strict=True)
        T = inverse(self.poses[image0.number]) @ self.poses[image1.number]
        angle = so3_log(T[:3, :3])[2] + (image1.turns - image0.turns) * np.pi / 2
        both = np.flatnonzero(seen[0] & seen[1])
        if abs((angle + np.pi) % (2 * np.pi) - np.pi) > np.pi / 4:
            both = both[:5]
        rng = np.random.default_rng([image0.number, image1.number])
        points = [(p[both] + 0.2 * rng.normal(size=(len(both), 2))).astype(np.float32) for p in pixels]
        flat, numbers = np.ones(len(both), np.float32), np.arange(len(both))
        return Matches(*points, flat, flat, numbers, numbers, (WIDTH, HEIGHT), (WIDTH, HEIGHT))

    def _project(self, image):
        """Pixels of the ground in an image as it is, and which are seen."""
        T = inverse(self.poses[image.number])
        X = self.ground @ T[:3, :3].T + T[:3, 3]
        x, y = (X[:, :2] / X[:, 2:] * 200.0 + [159.5, 119.5]).T
        seen = (x > 0) & (x < WIDTH - 1) & (y > 0) & (y < HEIGHT - 1)
        return np.column_stack([x, y]), seen


def picture(number):
    image = np.random.default_rng(number).integers(60, 200, (HEIGHT, WIDTH)).astype(np.uint8)
    image[:BLOCK, :BLOCK] = number
    return image


@pytest.fixture(scope="module")
def there_and_back(nadir):
    """Poses of two lines, 24 m apart, flown there and back, with a turn on the spot in steps of 22.5 degrees."""
    there = [nadir(12.0 * k, 0.0) for k in range(LINE)]
    turn = [nadir(12.0 * (LINE - 1), 12.0, np.radians(22.5 * k)) for k in range(1, 8)]
    return there + turn + [nadir(12.0 * k, 24.0, np.pi) for k in range(LINE - 1, -1, -1)]


@pytest.fixture(scope="module")
def flown(there_and_back):
    """The results of the flight with everything in memory."""
    return fly(start(there_and_back), len(there_and_back))


def start(poses, **options):
    settings = {"loops": LoopSettings(6), "match_last": 1} | options
    policy = KeyframePolicy(max_interval=0.0)  # every image becomes a keyframe
    return Frontend(
        TrueMatcher(poses), FrontendSettings(policy=policy, pair=PairSettings(gimbal_pitch=-90.0), **settings)
    )


def process(frontend, number, stamp_s=None):
    stamp = round((number if stamp_s is None else stamp_s) * 1e9)
    header = SimpleNamespace(stamp=SimpleNamespace(sec=stamp // 10**9, nanosec=stamp % 10**9), frame_id="beam")
    frontend.sensors.add_range(SimpleNamespace(header=header, range=50.0, min_range=0.1, max_range=200.0))
    return frontend.process(stamp, picture(number), CAMERA, frame_id="camera")


def fly(frontend, count):
    return [process(frontend, number) for number in range(count)]


def closures_of(results):
    return [pair for result in results for pair in result.pairs if pair.is_loop]


def share_in_common(poses, older, newer):
    """Share of the 80 m x 60 m footprints in common; exact for headings of 0 and 180 degrees."""
    dx, dy = np.abs(poses[older][:2, 3] - poses[newer][:2, 3])
    return max(0.0, 1 - dx / 60.0) * max(0.0, 1 - dy / 80.0)


def test_a_flight_there_and_back_is_closed(there_and_back, flown):
    found = closures_of(flown)
    for pair in found:
        rotation, direction = pose_error(
            pair.matrix, inverse(there_and_back[pair.older.id]) @ there_and_back[pair.newer.id]
        )
        assert rotation < 1.0
        assert direction < 10.0
        assert pair.is_metric
    ids = {(pair.older.id, pair.newer.id) for pair in found}
    back = range(LINE + 7, len(there_and_back))
    wanted = {(i, n) for n in back for i in range(LINE) if share_in_common(there_and_back, i, n) >= 0.4}
    assert len(wanted & ids) >= 0.8 * len(wanted) > 10
    assert all(newer - older > 7 for older, newer in ids)
    assert not any(pair.is_loop for result in flown for pair in result.pairs[:1])  # these make the trajectory


@pytest.mark.parametrize("checks", [0, 2])
def test_a_keyframe_is_matched_with_no_more_than_loop_checks(there_and_back, checks):
    frontend = start(there_and_back, loops=LoopSettings(checks), match_last=2)
    matcher = frontend._matcher
    most = 0
    for number in range(len(there_and_back)):
        before = matcher.matched, matcher.encoded
        result = process(frontend, number)
        assert matcher.matched - before[0] <= 2 + checks
        assert matcher.encoded - before[1] <= 1 + 3
        most = max(most, len(closures_of([result])))
    assert most == checks


def test_the_checks_are_bounded_when_the_orientation_is_unknown(there_and_back):
    """After a failed step nothing says how the images are turned to each other."""
    frontend = start(there_and_back, recovery_candidates=0)
    fly(frontend, LINE)
    matcher = frontend._matcher
    for number in range(LINE + 7, len(there_and_back)):  # turned: the track is lost
        before = matcher.matched
        process(frontend, number, stamp_s=number)
        assert matcher.matched - before <= 1 + 6 * 4  # four orientations of each


@pytest.mark.parametrize("on_disk", [False, True])
def test_keyframes_without_features_still_close_loops(there_and_back, flown, tmp_path, on_disk):
    image = WIDTH * HEIGHT
    store = LoopSettings(6, str(tmp_path) if on_disk else "")
    memory = 4 * (image + FEATURES) if on_disk else 18 * image
    frontend = start(there_and_back, loops=store, memory=memory)
    results = []
    for number in range(len(there_and_back)):
        results.append(process(frontend, number))
        assert frontend.keyframe_bytes <= 1.25 * memory  # turned features take up to a quarter more
    assert frontend._matcher.encoded > len(there_and_back) + 7  # many were encoded again
    same = [[(p.older.id, p.newer.id) for p in closures_of(each)] for each in (flown, results)]
    if on_disk:
        assert same[0] == same[1]
        assert frontend.keyframes_kept == tuple(range(len(there_and_back)))
        for a, b in zip(closures_of(flown), closures_of(results), strict=True):
            np.testing.assert_array_equal(a.matrix, b.matrix)
    else:
        assert len(same[1]) > 5
    oldest = frontend.keyframes_kept[0]
    asked = frontend.match_keyframes(oldest, oldest + 1)
    assert asked.motion.geometry != Geometry.FAILED
    np.testing.assert_array_equal(frontend.image(oldest), picture(oldest))


def test_files_that_are_lost_in_flight_end_nothing(there_and_back, tmp_path):
    frontend = start(there_and_back, loops=LoopSettings(6, str(tmp_path)), memory=1)
    fly(frontend, LINE + 8)
    for path in tmp_path.rglob("*.png"):
        path.unlink()
    results = [process(frontend, k) for k in range(LINE + 8, len(there_and_back))]
    assert "cannot read" in frontend.problem
    assert all(result.decision.makes_keyframe for result in results)


def test_the_search_can_be_switched_on_in_flight(there_and_back):
    frontend = start(there_and_back, loops=LoopSettings(0))
    assert closures_of(fly(frontend, LINE + 8)) == []
    frontend.apply(FrontendSettings(frontend.settings.matcher, frontend.settings.policy, pair=frontend.settings.pair))
    assert closures_of([process(frontend, LINE + 8)])


def test_after_a_blackout_the_map_is_found_again_by_the_look(there_and_back, nadir):
    """The drone is carried back to a place that it saw long ago; one guess by time is not enough."""
    poses = [nadir(14.0 * k, 0.0) for k in range(16)] + [nadir(57.0, 5.0)]
    frontend = start(poses, recovery_candidates=2)
    fly(frontend, 16)
    back = process(frontend, 16, stamp_s=60.0)
    assert back.decision.outcome == Outcome.LOST
    (pair,) = back.pairs
    assert pair.older.id in (3, 4, 5)
    assert "found keyframe" in back.decision.reason
    np.testing.assert_allclose(back.T_map_camera[:3, 3], (inverse(poses[0]) @ poses[16])[:3, 3], atol=4.0)


def test_of_several_old_keyframes_in_view_the_best_is_found_again(nadir):
    """The newest one comes first in the order of the candidates, but shows a strip of the place alone."""
    poses = [nadir(14.0 * k, 0.0) for k in range(16)] + [nadir(380.0, 0.0), nadir(176.0, 5.0)]
    frontend = start(poses)
    fly(frontend, 16)
    assert process(frontend, 16, stamp_s=60.0).decision.outcome == Outcome.LOST
    assert len(frontend.match_keyframes(15, 16).matches) == 0
    (pair,) = process(frontend, 17, stamp_s=90.0).pairs
    assert pair.older.id == 13
    assert len(frontend.match_keyframes(15, 17).matches) > KeyframePolicy().lost_matches  # it would do, too


def test_a_lost_image_is_matched_roughly_with_all_candidates_and_in_full_with_two(nadir):
    poses = [nadir(14.0 * k, 0.0) for k in range(16)] + [nadir(380.0, 0.0)]
    frontend = start(poses)
    fly(frontend, 16)
    matcher = frontend._matcher
    before = matcher.matched, matcher.matched_in_full
    assert process(frontend, 16, stamp_s=60.0).decision.outcome == Outcome.LOST
    in_full = matcher.matched_in_full - before[1]
    assert in_full == 1 + RECOVERY_MATCHINGS  # the last keyframe, and two of the candidates
    turns = 4 * (1 + frontend.settings.recovery_candidates)
    assert matcher.matched - before[0] - in_full == turns + 2  # and half the size of either image of the first pair


@pytest.mark.parametrize(("weak", "most"), [(WEAK, 2), (1.1, 1)])
def test_a_trial_of_all_turns_takes_from_the_budget_of_checks(there_and_back, weak, most):
    """No match is stronger than 1, so each image is tried in all turns, in vain."""
    frontend = start(there_and_back, loops=LoopSettings(2))
    matcher = frontend._matcher
    in_full = []
    for number in range(len(there_and_back)):
        frontend._following = replace(frontend._following, weak=weak)
        before = matcher.matched_in_full
        process(frontend, number)
        in_full.append(matcher.matched_in_full - before)
    assert max(in_full) == 1 + most


def test_what_an_image_leaves_over_is_checked_with_later_images(nadir):
    """After a failed step three old keyframes show the place, and all turns are tried with each."""
    there = [nadir(x, 0.0) for x in (0.0, 14.0, 28.0, 42.0, 56.0, 57.0, 58.0, *np.arange(72.0, 240.0, 14.0))]
    back = [nadir(x, 5.0) for x in (56.6, 57.0, 57.2, 57.4)]
    lost = len(there)

    def fly_back(checks):
        frontend = start(there + back, recovery_candidates=0, loops=LoopSettings(checks))
        fly(frontend, lost)
        assert process(frontend, lost, stamp_s=60.0).decision.outcome == Outcome.LOST
        closed = [closures_of([process(frontend, lost + 1, stamp_s=60.1)])]
        frontend.apply(replace(frontend.settings, policy=KeyframePolicy()))
        for number in (2, 3):
            result = process(frontend, lost + number, stamp_s=60.1 + 0.1 * number)
            assert result.decision.outcome == Outcome.TRACKED
            closed.append(closures_of([result]))
        return [[(pair.older.id, pair.newer.id) for pair in each] for each in closed]

    at_once, spread = fly_back(6), fly_back(3)
    assert sorted(at_once[0]) == [(4, lost + 1), (5, lost + 1), (6, lost + 1)]
    assert at_once[1:] == [[], []]
    assert [len(each) for each in spread] == [1, 1, 1]
    assert sorted(chain.from_iterable(spread)) == sorted(at_once[0])


def test_a_flight_without_calibration_has_no_loops(there_and_back):
    frontend = start(there_and_back)
    results = [frontend.process(k * 10**9, picture(k), None) for k in range(len(there_and_back))]
    assert closures_of(results) == []
    assert frontend._matcher.matched == len(results) - 1  # each with the last keyframe


def test_a_new_trajectory_forgets_the_places(there_and_back):
    frontend = start(there_and_back)
    fly(frontend, LINE)
    frontend.forget()
    assert frontend.keyframes_kept == ()
    assert closures_of([process(frontend, k) for k in range(LINE + 6, len(there_and_back))]) == []


def test_negative_checks_are_refused():
    with pytest.raises(InputError, match="loop_checks must not be negative"):
        LoopSettings(-1)
