"""Keyframes of a simulated flight that hovers, turns on the spot, then flies on; with SIFT, which needs no network."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from flight_sim.flight import CameraOptions, FlightOptions, start_flight
from flight_sim.flight_path import FlightPathOptions
from flight_sim.scene import SceneOptions
from loftr_ros.frontend import Frontend, FrontendSettings
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.keyframes.policy import KeyframePolicy, Outcome
from loftr_ros.sift_matcher import SiftMatcher
from perception_common.cameras.camera import Camera
from perception_common.geometry import inverse, rotation_angle

HOVER, TURN, FLY = (0, 6, 12), (14, 16, 17, 18, 19, 20, 22, 24), (27, 30, 33)  # seconds


@pytest.fixture(scope="module")
def flight():
    options = FlightOptions(
        scene=SceneOptions(urbanity=0.4),
        path=FlightPathOptions("hover", duration_s=36.0, altitude_m=50.0, pitch_deg=-75.0),
        camera=CameraOptions(320, 240),
        frame_rate_hz=1.0,
        degradation_strength=0.5,
    )
    return start_flight(4, options)


@pytest.fixture(scope="module")
def images(flight):
    """Gray images by second."""
    return {s: cv2.cvtColor(flight.frame(s).image, cv2.COLOR_RGB2GRAY) for s in (*HOVER, *TURN, *FLY)}


def process(flight, images, policy):
    """Results of the front end by second."""
    pinhole = flight.camera
    camera = Camera.from_matrix(pinhole.matrix, pinhole.width, pinhole.height, pinhole.distortion)
    frontend = Frontend(SiftMatcher(), FrontendSettings(policy=policy, match_last=1))
    return {second: frontend.process((1 + second) * 10**9, image, camera) for second, image in images.items()}


@pytest.fixture(scope="module")
def results(flight, images):
    return process(flight, images, KeyframePolicy())


def keyframes(results, seconds):
    return {second: results[second] for second in seconds if results[second].decision.makes_keyframe}


def test_hovering_makes_no_keyframe_whatever_the_time(results, flight, images):
    assert list(keyframes(results, HOVER)) == [0]
    assert all("hovering" in results[second].decision.reason for second in HOVER if second)
    hovering = {second: images[second] for second in HOVER}
    timed = process(flight, hovering, replace(KeyframePolicy(), hover_parallax_deg=None))
    assert list(keyframes(timed, HOVER)) == [0, 6, 12]  # by max_interval


def test_a_turn_on_the_spot_makes_keyframes_by_rotation(results, flight):
    made = keyframes(results, TURN)
    assert len(made) >= 4
    for result in made.values():
        assert result.decision.outcome == Outcome.KEYFRAME
        assert "turned by" in result.decision.reason or "still seen" in result.decision.reason
        (pair,) = result.pairs
        assert pair.motion.geometry != Geometry.FAILED
        older, newer = (flight.path.pose_at(info.stamp_ns / 1e9 - 1.0) for info in (pair.older, pair.newer))
        turned = (inverse(older) @ newer)[:3, :3]
        assert np.degrees(rotation_angle(turned.T @ pair.motion.rotation)) < 0.5
    assert any("turned by" in result.decision.reason for result in made.values())


def test_flying_on_makes_keyframes_by_the_motion(results):
    made = keyframes(results, FLY)
    assert len(made) >= 2
    assert any(pair.motion.geometry in (Geometry.GENERAL, Geometry.PLANAR) for r in made.values() for pair in r.pairs)
    assert not any("hovering" in result.decision.reason for result in made.values())
