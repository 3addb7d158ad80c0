"""Odometry of simulated flights: images by loftr_lite, an altimeter and an IMU with errors, and the exact poses."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from loftr_ros.frontend import Frontend, FrontendSettings
from loftr_ros.keyframes.policy import KeyframePolicy
from loftr_ros.loops.settings import LoopSettings
from loftr_ros.matcher import Matcher
from loftr_ros.results import OdometryState
from loftr_ros.trajectory.odometry import Odometry, OdometryFrames
from perception_common.geometry import compose, inverse, quaternion_from_matrix, so3_exp, transform
from replay_ros.benchmarks.consistency.image_chains import COURSES, render_chain

ALTITUDE_ERROR = 0.02  # standard deviation over the height, of each image alone
ATTITUDE_ERROR = float(np.radians(1.0))  # standard deviation about each axis
FLOWN = ("orbit", "survey", "open ground", "forward")  # of COURSES
_LEVER_M = np.array([0.1, 0.0, -0.05])  # of the camera in the base
_SETTINGS = FrontendSettings(policy=KeyframePolicy(max_interval=0.0), loops=LoopSettings(checks=0))


@dataclass(frozen=True, eq=False)
class OdometryFlight:
    """The odometry of the images of a flight that have one, and the true poses (4, 4) of the base at these, z up.

    silent: number of the other images after the first one.
    """

    states: tuple[OdometryState, ...]
    true: tuple[np.ndarray, ...]
    silent: int


def fly(course: str, seed: int, images: int, size: tuple[int, int], matcher: Matcher) -> OdometryFlight:
    """Render a flight of one of COURSES and run the front end over it, each image a keyframe.

    size: (width, height), pixels.
    """
    chain = render_chain(course, seed, images, size)
    T_base_camera = _mount(COURSES[course].pitch_deg)
    rng = np.random.default_rng([seed, 23])
    frontend, odometry = Frontend(matcher, _SETTINGS), Odometry(OdometryFrames("odom", "base_link", is_level=True))
    states: list[OdometryState] = []
    true: list[np.ndarray] = []
    for seconds, image, T_world_camera in zip(chain.stamps, chain.images, chain.poses, strict=True):
        stamp_ns, T_world_base = round(seconds * 1e9), compose(T_world_camera, inverse(T_base_camera))
        altitude = T_world_camera[2, 3] * (1.0 + ALTITUDE_ERROR * rng.normal())
        frontend.sensors.add_float_altitude(SimpleNamespace(data=altitude), stamp_ns)
        frontend.sensors.add_imu(_imu(stamp_ns, so3_exp(ATTITUDE_ERROR * rng.normal(size=3)) @ T_world_base[:3, :3]))
        result = frontend.process(stamp_ns, image, chain.camera, frame_id="camera", mount=lambda: T_base_camera)
        if state := odometry.update(result):
            states.append(state)
            true.append(T_world_base)
    return OdometryFlight(tuple(states), tuple(true), silent=images - 1 - len(states))


def _mount(pitch_deg: float) -> np.ndarray:
    """T_base_camera (4, 4) of a camera that looks ahead and down."""
    cosine, sine = np.cos(np.radians(pitch_deg)), np.sin(np.radians(pitch_deg))
    return transform(np.array([[0.0, sine, cosine], [-1.0, 0.0, 0.0], [0.0, -cosine, sine]]), _LEVER_M)


def _imu(stamp_ns: int, R_world_base: np.ndarray) -> Any:
    """An orientation as sensor_msgs/Imu has it."""
    stamp = SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    quaternion = dict(zip("xyzw", quaternion_from_matrix(R_world_base).tolist(), strict=True))
    return SimpleNamespace(
        header=SimpleNamespace(stamp=stamp, frame_id="base_link"),
        orientation=SimpleNamespace(**quaternion),
        orientation_covariance=(ATTITUDE_ERROR**2 * np.eye(3)).ravel(),
    )
