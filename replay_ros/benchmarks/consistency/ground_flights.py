"""Simulated flights past one object each, with drawn errors of the sensors and exact truth; nothing is rendered.

The camera, its path and the meshes of the objects are those of flight_sim. The box of an object is the extent of its
projected vertices, as in the truth of rendered flights, with noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from flight_sim.camera import camera_with_fov, world_to_camera
from flight_sim.classes import CLASS_NAMES
from flight_sim.flight import CameraOptions
from flight_sim.flight_path import FlightPath, FlightPathOptions, plan_flight_path
from flight_sim.meshes.catalogue import object_meshes
from perception_common.geometry import so3_exp, so3_log
from replay_ros.benchmarks.synthetic import camera_of
from yolc_ros.georeference.camera_state import CameraState
from yolc_ros.georeference.contact import contact_points
from yolc_ros.georeference.errors import ATTITUDE, FOOTING, POSITION, TIME, VERTICAL, ErrorModel
from yolc_ros.georeference.ground import FlatGround
from yolc_ros.georeference.projection import GroundPoints, project

TILTS = (90.0, 75.0, 60.0, 45.0, 30.0)  # degrees of the optical axis below the horizon
ALTITUDES_M = (20.0, 120.0)
KINDS: tuple[Literal["survey", "orbit", "forward"], ...] = ("survey", "orbit", "forward")
DURATION_S, RATE_HZ, SPEED_MPS = 10.0, 2.0, 8.0
MOVING_SHARE, OBJECT_SPEEDS_MPS = 0.3, (2.0, 15.0)
MAX_RANGE_M = 1000.0
_LENS = CameraOptions()
PINHOLE = camera_with_fov(_LENS.width, _LENS.height, _LENS.horizontal_fov_deg, _LENS.distortion)
CAMERA = camera_of(PINHOLE)
_PEOPLE = "sitting"  # the meshes of the class "people"
_STEP_S = 0.05  # of velocities and rates


@dataclass(frozen=True, eq=False)
class SeenObject:
    """An object in the images of one flight.

    stamps: (K,) s. states: of the camera, as measured. points: K places from one image each. footings: (K,) of
    `project`. truth: (K, 3), metres. velocity: (3,), m/s.
    """

    tilt: float
    stamps: np.ndarray
    states: tuple[CameraState, ...]
    points: tuple[GroundPoints, ...]
    footings: np.ndarray
    truth: np.ndarray
    velocity: np.ndarray


def seen_objects(count: int, seed: int, errors: ErrorModel, tilts: tuple[float, ...] = TILTS) -> Iterator[SeenObject]:
    """Yield `count` objects, each in a flight of its own, the tilts in turn. Deterministic."""
    for number in range(count):
        yield _seen_object(np.random.default_rng([seed, number]), tilts[number % len(tilts)], errors)


def located_sky(count: int, seed: int, errors: ErrorModel) -> tuple[int, int]:
    """Return how many of `count` pixels that show the sky, and how many of them get a place."""
    located = 0
    for number in range(count):
        rng = np.random.default_rng([seed, 7, number])
        tilt = float(rng.uniform(-5.0, 15.0))
        flight = _flight(rng, tilt)
        rays = np.zeros(3)
        while not rays[2] > 0:
            pixel = rng.uniform(0, [CAMERA.width - 1, CAMERA.height - 1], (1, 2))
            rays = flight.pose_at(DURATION_S / 2)[:3, :3] @ np.append(CAMERA.rays(pixel)[0], 1.0)
            if not rays[2] > 0:
                flight = _flight(rng, float(rng.uniform(-5.0, 15.0)))
        state = measured_state(flight, DURATION_S / 2, _draw(rng, errors, 1.0), errors)
        found = project(state, CAMERA, pixel, noise_px=errors.pixel, footing_px=np.zeros(1), max_range=MAX_RANGE_M)
        located += int(found.located[0])
    return count, located


def _flight(rng: np.random.Generator, tilt: float) -> FlightPath:
    altitude = float(rng.uniform(*ALTITUDES_M))
    radius = max(altitude / math.tan(math.radians(max(tilt, 20.0))), 15.0)
    kind = KINDS[int(rng.integers(len(KINDS)))]
    options = FlightPathOptions(kind, DURATION_S, altitude, SPEED_MPS, -tilt, radius_m=radius)
    path = plan_flight_path(int(rng.integers(2**31)), (0.0, 0.0), ALTITUDES_M[0] / 2, options)
    if tilt < 0:  # the planner keeps the camera below the horizon
        turned = path.angles - np.array([0.0, math.radians(tilt), 0.0])
        return replace(path, angles=turned)
    return path


def _draw(rng: np.random.Generator, errors: ErrorModel, share: float) -> np.ndarray:
    """Draw the errors (8,) with a share of their variance, the altitude's as a share of the altitude."""
    scales = np.zeros(FOOTING.start)
    scales[ATTITUDE], scales[VERTICAL] = math.radians(errors.attitude), errors.altitude
    scales[POSITION], scales[TIME] = errors.position, errors.time
    return math.sqrt(share) * scales * rng.normal(size=len(scales))


