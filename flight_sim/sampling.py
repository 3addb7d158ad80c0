"""Samples for training: single views for a detector, overlapping pairs for a matcher. One scene serves many samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from flight_sim.camera import Camera, Lens, camera_pose, camera_with_fov, lens_of
from flight_sim.flight import Frame, take_picture
from flight_sim.photometric import jittered, sample_look
from flight_sim.scene import Scene, build_scene


@dataclass(frozen=True)
class ViewOptions:
    """Ranges that views are drawn from; metres, degrees. `altitude_m` is drawn evenly on a logarithmic scale.

    `nadir_share` of the views look straight down within 8 degrees, the others within `pitch_deg`; `near_objects`:
    share of the views that look at the surroundings of an object. `look_strength` as in sample_look.
    """

    altitude_m: tuple[float, float] = (12.0, 100.0)
    pitch_deg: tuple[float, float] = (-90.0, -35.0)
    nadir_share: float = 0.4
    roll_deg: float = 4.0
    fov_deg: tuple[float, float] = (55.0, 82.0)
    look_strength: float = 1.0
    near_objects: float = 0.85


@dataclass(frozen=True)
class PairOptions:
    """How the second view differs from the first.

    `overlap`: share of each view's ground that the other one sees, the smaller of both; `yaw_deg`: largest difference
    of heading; `altitude_ratio`: largest ratio of altitudes; `pitch_deg`: largest difference of gimbal pitch;
    `pause_s`: time between the views, in which traffic moves on.
    """

    view: ViewOptions = ViewOptions(near_objects=0.3)
    overlap: tuple[float, float] = (0.3, 0.95)
    yaw_deg: float = 180.0
    altitude_ratio: float = 1.6
    pitch_deg: float = 25.0
    pause_s: tuple[float, float] = (0.2, 20.0)


@dataclass(frozen=True)
class Pair:
    """Two frames of one scene and the share of ground that they have in common (smaller of both, 0 to 1)."""

    first: Frame
    second: Frame
    overlap: float


def sample_view(
    seed: int, size: tuple[int, int] = (640, 480), options: ViewOptions | None = None, scene: Scene | None = None
) -> Frame:
    """A random view (width, height) of `scene`, by default of the scene of the seed (which takes a second to build:
    keep and pass it).
    """
    options = options or ViewOptions()
    scene = scene or build_scene(seed)
    rng = np.random.default_rng([seed, 5])
    lens = _lens(rng, size, options)
    pose = _random_pose(rng, scene, options)
    look = sample_look(rng, options.look_strength)
    stamp = float(rng.uniform(0.0, 600.0))
    return take_picture(scene, lens, pose, stamp, look, rng, _drifted(rng, pose, look.shutter_s))


def sample_pair(
    seed: int, size: tuple[int, int] = (640, 480), options: PairOptions | None = None, scene: Scene | None = None
) -> Pair:
    """A random pair of views (width, height) of `scene`, by default of the scene of the seed, with the overlap asked
    for.

    Raises ValueError when no second view with that overlap is found in 400 trials: the options contradict each other.
    """
    options = options or PairOptions()
    scene = scene or build_scene(seed)
    rng = np.random.default_rng([seed, 6])
    lens = _lens(rng, size, options.view)
    for _ in range(20):
        first = _random_pose(rng, scene, options.view)
        for _ in range(20):
            second = _moved(rng, scene, first, lens.camera, options)
            share = 0.0 if second is None else ground_overlap(lens.camera, first, second)
            if second is not None and options.overlap[0] <= share <= options.overlap[1]:
                return _taken(rng, scene, lens, (first, second), share, options)
    raise ValueError(f"no pair with an overlap within {options.overlap} found: widen the ranges")


def ground_overlap(camera: Camera, first: np.ndarray, second: np.ndarray) -> float:
    """Share of the ground seen at one pose that is seen from the other too: the smaller of both ways, occlusion
    ignored.
    """
    return min(_seen_share(camera, first, second), _seen_share(camera, second, first))


def _seen_share(camera: Camera, pose: np.ndarray, other: np.ndarray) -> float:
    u, v = np.meshgrid(np.linspace(0, camera.width - 1, 14), np.linspace(0, camera.height - 1, 12))
    rays = (
        np.column_stack([(u.ravel() - camera.cx) / camera.fx, (v.ravel() - camera.cy) / camera.fy, np.ones(u.size)])
        @ pose[:3, :3].T
    )
    down = rays[:, 2] < -1e-3
    points = pose[:3, 3] - rays * (pose[2, 3] / np.where(down, rays[:, 2], -1.0))[:, None]
    seen = (points - other[:3, 3]) @ other[:3, :3]
    front = down & (seen[:, 2] > 0.1)
    pixels = camera.project(np.where(front[:, None], seen, 1.0))
    inside = front & (pixels >= -0.5).all(axis=1) & (pixels <= [camera.width - 0.5, camera.height - 0.5]).all(axis=1)
    return float(inside.mean())


def is_free(scene: Scene, position: np.ndarray, clearance: float = 2.5) -> bool:
    """Whether a position (3,) is outside of all buildings and trees, with some clearance."""
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


def _lens(rng: np.random.Generator, size: tuple[int, int], options: ViewOptions) -> Lens:
    return lens_of(camera_with_fov(*size, float(rng.uniform(*options.fov_deg))))


def _random_pose(rng: np.random.Generator, scene: Scene, options: ViewOptions) -> np.ndarray:
    """A pose; most look at a place with objects nearby, since much of the ground is empty."""
    while True:
        altitude = float(np.exp(rng.uniform(*np.log(options.altitude_m))))
        nadir = rng.random() < options.nadir_share
        pitch = math.radians(float(rng.uniform(-90.0, -82.0) if nadir else rng.uniform(*options.pitch_deg)))
        yaw = float(rng.uniform(0.0, 2.0 * math.pi))
        roll = math.radians(float(rng.normal(0.0, options.roll_deg / 2)))
        target = rng.uniform(0.0, scene.side, 2)
        if len(scene.population) and rng.random() < options.near_objects:
            around = scene.population.at(0.0)[0][rng.integers(len(scene.population))]
            target = around + rng.normal(0.0, 0.25 * altitude, 2)
        reach = altitude / math.tan(-pitch)
        position = np.array([target[0] - reach * math.cos(yaw), target[1] - reach * math.sin(yaw), altitude])
        if is_free(scene, position):
            return camera_pose(position, yaw, pitch, roll)


def _moved(
    rng: np.random.Generator, scene: Scene, first: np.ndarray, camera: Camera, options: PairOptions
) -> np.ndarray | None:
    """A second pose near the first, or None if it would be inside something."""
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
    reach = altitude / math.tan(-pitch)
    position = np.array([target[0] - reach * math.cos(yaw), target[1] - reach * math.sin(yaw), altitude])
    roll = math.radians(float(rng.normal(0.0, options.view.roll_deg / 2)))
    return camera_pose(position, yaw, pitch, roll) if is_free(scene, position) else None


def _drifted(rng: np.random.Generator, pose: np.ndarray, shutter_s: float) -> np.ndarray:
    """Where the camera was when the shutter opened, at up to 12 m/s."""
    earlier = pose.copy()
    earlier[:2, 3] -= shutter_s * rng.normal(0.0, 4.0, 2).clip(-12.0, 12.0)
    return earlier


def _taken(
    rng: np.random.Generator,
    scene: Scene,
    lens: Lens,
    poses: tuple[np.ndarray, np.ndarray],
    share: float,
    options: PairOptions,
) -> Pair:
    strength = options.view.look_strength
    look = sample_look(rng, strength)
    stamp = float(rng.uniform(0.0, 600.0))
    first = take_picture(scene, lens, poses[0], stamp, look, rng, _drifted(rng, poses[0], look.shutter_s))
    later = stamp + float(rng.uniform(*options.pause_s))
    other = jittered(look, rng, strength)
    second = take_picture(scene, lens, poses[1], later, other, rng, _drifted(rng, poses[1], look.shutter_s))
    return Pair(first, second, share)
