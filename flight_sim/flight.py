"""A flight over a scene, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from flight_sim.camera import Distortion, Lens, PinholeCamera, camera_with_fov, lens_of, world_to_camera
from flight_sim.degradation import ImageDegradation, degrade, sample_degradation
from flight_sim.flight_path import FlightPath, FlightPathOptions, plan_flight_path
from flight_sim.rendering.renderer import render_scene
from flight_sim.scene import Scene, SceneOptions, build_scene
from flight_sim.truth import FrameTruth, frame_truth

_CLEARANCE_M = 4.0  # between the flight and the highest building or tree


@dataclass(frozen=True)
class SimulatedFrame:
    """`image` (H, W, 3) uint8 RGB taken at `stamp_s` seconds since the start, and its ground truth."""

    image: np.ndarray
    stamp_s: float
    truth: FrameTruth


@dataclass(frozen=True)
class CameraOptions:
    """The camera of a flight: size in pixels, field of view, distortion."""

    width: int = 1920
    height: int = 1080
    horizontal_fov_deg: float = 70.0
    distortion: Distortion = (-0.03, 0.008, 0.0004, -0.0003, 0.0)


@dataclass(frozen=True)
class FlightOptions:
    """The scene, the flight path and the camera; `degradation_strength` as in sample_degradation."""

    scene: SceneOptions = field(default_factory=SceneOptions)
    path: FlightPathOptions = field(default_factory=FlightPathOptions)
    camera: CameraOptions = field(default_factory=CameraOptions)
    frame_rate_hz: float = 5.0
    degradation_strength: float = 0.7


@dataclass(frozen=True)
class Flight:
    """A flight whose frames are rendered on demand. The same seed and options give the same bytes."""

    seed: int
    scene: Scene
    path: FlightPath
    lens: Lens
    degradation: ImageDegradation
    frame_rate_hz: float

    @property
    def camera(self) -> PinholeCamera:
        """The camera, with its distortion."""
        return self.lens.camera

    def __len__(self) -> int:
        return int(self.path.duration_s * self.frame_rate_hz + 1e-9) + 1

    def __iter__(self) -> Iterator[SimulatedFrame]:
        return (self.frame(index) for index in range(len(self)))

    def frame(self, index: int) -> SimulatedFrame:
        """Frame `index` from 0; independent of the frames rendered before. Raises IndexError beyond the end."""
        if not 0 <= index < len(self):
            raise IndexError(f"frame {index} of a flight of {len(self)} frames")
        stamp = index / self.frame_rate_hz
        pose, earlier = self.path.pose_at(stamp), self.path.pose_at(stamp - self.degradation.shutter_s)
        rng = np.random.default_rng([self.seed, 3, index])
        return capture_frame(self.scene, self.lens, pose, stamp, self.degradation, rng, earlier)


def start_flight(seed: int, options: FlightOptions | None = None) -> Flight:
    """The flight of a seed; builds the scene, which takes about a second."""
    options = options or FlightOptions()
    scene = build_scene(seed, options.scene)
    rng = np.random.default_rng([seed, 4])
    centre = rng.uniform(0.3, 0.7, 2) * scene.side
    path = plan_flight_path(seed, (float(centre[0]), float(centre[1])), scene.tallest + _CLEARANCE_M, options.path)
    camera = options.camera
    lens = lens_of(camera_with_fov(camera.width, camera.height, camera.horizontal_fov_deg, camera.distortion))
    degradation = sample_degradation(rng, options.degradation_strength)
    return Flight(seed, scene, path, lens, degradation, options.frame_rate_hz)


def capture_frame(
    scene: Scene,
    lens: Lens,
    pose: np.ndarray,
    stamp_s: float,
    degradation: ImageDegradation,
    rng: np.random.Generator,
    earlier_pose: np.ndarray | None = None,
) -> SimulatedFrame:
    """Render a frame, distort it by the lens and degrade it.

    `pose`: T_world_camera (4, 4); `earlier_pose`: that when the shutter opened, None for no motion blur.
    """
    buffers = render_scene(scene, lens.undistorted, pose, stamp_s)
    truth = frame_truth(scene, lens, pose, buffers)
    image = buffers.image
    if not lens.camera.is_undistorted:
        image = cv2.remap(image, lens.grid, np.empty(0, np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    motion = (0.0, 0.0) if earlier_pose is None else _image_motion(lens.undistorted, pose, earlier_pose)
    return SimulatedFrame(degrade(image, truth.depth, degradation, rng, motion), stamp_s, truth)


def _image_motion(camera: PinholeCamera, pose: np.ndarray, earlier: np.ndarray) -> tuple[float, float]:
    """Pixels by which the ground at the middle of the image moves between two poses."""
    ray = pose[:3, 2]
    if ray[2] > -0.05:  # the camera sees the ground only far away
        return (0.0, 0.0)
    point = pose[:3, 3] - ray * pose[2, 3] / ray[2]
    shift = camera.project(world_to_camera(point, pose)) - camera.project(world_to_camera(point, earlier))
    return (float(shift[0]), float(shift[1]))
