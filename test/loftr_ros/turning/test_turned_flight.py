"""The front end on a simulated flight there and back: turned images, their number of encodings, and requests."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from flight_sim.camera import camera_pose, camera_with_fov, lens_of
from flight_sim.rendering.renderer import render_scene
from flight_sim.scene import SceneOptions, build_scene
from loftr_ros.frontend import Frontend, FrontendSettings
from loftr_ros.geometry.two_view.relative_pose import TwoViewSettings
from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.keyframes.policy import KeyframePolicy, Outcome
from loftr_ros.matcher import Matcher
from loftr_ros.pair_estimation import PairSettings
from loftr_ros.turning.following import Following
from loftr_ros.turning.matching import WEAK
from perception_common.backends.devices import choose_device
from perception_common.cameras.camera import Camera
from perception_common.geometry import quaternion_from_matrix, rotation_angle

EVERY = KeyframePolicy(max_interval=0.0)  # every image becomes a keyframe
PAIR = PairSettings(two_view=TwoViewSettings(threshold=1.0))
SIDE = 163.84  # metres
WIDTH, HEIGHT = 384, 288  # more than the images of a trial
THERE = [(x, 78.0, 0.0) for x in (60.0, 74.0, 88.0, 102.0)]  # x, y in metres, yaw of the heading
BACK = [(x, 86.0, np.pi) for x, _, _ in reversed(THERE)]


@dataclass(frozen=True, eq=False)
class Flight:
    """Frames of a flight. poses: T_world_camera (4, 4)."""

    camera: Camera
    images: list
    poses: list

    def rotation_error(self, pair, older, newer):
        """Degrees between the estimated and the true rotation of a pair of frames."""
        true = self.poses[older][:3, :3].T @ self.poses[newer][:3, :3]
        return np.degrees(rotation_angle(pair.motion.rotation.T @ true))


@dataclass(frozen=True, eq=False)
class Counting:
    """A matcher that counts its encodings, in parts of a full-size one."""

    matcher: Matcher
    encoded: list = field(default_factory=list)

    def __getattr__(self, name):
        return getattr(self.matcher, name)

    def with_settings(self, settings: MatcherSettings):
        return Counting(self.matcher.with_settings(settings), self.encoded)

    def encode(self, gray, turns=0, *, rough=False):
        self.encoded.append((gray.size / (WIDTH * HEIGHT), turns % 4))
        return self.matcher.encode(gray, turns, rough=rough)

    @property
    def encodings(self):
        return sum(part for part, _ in self.encoded)


@pytest.fixture(scope="module")
def flight():
    scene = build_scene(11, SceneOptions(side=SIDE, metres_per_pixel=0.16, urbanity=0.3))
    lens = lens_of(camera_with_fov(WIDTH, HEIGHT, 60.0)).undistorted
    poses = [camera_pose(np.array([x, y, 55.0]), yaw, np.radians(-82.0)) for x, y, yaw in THERE + BACK]
    images = [cv2.cvtColor(render_scene(scene, lens, pose, 0.0).image, cv2.COLOR_RGB2GRAY) for pose in poses]
    return Flight(Camera.from_matrix(lens.matrix, WIDTH, HEIGHT), images, poses)


@pytest.fixture(scope="module")
def loftr():
    return Matcher.load("loftr_lite", "default", choose_device("cpu"))


def fly(matcher, flight, frames, *, with_imu=False, **settings):
    """Return the front end and its results after some frames."""
    frontend = Frontend(matcher, FrontendSettings(policy=EVERY, pair=PAIR, match_last=1, **settings))
    results = []
    for k in frames:
        if with_imu:
            frontend.sensors.add_imu(orientation_of_camera(k, flight.poses[k][:3, :3]))
        results.append(frontend.process(k * 10**9, flight.images[k], flight.camera, frame_id="camera"))
    return frontend, results


def orientation_of_camera(seconds, rotation):
    """A sensor_msgs/Imu of the camera's frame, as a gimbal sends it."""
    x, y, z, w = quaternion_from_matrix(rotation)
    header = SimpleNamespace(stamp=SimpleNamespace(sec=seconds, nanosec=0), frame_id="camera")
    orientation = SimpleNamespace(x=x, y=y, z=z, w=w)
    return SimpleNamespace(header=header, orientation=orientation, orientation_covariance=[0.0] * 9)


