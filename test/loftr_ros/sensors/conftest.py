"""Simulated flights: true matches from depth and pose, on static surfaces and on vehicles that move between images."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest

from flight_sim.camera import camera_pose, camera_with_fov, lens_of
from flight_sim.flight_path import FlightPathOptions, plan_flight_path
from flight_sim.rendering.renderer import render_scene
from flight_sim.scene import SceneOptions, build_scene
from flight_sim.truth import frame_truth
from perception_common.cameras.camera import Camera
from perception_common.geometry import inverse

SIDE = 163.84
VEHICLES = (3, 4, 5, 8)  # car, van, truck, bus


@dataclass(frozen=True, eq=False)
class SimulatedPair:
    """Ground truth of two frames (flight_sim.truth.FrameTruth)."""

    older: object
    newer: object

    @property
    def camera(self):
        sim = self.older.camera
        return Camera.from_matrix(sim.matrix, sim.width, sim.height)

    @property
    def T(self):  # noqa: N802
        """True pose of the newer camera in the older one, metres."""
        return inverse(self.older.T_world_camera) @ self.newer.T_world_camera

    def gravity(self):
        return self.older.T_world_camera[:3, :3].T @ np.array([0.0, 0.0, -1.0])

    def standing(self, rng, count, noise, built=None):
        """Matches (N, 2), pixels, on static surfaces; `built`: share of them on buildings and trees."""
        sim = self.older.camera
        pixels = rng.uniform([0, 0], [sim.width - 1, sim.height - 1], (20 * count, 2)).round()
        columns, rows = pixels.astype(int).T
        points = _world(self.older, pixels)
        seen = np.isfinite(points).all(axis=1) & ~self.older.moving[rows, columns]
        pixels, points = pixels[seen], points[seen]
        found, depth = _project(self.newer, points)
        visible = _inside(self.newer, found, depth)
        pixels, found, depth = pixels[visible], found[visible], depth[visible]
        shown = self.newer.depth[tuple(found.round().astype(int).T[::-1])]
        same = np.abs(shown / depth - 1) < 0.02
        pixels, found = pixels[same], found[same]
        order = np.arange(len(pixels))
        if built is not None:
            on_built = self.older.instances[tuple(pixels.astype(int).T[::-1])] < 0
            wanted = round(built * count)
            order = np.concatenate([np.flatnonzero(on_built)[:wanted], np.flatnonzero(~on_built)[: count - wanted]])
        order = order[:count]
        return _disturbed(pixels[order], rng, noise), _disturbed(found[order], rng, noise)

    def driving(self, rng, count, noise):
        """Matches (N, 2), pixels, on vehicles that drive in one direction, at their true motion; at most `count`."""
        rows, columns = np.nonzero(self.older.moving & np.isfinite(self.older.depth))
        ids = self.older.instances[rows, columns]
        pixels = np.column_stack([columns, rows]).astype(float)
        points = _world(self.older, pixels)
        before, after = _vehicles(self.older), _vehicles(self.newer)
        both = sorted(set(before) & set(after))
        if not both:
            return np.zeros((0, 2)), np.zeros((0, 2))
        sizes = {i: np.sum(ids == i) for i in both}
        streams = [[j for j in both if abs(np.exp(1j * before[i][1]) - np.exp(1j * before[j][1])) < 0.3] for i in both]
        stream = max(streams, key=lambda members: sum(sizes[j] for j in members))
        for i in stream:
            (position0, yaw0), (position1, yaw1) = before[i], after[i]
            on, turn = ids == i, yaw1 - yaw0
            R = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
            points[on, :2] = (points[on, :2] - position0) @ R.T + position1
        found, depth = _project(self.newer, points)
        visible = np.isin(ids, stream) & _inside(self.newer, found, depth)
        pixels, found, ids = pixels[visible], found[visible], ids[visible]
        same = self.newer.instances[tuple(found.round().astype(int).T[::-1])] == ids
        chosen = rng.permutation(np.flatnonzero(same))[:count]
        return _disturbed(pixels[chosen], rng, noise), _disturbed(found[chosen], rng, noise)


def _world(truth, pixels):
    K, pose = truth.camera.matrix, truth.T_world_camera
    depth = truth.depth[tuple(pixels.astype(int).T[::-1])].astype(float)
    rays = np.insert((pixels - K[:2, 2]) / K[[0, 1], [0, 1]], 2, 1.0, axis=1)
    with np.errstate(invalid="ignore"):
        return (rays * depth[:, None]) @ pose[:3, :3].T + pose[:3, 3]


def _project(truth, points):
    K, pose = truth.camera.matrix, truth.T_world_camera
    seen = (points - pose[:3, 3]) @ pose[:3, :3]
    depth = np.where(seen[:, 2] > 0.1, seen[:, 2], np.nan)
    return seen[:, :2] / depth[:, None] * K[[0, 1], [0, 1]] + K[:2, 2], depth


def _inside(truth, pixels, depth):
    size = [truth.camera.width - 0.6, truth.camera.height - 0.6]
    return np.isfinite(depth) & (pixels > -0.4).all(axis=1) & (pixels < size).all(axis=1)


def _vehicles(truth):
    boxes = truth.boxes
    speed = np.linalg.norm(boxes.velocity, axis=1)
    used = np.isin(boxes.class_ids, VEHICLES) & (speed > 1.0)
    yaw = np.arctan2(boxes.velocity[:, 1], boxes.velocity[:, 0])
    return {int(boxes.ids[k]): (boxes.position[k], yaw[k]) for k in np.flatnonzero(used)}


def _disturbed(pixels, rng, noise):
    return pixels + noise * rng.normal(size=pixels.shape)


def _lens(width, height):
    return lens_of(camera_with_fov(width, height, 70.0))


@pytest.fixture(scope="session")
def town():
    """A scene with many buildings and much traffic."""
    return build_scene(5, SceneOptions(side=SIDE, metres_per_pixel=0.64, urbanity=0.9))


@pytest.fixture(scope="session")
def flown(town):
    """Pairs two seconds apart of three flights over the town: nadir, oblique and forward views."""
    lens, pairs = _lens(320, 240), []
    for kind, pitch, altitude in (("survey", -85.0, 60.0), ("survey", -60.0, 70.0), ("forward", -40.0, 60.0)):
        options = FlightPathOptions(kind=kind, pitch_deg=pitch, altitude_m=altitude, duration_s=20.0)
        course = plan_flight_path(5, (SIDE / 2, SIDE / 2), 50.0, options)
        poses = [course.pose_at(stamp) for stamp in np.arange(0.0, 20.0, 2.0)]
        frames = [frame_truth(town, lens, pose, render_scene(town, lens.undistorted, pose, 0.0)) for pose in poses]
        pairs += [SimulatedPair(a, b) for a, b in itertools.pairwise(frames)]
    return pairs


@pytest.fixture(scope="session")
def traffic(town):
    """Pairs half a second and five metres apart, at low altitude over moving vehicles."""
    lens, rng, pairs = _lens(480, 360), np.random.default_rng(5), []
    population = town.population
    moving = (population.route_index >= 0) & (population.speed > 3)
    driving = np.flatnonzero(moving & np.isin(population.class_ids, VEHICLES))
    for _ in range(12):
        vehicle, stamp = rng.choice(driving), rng.uniform(0, 100)
        place = population.at(stamp)[0][vehicle] % SIDE
        yaw, pitch, altitude = rng.uniform(0, 2 * math.pi), math.radians(-75), 35.0
        back = altitude / math.tan(-pitch) * np.array([math.cos(yaw), math.sin(yaw)])
        older = camera_pose(np.array([*(place - back), altitude]), yaw, pitch)
        course = rng.uniform(0, 2 * math.pi)
        step = np.array([5 * math.cos(course), 5 * math.sin(course), 0.5 * rng.normal()])
        angles = np.array([yaw, pitch, 0.0]) + rng.normal(size=3) * [0.05, 0.03, 0.02]
        newer = camera_pose(older[:3, 3] + step, *angles)
        frames = [
            frame_truth(town, lens, pose, render_scene(town, lens.undistorted, pose, when))
            for pose, when in ((older, stamp), (newer, stamp + 0.5))
        ]
        pairs.append(SimulatedPair(*frames))
    return pairs
