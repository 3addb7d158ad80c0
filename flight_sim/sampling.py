"""Samples for training: single views for a detector, overlapping pairs for a matcher. One scene serves many samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from flight_sim.camera import Lens, PinholeCamera, camera_pose, camera_with_fov, lens_of, world_to_camera
from flight_sim.degradation import sample_degradation, with_changed_light
from flight_sim.flight import SimulatedFrame, capture_frame
from flight_sim.scene import Scene, build_scene

_FIRST_TRIALS, _SECOND_TRIALS = 20, 20  # first views of a pair, and second views for each
_NADIR_PITCH_DEG = (-90.0, -82.0)
_TIME_SPAN_S = 600.0  # stamps of views are drawn from it
_LARGEST_SPEED_MPS = 12.0  # of the camera while the shutter is open


@dataclass(frozen=True)
class ViewOptions:
    """Ranges that views are drawn from, in metres and degrees; `altitude_m` is drawn evenly on a logarithmic scale.

    `nadir_share`: share of the views that look straight down, within 8 degrees; the pitch of the others is within
    `pitch_deg`. `near_objects`: share of the views that are aimed at the surroundings of an object.
    `degradation_strength` as in sample_degradation.
    """

    altitude_m: tuple[float, float] = (12.0, 100.0)
    pitch_deg: tuple[float, float] = (-90.0, -35.0)
    nadir_share: float = 0.4
    roll_deg: float = 4.0
    fov_deg: tuple[float, float] = (55.0, 82.0)
    degradation_strength: float = 1.0
    near_objects: float = 0.85


@dataclass(frozen=True)
class PairOptions:
    """How the second view differs from the first.

    `overlap`: share of each view's ground that the other one sees, the smaller of both; `yaw_deg`: largest difference
    of heading; `altitude_ratio`: largest ratio of altitudes; `pitch_deg`: largest difference of gimbal pitch;
    `pause_s`: time between the views, during which traffic moves.
    """

    view: ViewOptions = ViewOptions(near_objects=0.3)
    overlap: tuple[float, float] = (0.3, 0.95)
    yaw_deg: float = 180.0
    altitude_ratio: float = 1.6
    pitch_deg: float = 25.0
    pause_s: tuple[float, float] = (0.2, 20.0)


@dataclass(frozen=True)
class ViewPair:
    """Two frames of one scene and the share of ground that they have in common (smaller of both, 0 to 1)."""

    first: SimulatedFrame
    second: SimulatedFrame
    overlap: float


def sample_view(
    seed: int, size: tuple[int, int] = (640, 480), options: ViewOptions | None = None, scene: Scene | None = None
) -> SimulatedFrame:
    """A random view (width, height) of `scene`, by default of the seed's scene, which takes a second to build."""
    options = options or ViewOptions()
    scene = scene or build_scene(seed)
    rng = np.random.default_rng([seed, 5])
    lens = _sample_lens(rng, size, options)
    pose = _sample_pose(rng, scene, options)
    degradation = sample_degradation(rng, options.degradation_strength)
    stamp = float(rng.uniform(0.0, _TIME_SPAN_S))
    earlier = _pose_before(rng, pose, degradation.shutter_s)
    return capture_frame(scene, lens, pose, stamp, degradation, rng, earlier)


def sample_pair(
    seed: int, size: tuple[int, int] = (640, 480), options: PairOptions | None = None, scene: Scene | None = None
) -> ViewPair:
    """A random pair of views (width, height) of `scene`, by default of the seed's scene, with an overlap in range.

    Raises ValueError when none is found in 400 trials: the options contradict each other.
    """
    options = options or PairOptions()
    scene = scene or build_scene(seed)
    rng = np.random.default_rng([seed, 6])
    lens = _sample_lens(rng, size, options.view)
    for _ in range(_FIRST_TRIALS):
        first = _sample_pose(rng, scene, options.view)
        for _ in range(_SECOND_TRIALS):
            second = _sample_second_pose(rng, first, lens.camera, options)
            if not is_free(scene, second[:3, 3]):
                continue
            overlap = ground_overlap(lens.camera, first, second)
            if options.overlap[0] <= overlap <= options.overlap[1]:
                return _capture_pair(rng, scene, lens, first, second, overlap, options)
    raise ValueError(f"no pair with an overlap within {options.overlap} found: widen the ranges")


def _capture_pair(
    rng: np.random.Generator,
    scene: Scene,
    lens: Lens,
    first: np.ndarray,
    second: np.ndarray,
    overlap: float,
    options: PairOptions,
) -> ViewPair:
    """Capture both views: the second one later and in another light."""
    strength = options.view.degradation_strength
    degradation = sample_degradation(rng, strength)
    stamp = float(rng.uniform(0.0, _TIME_SPAN_S))
    earlier = _pose_before(rng, first, degradation.shutter_s)
    frame = capture_frame(scene, lens, first, stamp, degradation, rng, earlier)
    stamp += float(rng.uniform(*options.pause_s))
    degradation = with_changed_light(degradation, rng, strength)
    earlier = _pose_before(rng, second, degradation.shutter_s)
    return ViewPair(frame, capture_frame(scene, lens, second, stamp, degradation, rng, earlier), overlap)