@pytest.fixture(scope="module")
def flown(loftr, flight):
    """The whole flight with an IMU: the front end, its matcher and the results."""
    matcher = Counting(loftr)
    frontend, results = fly(matcher, flight, range(len(flight.images)), with_imu=True)
    return SimpleNamespace(frontend=frontend, encoded=tuple(matcher.encoded), matcher=matcher, results=results)


def test_with_an_imu_each_image_is_encoded_once_and_upright(flown, flight):
    assert all(result.decision.outcome == Outcome.KEYFRAME for result in flown.results)
    assert flown.encoded == ((1.0, 0),) * len(THERE) + ((1.0, 2),) * len(BACK)
    pairs = [pair for result in flown.results for pair in result.pairs]
    assert len(pairs) == len(flight.images) - 1
    assert max(flight.rotation_error(pair, pair.older.id, pair.newer.id) for pair in pairs) < 2.0


def test_a_request_across_the_flight_uses_kept_features(flown, flight):
    before = flown.matcher.encodings
    asked = flown.frontend.match_keyframes(1, len(flight.images) - 2)  # the same place
    assert flown.matcher.encodings == before
    assert len(asked.matches) > 200
    assert flight.rotation_error(asked, 1, len(flight.images) - 2) < 2.0


def test_a_straight_flight_without_sensors_costs_one_encoding_an_image(loftr, flight):
    matcher = Counting(loftr)
    fly(matcher, flight, range(len(THERE)))
    assert matcher.encodings <= 1.1 * len(THERE)


def test_a_weak_pair_is_turned_and_the_next_image_like_it(loftr, flight):
    """The drone turned around between two images, and no sensor tells it."""
    matcher = Counting(loftr)
    frontend, _ = fly(matcher, flight, [len(THERE) - 1])
    frontend._following = Following(weak=0.99)  # as if all flights before had been seen better
    for k in (len(THERE), len(THERE) + 1):
        (pair,) = frontend.process(k * 10**9, flight.images[k], flight.camera).pairs
        frontend._following = replace(frontend._following, weak=WEAK)
    assert [frontend._keyframe(k).encoded.turns for k in range(3)] == [0, 2, 2]
    assert [turns for part, turns in matcher.encoded if part == 1.0] == [0, 0, 2, 2]
    assert flight.rotation_error(pair, len(THERE), len(THERE) + 1) < 2.0


def test_without_a_trajectory_a_request_tries_all_turns(loftr, flight):
    """No image is calibrated, so there is no pose to expect a rotation from."""
    matcher = Counting(loftr)
    frontend = Frontend(matcher, FrontendSettings(policy=EVERY, pair=PAIR, match_last=1))
    for stamp, k in enumerate((0, 1)):
        frontend.process(stamp, np.rot90(flight.images[k], k).copy(), None)
    asked = frontend.match_keyframes(0, 1)
    (turned,) = {turns for part, turns in matcher.encoded if part == 1.0} - {0}
    assert turned == 3
    upright = loftr.match(loftr.encode(flight.images[0]), loftr.encode(flight.images[1]))
    # Points that are known from the first pair are matched from where they lie, so the matches are not the same ones.
    assert len(asked.matches) > 0.9 * len(upright)


def test_an_image_that_lost_the_track_is_found_again_from_the_other_direction(loftr, flight):
    matcher = Counting(loftr)
    noise = np.kron(np.random.default_rng(1).integers(0, 256, (HEIGHT // 8, WIDTH // 8)), np.ones((8, 8))).astype(
        np.uint8
    )
    frontend, _ = fly(matcher, flight, range(2))
    assert frontend.process(10 * 10**9, noise, flight.camera).decision.outcome == Outcome.LOST
    back = len(flight.images) - 2  # where keyframe 1 is
    found = frontend.process(11 * 10**9, flight.images[back], flight.camera)
    assert found.decision.outcome == Outcome.LOST
    (pair,) = found.pairs
    assert flight.rotation_error(pair, pair.older.id, back) < 2.0
    strong = loftr.match(loftr.encode(flight.images[pair.older.id]), loftr.encode(flight.images[back], 2))
    assert len(pair.matches) > 0.9 * len(strong)  # some start at known points


def test_switched_off_nothing_is_turned(loftr, flight):
    matcher = Counting(loftr)
    fly(matcher, flight, range(len(THERE) - 1, len(THERE) + 2), rotation="off")
    assert matcher.encoded == [(1.0, 0)] * 3
