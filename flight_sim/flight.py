"""A flight over a scene, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from flight_sim.camera import Camera, Lens, camera_with_fov, lens_of
from flight_sim.photometric import Look, develop, sample_look
from flight_sim.rendering import render
from flight_sim.scene import Scene, SceneOptions, build_scene
from flight_sim.trajectory import Trajectory, TrajectoryOptions, fly
from flight_sim.truth import Truth, frame_truth


@dataclass(frozen=True)
class Frame:
    """`image` (H, W, 3) uint8 RGB taken at `stamp_s` seconds since the start, and its truth."""

    image: np.ndarray
    stamp_s: float
    truth: Truth


@dataclass(frozen=True)
class CameraOptions:
    """The camera of a flight; `distortion` is plumb_bob: k1, k2, p1, p2, k3."""

    width: int = 1920
    height: int = 1080
    horizontal_fov_deg: float = 70.0
    distortion: tuple[float, float, float, float, float] = (-0.03, 0.008, 0.0004, -0.0003, 0.0)


@dataclass(frozen=True)
class FlightOptions:
    """What is flown: the place, the course, the camera; `look_strength` 0 gives clean pictures, 1 realistic ones."""

    scene: SceneOptions = field(default_factory=SceneOptions)
    trajectory: TrajectoryOptions = field(default_factory=TrajectoryOptions)
    camera: CameraOptions = field(default_factory=CameraOptions)
    frame_rate_hz: float = 5.0
    look_strength: float = 0.7


@dataclass(frozen=True)
class Flight:
    """A flight that renders its frames when they are asked for. The same seed and options give the same bytes."""

    seed: int
    scene: Scene
    trajectory: Trajectory
    lens: Lens
    look: Look
    frame_rate_hz: float

    @property
    def camera(self) -> Camera:
        """The camera that takes the pictures."""
        return self.lens.camera

    def __len__(self) -> int:
        return int(self.trajectory.duration_s * self.frame_rate_hz + 1e-9) + 1

    def __iter__(self) -> Iterator[Frame]:
        return (self.frame(index) for index in range(len(self)))

    def frame(self, index: int) -> Frame:
        """Frame `index` from 0; any order gives the same frames. Raises IndexError beyond the end."""
        if not 0 <= index < len(self):
            raise IndexError(f"frame {index} of a flight of {len(self)} frames")
        stamp = index / self.frame_rate_hz
        pose, earlier = self.trajectory.pose_at(stamp), self.trajectory.pose_at(stamp - self.look.shutter_s)
        rng = np.random.default_rng([self.seed, 3, index])
        return take_picture(self.scene, self.lens, pose, stamp, self.look, rng, earlier)


def start_flight(seed: int, options: FlightOptions | None = None) -> Flight:
    """The flight of a seed; builds the scene (about a second)."""
    options = options or FlightOptions()
    scene = build_scene(seed, options.scene)
    rng = np.random.default_rng([seed, 4])
    centre = rng.uniform(0.3, 0.7, 2) * scene.side
    tallest = max((building.height for building in scene.city.buildings), default=0.0)
    tallest = max(tallest, max((tree.height for tree in scene.city.trees), default=0.0))
    trajectory = fly(seed, (float(centre[0]), float(centre[1])), tallest + 4.0, options.trajectory)
    camera = options.camera
    lens = lens_of(camera_with_fov(camera.width, camera.height, camera.horizontal_fov_deg, camera.distortion))
    return Flight(seed, scene, trajectory, lens, sample_look(rng, options.look_strength), options.frame_rate_hz)


def take_picture(
    scene: Scene,
    lens: Lens,
    pose: np.ndarray,
    stamp_s: float,
    look: Look,
    rng: np.random.Generator,
    earlier_pose: np.ndarray | None = None,
) -> Frame:
    """One frame of a scene: rendered, seen through the lens, developed; `earlier_pose`: where the camera was when the
    shutter opened.
    """
    raster = render(scene, lens.pinhole, pose, stamp_s)
    truth = frame_truth(scene, lens, pose, raster)
    image = raster.image
    if not lens.camera.is_pinhole:
        image = cv2.remap(image, lens.grid, np.empty(0, np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    motion = (0.0, 0.0) if earlier_pose is None else _motion(lens.pinhole, pose, earlier_pose)
    return Frame(develop(image, truth.depth, look, rng, motion), stamp_s, truth)


def _motion(camera: Camera, pose: np.ndarray, earlier: np.ndarray) -> tuple[float, float]:
    """How far the ground at the middle of the image moves, in pixels, between two poses."""
    ray = pose[:3, 2]
    if ray[2] > -0.05:
        return (0.0, 0.0)
    point = pose[:3, 3] - ray * pose[2, 3] / ray[2]
    now, then = ((point - p[:3, 3]) @ p[:3, :3] for p in (pose, earlier))
    shift = camera.project(now) - camera.project(then)
    return (float(shift[0]), float(shift[1]))