def measured_state(path: FlightPath, stamp_s: float, drawn: np.ndarray, errors: ErrorModel) -> CameraState:
    """Return what the sensors tell about the camera at a time: the truth less the errors (8,).

    The altitude is of a range finder: above the ground, and independent of the position's height.
    """
    pose = path.pose_at(stamp_s)
    after = path.pose_at(stamp_s + _STEP_S)
    position = pose[:3, 3] - drawn[POSITION]
    altitude = pose[2, 3] * (1.0 - drawn[VERTICAL])
    return CameraState(
        position=position,
        rotation=pose[:3, :3] @ so3_exp(-drawn[ATTITUDE]),
        ground=FlatGround(float(position[2] - altitude)),
        follows=True,
        covariance=errors.covariance(errors.altitude * altitude),
        velocity=(after[:3, 3] - pose[:3, 3]) / _STEP_S,
        rates=so3_log(after[:3, :3] @ pose[:3, :3].T) / _STEP_S,
    )


def _seen_object(rng: np.random.Generator, tilt: float, errors: ErrorModel) -> SeenObject:
    while True:  # until the object is seen at least twice
        path = _flight(rng, tilt)
        seen = _observe(rng, path, tilt, errors)
        if len(seen.points) > 1:
            return seen


def _observe(rng: np.random.Generator, path: FlightPath, tilt: float, errors: ErrorModel) -> SeenObject:
    middle = path.pose_at(DURATION_S / 2)
    meshes = object_meshes()
    name = CLASS_NAMES[int(rng.integers(len(CLASS_NAMES)))]
    variants = meshes[_PEOPLE if name == "people" else name]
    corners = variants[int(rng.integers(len(variants)))].corners.reshape(-1, 3)
    yaw = float(rng.uniform(0, 2 * math.pi))
    turn = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
    vertices = corners @ turn.T
    pixel = rng.uniform([0, 0], [CAMERA.width - 1, CAMERA.height - 1], (1, 2))
    ray = middle[:3, :3] @ np.append(CAMERA.rays(pixel)[0], 1.0)
    place = middle[:3, 3] - ray * middle[2, 3] / min(ray[2], -1e-3)
    speed = float(rng.uniform(*OBJECT_SPEEDS_MPS)) * (rng.random() < MOVING_SHARE)
    velocity = speed * turn[:, 0]
    constant = _draw(rng, errors, errors.constant_share)
    stamps, states, points, footings, truth = [], [], [], [], []
    for stamp in np.arange(0.0, DURATION_S, 1.0 / RATE_HZ).tolist():
        drawn = constant + _draw(rng, errors, 1.0 - errors.constant_share)
        exposed = stamp + drawn[TIME]
        moved = place + velocity * (exposed - DURATION_S / 2)
        seen = world_to_camera(vertices + moved, path.pose_at(exposed))
        if not (seen[:, 2] > 0.5).all():
            continue
        pixels = PINHOLE.project(seen)
        box = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
        if (box[:2] < 0).any() or (box[2:] > [CAMERA.width - 1, CAMERA.height - 1]).any():
            continue
        box += errors.pixel * rng.normal(size=4)
        state = measured_state(path, float(stamp), drawn, errors)
        contact, footing = contact_points(CAMERA, state.rotation, box, [name])
        found = project(state, CAMERA, contact, noise_px=errors.pixel, footing_px=footing, max_range=MAX_RANGE_M)
        if found.located[0]:
            stamps.append(stamp)
            states.append(state)
            points.append(found)
            footings.append(footing)
            truth.append(place + velocity * (stamp - DURATION_S / 2))
    return SeenObject(
        tilt=tilt,
        stamps=np.array(stamps),
        states=tuple(states),
        points=tuple(points),
        footings=np.array(footings),
        truth=np.array(truth).reshape(-1, 3),
        velocity=velocity,
    )
