"""Short chains of images of simulated flights with exact poses, as keyframes follow each other."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from flight_sim.flight import CameraOptions, Flight, FlightOptions, capture_frame, start_flight
from flight_sim.flight_path import FlightKind, FlightPathOptions
from flight_sim.scene import SceneOptions
from perception_common.cameras.camera import Camera
from perception_common.geometry import so3_exp
from replay_ros.benchmarks.synthetic import camera_of

_TURN = 0.08  # radians per axis between two images of a turn on the spot, standard deviation
_STEP_M = (5.0, 11.0)  # flown between two images, range
_STEP_FORWARD_M = (3.0, 6.0)  # the same with the camera ahead, where the view grows quickly


@dataclass(frozen=True)
class Course:
    """A kind of flight.

    pitch_deg: of the gimbal. built: over a town, else over open ground. turns: on the spot. step_m: flown between two
    images, range. urbanity: as in SceneOptions; negative: drawn from the seed.
    """

    path: FlightKind
    pitch_deg: float
    built: bool = True
    turns: bool = False
    step_m: tuple[float, float] = _STEP_M
    urbanity: float = -1.0


COURSES = {
    "orbit": Course("orbit", -60.0, urbanity=1.0),
    "survey": Course("survey", -80.0),
    "open ground": Course("survey", -80.0, built=False),
    "forward": Course("forward", -25.0, step_m=_STEP_FORWARD_M),
    "turn": Course("orbit", -60.0, turns=True),
}


@dataclass(frozen=True, eq=False)
class ImageChain:
    """Images of one flight in the order in which they were taken.

    stamps: seconds. images: (H, W) uint8 each. poses: T_world_camera (4, 4) each, world z up. camera: with distortion.
    """

    course: str
    seed: int
    stamps: tuple[float, ...]
    images: tuple[np.ndarray, ...]
    poses: tuple[np.ndarray, ...]
    camera: Camera


def render_chain(course: str, seed: int, images: int, size: tuple[int, int]) -> ImageChain:
    """Render a number of images of one of COURSES, with the defocus, noise and compression of a camera.

    size: (width, height), pixels. The same arguments give the same bytes.
    """
    kind = COURSES[course]
    flight = _flight_of(kind, seed, size)
    rng = np.random.default_rng([seed, 17])
    stamps, poses = _poses_of(kind, flight, rng, images)
    pictures = []
    for stamp, pose in zip(stamps, poses, strict=True):
        frame = capture_frame(flight.scene, flight.lens, pose, stamp, flight.degradation, rng)
        pictures.append(cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY))
    return ImageChain(course, seed, tuple(stamps), tuple(pictures), tuple(poses), camera_of(flight.camera))


def _flight_of(kind: Course, seed: int, size: tuple[int, int]) -> Flight:
    scene = SceneOptions(side=163.84, built=kind.built, urbanity=kind.urbanity, height_limit=30.0)
    path = FlightPathOptions(kind.path, duration_s=60.0, pitch_deg=kind.pitch_deg)
    return start_flight(seed, FlightOptions(scene, path, CameraOptions(*size)))


def _poses_of(
    kind: Course, flight: Flight, rng: np.random.Generator, images: int
) -> tuple[list[float], list[np.ndarray]]:
    """Return stamps (seconds) and poses (4, 4); the stamps of a turn on the spot are those of a flight."""
    speed = FlightPathOptions().speed_mps
    steps = rng.uniform(*kind.step_m, images) / speed
    stamps = (rng.uniform(2.0, 30.0) + np.cumsum(steps)).tolist()
    if not kind.turns:
        return stamps, [flight.path.pose_at(stamp) for stamp in stamps]
    poses = [flight.path.pose_at(stamps[0])]
    for _ in stamps[1:]:
        turned = poses[-1].copy()
        turned[:3, :3] = turned[:3, :3] @ so3_exp(rng.normal(scale=_TURN, size=3))
        poses.append(turned)
    return stamps, poses