def ground_overlap(camera: PinholeCamera, first: np.ndarray, second: np.ndarray) -> float:
    """Share of the ground seen at one pose (4, 4) that the other sees too: the smaller of both, without occlusion."""
    return min(_seen_share(camera, first, second), _seen_share(camera, second, first))


def _seen_share(camera: PinholeCamera, pose: np.ndarray, other: np.ndarray) -> float:
    """Share of the image at `pose` whose ground lies in the image at `other`."""
    u, v = np.meshgrid(np.linspace(0, camera.width - 1, 14), np.linspace(0, camera.height - 1, 12))
    rays = (
        np.column_stack([(u.ravel() - camera.cx) / camera.fx, (v.ravel() - camera.cy) / camera.fy, np.ones(u.size)])
        @ pose[:3, :3].T
    )
    is_ground = rays[:, 2] < -1e-3
    points = pose[:3, 3] - rays * (pose[2, 3] / np.where(is_ground, rays[:, 2], -1.0))[:, None]
    seen = world_to_camera(points, other)
    in_front = is_ground & (seen[:, 2] > 0.1)
    pixels = camera.project(np.where(in_front[:, None], seen, 1.0))
    limit = [camera.width - 0.5, camera.height - 0.5]
    return float((in_front & (pixels >= -0.5).all(axis=1) & (pixels <= limit).all(axis=1)).mean())


def is_free(scene: Scene, position: np.ndarray, clearance: float = 2.5) -> bool:
    """Whether a position (3,) keeps `clearance` metres away from all buildings and trees."""
    x, y = np.mod(position[:2], scene.side)
    for building in scene.city.buildings:
        if position[2] < building.height + clearance:
            reach = math.hypot(building.length, building.width) / 2 + clearance
            if math.hypot(building.x - x, building.y - y) < reach:
                return False
    return all(
        position[2] > tree.height + clearance or math.hypot(tree.x - x, tree.y - y) > 0.5 * tree.crown + clearance
        for tree in scene.city.trees
    )


def _sample_lens(rng: np.random.Generator, size: tuple[int, int], options: ViewOptions) -> Lens:
    width, height = size
    return lens_of(camera_with_fov(width, height, float(rng.uniform(*options.fov_deg))))


def _sample_pose(rng: np.random.Generator, scene: Scene, options: ViewOptions) -> np.ndarray:
    """A random pose (4, 4) outside of buildings and trees."""
    while True:
        altitude = float(np.exp(rng.uniform(*np.log(options.altitude_m))))
        is_nadir = rng.random() < options.nadir_share
        pitch = math.radians(float(rng.uniform(*(_NADIR_PITCH_DEG if is_nadir else options.pitch_deg))))
        yaw = float(rng.uniform(0.0, 2.0 * math.pi))
        roll = math.radians(float(rng.normal(0.0, options.roll_deg / 2)))
        target = rng.uniform(0.0, scene.side, 2)
        if len(scene.population) and rng.random() < options.near_objects:
            around = scene.population.at(0.0)[0][rng.integers(len(scene.population))]
            target = around + rng.normal(0.0, 0.25 * altitude, 2)
        pose = _pose_towards(target, altitude, yaw, pitch, roll)
        if is_free(scene, pose[:3, 3]):
            return pose


def _pose_towards(target: np.ndarray, altitude: float, yaw: float, pitch: float, roll: float) -> np.ndarray:
    """The pose (4, 4) from which the optical axis meets the ground at `target` (2,)."""
    reach = altitude / math.tan(-pitch)
    position = np.array([target[0] - reach * math.cos(yaw), target[1] - reach * math.sin(yaw), altitude])
    return camera_pose(position, yaw, pitch, roll)


def _sample_second_pose(
    rng: np.random.Generator, first: np.ndarray, camera: PinholeCamera, options: PairOptions
) -> np.ndarray:
    """A random pose (4, 4) near the first, perhaps inside of something."""
    forward = first[:3, 2]
    pitch = math.asin(max(-1.0, min(1.0, float(forward[2]))))
    yaw = math.atan2(-first[1, 1], -first[0, 1]) if pitch < -1.5 else math.atan2(forward[1], forward[0])
    altitude = first[2, 3] * options.altitude_ratio ** float(rng.uniform(-1.0, 1.0))
    low, high = options.view.altitude_m
    altitude = min(max(altitude, low), high)
    view_low, view_high = (math.radians(limit) for limit in options.view.pitch_deg)
    pitch = min(max(pitch + math.radians(float(rng.uniform(-1, 1)) * options.pitch_deg), view_low), view_high)
    yaw += math.radians(float(rng.uniform(-1, 1)) * options.yaw_deg)
    target = first[:2, 3] - forward[:2] * first[2, 3] / forward[2]
    width = first[2, 3] * camera.width / camera.fx
    target = target + rng.normal(0.0, 0.3 * width, 2)
    roll = math.radians(float(rng.normal(0.0, options.view.roll_deg / 2)))
    return _pose_towards(target, altitude, yaw, pitch, roll)


def _pose_before(rng: np.random.Generator, pose: np.ndarray, shutter_s: float) -> np.ndarray:
    """The pose (4, 4) when the shutter opened, for a random horizontal velocity."""
    earlier = pose.copy()
    earlier[:2, 3] -= shutter_s * rng.normal(0.0, 4.0, 2).clip(-_LARGEST_SPEED_MPS, _LARGEST_SPEED_MPS)
    return earlier
