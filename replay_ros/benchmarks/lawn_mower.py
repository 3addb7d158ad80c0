"""Simulated lawn-mower flights: lines flown there and back over one place, with exact poses and common ground."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from flight_sim.camera import PinholeCamera, world_to_camera
from flight_sim.flight import CameraOptions, Flight, FlightOptions, capture_frame, start_flight
from flight_sim.flight_path import FlightPath, FlightPathOptions
from flight_sim.scene import SceneOptions
from flight_sim.truth import FrameTruth
from perception_common.cameras.camera import Camera
from perception_common.geometry import rotation_angle
from replay_ros.benchmarks.synthetic import camera_of

LINES = 8
LINE_M, SPACING_M, ALTITUDE_M, SPEED_MPS = 80.0, 30.0, 60.0, 6.0  # 64 % side overlap
PITCH_DEG = -85.0
VIEW_M = 90.0  # extent of one image on the ground
TILE_M = 40.96  # the period of the world is a multiple of it
STEP_M, STEP_RAD = 12.0, math.radians(20.0)  # between two images: 81 % forward overlap, and short turns
SAMPLES = 16  # of the seen surface, in each direction of the image
START_NS = 1_000_000_000


@dataclass(frozen=True, eq=False)
class View:
    """An image (H, W) uint8 of a flight. T_world_camera: (4, 4), z above ground. surface: (N, 3) seen points, world."""

    stamp_ns: int
    image: np.ndarray
    T_world_camera: np.ndarray
    surface: np.ndarray


@dataclass(frozen=True, eq=False)
class LawnMower:
    """A flight of parallel lines, from one end to the other. size: (width, height), pixels. line_m: metres."""

    seed: int
    size: tuple[int, int]
    lines: int = LINES
    line_m: float = LINE_M

    @property
    def period(self) -> float:
        """Period of the world, metres: more than the diagonal of the area in view, so that no place comes twice."""
        diagonal = math.hypot(self.line_m + VIEW_M, (self.lines - 1) * SPACING_M + VIEW_M)
        return TILE_M * math.ceil(1.15 * diagonal / TILE_M)

    def open(self) -> tuple[Camera, PinholeCamera, Iterator[View]]:
        """Return the camera, the same as flight_sim has it, and the views, which are rendered one by one."""
        metres = self.lines * self.line_m + (self.lines - 1) * SPACING_M
        course = FlightPathOptions(
            duration_s=metres / SPEED_MPS,
            altitude_m=ALTITUDE_M,
            speed_mps=SPEED_MPS,
            pitch_deg=PITCH_DEG,
            line_m=self.line_m,
            spacing_m=SPACING_M,
        )
        scene = SceneOptions(side=self.period, metres_per_pixel=0.16, height_limit=20.0)
        flight = start_flight(self.seed, FlightOptions(scene, course, CameraOptions(*self.size)))
        return camera_of(flight.camera), flight.camera, _views(flight)


def common_ground(first: View, second: View, camera: PinholeCamera) -> float:
    """Share of the surface in one view that is in the other one's field of view, the smaller of both directions."""
    return min(_seen(first, second, camera), _seen(second, first, camera))


def _views(flight: Flight) -> Iterator[View]:
    for stamp in _stamps(flight.path):
        pose, earlier = flight.path.pose_at(stamp), flight.path.pose_at(stamp - flight.degradation.shutter_s)
        rng = np.random.default_rng([flight.seed, 3, round(stamp * 1e3)])
        frame = capture_frame(flight.scene, flight.lens, pose, stamp, flight.degradation, rng, earlier)
        gray = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
        yield View(START_NS + round(stamp * 1e9), gray, pose, _surface(frame.truth))


def _stamps(path: FlightPath) -> Iterator[float]:
    """Times, seconds, between which the camera moves by STEP_M or turns by STEP_RAD."""
    last = path.pose_at(0.0)
    yield 0.0
    for stamp in path.stamps.tolist():
        pose = path.pose_at(stamp)
        moved = float(np.linalg.norm(pose[:3, 3] - last[:3, 3]))
        if moved >= STEP_M or rotation_angle(last[:3, :3].T @ pose[:3, :3]) >= STEP_RAD:
            yield stamp
            last = pose


def _surface(truth: FrameTruth) -> np.ndarray:
    """Points (N, 3) of the seen surface in the world, on a grid of the image."""
    camera = truth.camera
    u, v = np.meshgrid(*((np.arange(SAMPLES) + 0.5) / SAMPLES * side - 0.5 for side in (camera.width, camera.height)))
    pixels = np.column_stack([u.ravel(), v.ravel()])
    depth = truth.depth[tuple(np.rint(pixels).astype(int).T[::-1])].astype(float)
    straight = (camera.undistort(pixels) - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    seen = np.isfinite(depth)
    rays = np.insert(straight, 2, 1.0, axis=1)[seen] * depth[seen, None]
    return rays @ truth.T_world_camera[:3, :3].T + truth.T_world_camera[:3, 3]


def _seen(view: View, other: View, camera: PinholeCamera) -> float:
    points = world_to_camera(view.surface, other.T_world_camera)
    front = points[points[:, 2] > 1.0]
    pixels = camera.project(front)
    inside = (pixels >= -0.5) & (pixels < [camera.width - 0.5, camera.height - 0.5])
    return int(inside.all(axis=1).sum()) / max(len(points), 1)
