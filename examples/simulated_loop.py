"""A drone that flies a loop, as a bag of relative poses with their covariances, and its true trajectory.

    python examples/simulated_loop.py loop_bag --truth truth.tum

The flight is one of flight_sim. Points of the ground and of roofs are projected into the keyframes, disturbed like
matches, and given to the same two-view estimator and scale by altitude as loftr_node's matches.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys.store import Typestore

from flight_sim.flight_path import FlightPathOptions, plan_flight_path
from loftr_ros.geometry.scale.sources import FactorEstimate, Scale, scale_from_altitude, scaled
from loftr_ros.geometry.two_view.estimation import RelativePose, estimate_relative_pose
from perception_common.cameras.camera import Camera
from perception_common.cli import run
from perception_common.geometry import inverse, quaternion_from_matrix, transform
from perception_common.tum import Trajectory, write_tum
from replay_ros.bags.datasets.ground_truth import Pose
from replay_ros.bags.messages import header, new, pose_message
from replay_ros.bags.writer import BagWriter

WIDTH, HEIGHT, FOCAL = 1280, 720, 900.0
CAMERA = Camera(WIDTH, HEIGHT, (FOCAL, 0.0, WIDTH / 2, 0.0, FOCAL, HEIGHT / 2, 0.0, 0.0, 1.0))
START_NS = 1_000_000_000


@dataclass(frozen=True)
class LoopOptions:
    """A loop of keyframes, `interval_s` apart; each is matched with the `match_last` ones before it.

    closures: pairs between the last keyframes and the first, as a place recognition would ask for. pixel_noise:
    standard deviation of a match, pixels. wrong: share of matches that are anything. altitude_noise: standard deviation
    over the height. high: share of points on roofs, up to roof_m.
    """

    seed: int = 0
    interval_s: float = 2.0
    duration_s: float = 66.0
    altitude_m: float = 50.0
    match_last: int = 2
    closures: int = 2
    points: int = 300
    pixel_noise: float = 1.0
    wrong: float = 0.1
    altitude_noise: float = 0.02
    high: float = 0.3
    roof_m: float = 12.0


@dataclass(frozen=True, eq=False)
class Step:
    """An estimated relative pose between the keyframes `older` and `newer`, and the metres to it."""

    older: int
    newer: int
    motion: RelativePose
    scale: Scale
    matches: int


def fly_loop(options: LoopOptions) -> Trajectory:
    """Return the true trajectory of the camera's keyframes: a loop that overlaps its own beginning."""
    course = FlightPathOptions(kind="loop", duration_s=options.duration_s, altitude_m=options.altitude_m)
    flight = plan_flight_path(options.seed, (0.0, 0.0), 20.0, course)
    times = np.arange(0.0, options.duration_s, options.interval_s)
    poses = [flight.pose_at(float(time)) for time in times]
    return Trajectory.from_matrices(START_NS + (times * 1e9).astype(np.int64), poses)


def estimate_steps(truth: Trajectory, options: LoopOptions) -> Iterator[Step]:
    """Estimate the relative poses of keyframes that follow each other, and of the loop closures."""
    rng = np.random.default_rng([options.seed, 21])
    poses = truth.matrices()
    count = len(poses)
    pairs = [(newer - back, newer) for newer in range(count) for back in range(1, options.match_last + 1)]
    pairs += _closures(truth, options.closures)
    altitudes = poses[:, 2, 3] * (1.0 + options.altitude_noise * rng.normal(size=count))
    for older, newer in (pair for pair in pairs if pair[0] >= 0):
        yield _step(poses, altitudes, older, newer, options, rng)


def _closures(truth: Trajectory, count: int) -> list[tuple[int, int]]:
    """Return the pairs of the first and the last third of the flight that are nearest to each other."""
    third = len(truth) // 3
    distances = np.linalg.norm(truth.positions[:third, None] - truth.positions[None, -third:], axis=2)
    nearest = np.dstack(np.unravel_index(np.argsort(distances, axis=None), distances.shape))[0]
    chosen: list[tuple[int, int]] = []
    for older, newer in nearest.tolist():
        if all(older != other[0] and newer + len(truth) - third != other[1] for other in chosen):
            chosen.append((older, newer + len(truth) - third))
        if len(chosen) == count:
            break
    return chosen


def _step(
    poses: np.ndarray, altitudes: np.ndarray, older: int, newer: int, options: LoopOptions, rng: np.random.Generator
) -> Step:
    T_world_older, T_world_newer = poses[older], poses[newer]
    middle = (T_world_older[:2, 3] + T_world_newer[:2, 3]) / 2
    reach = 1.2 * options.altitude_m
    ground = rng.uniform(-reach, reach, (20 * options.points, 2)) + middle
    heights = np.where(rng.random(len(ground)) < options.high, rng.uniform(0, options.roof_m, len(ground)), 0.0)
    world = np.column_stack([ground, heights])
    pixels = [_project(world, T) for T in (T_world_older, T_world_newer)]
    seen = np.logical_and(*((p >= 0).all(axis=1) & (p < [WIDTH, HEIGHT]).all(axis=1) for p in pixels))
    chosen = np.flatnonzero(seen)[: options.points]
    points = [p[chosen] + options.pixel_noise * rng.normal(size=(len(chosen), 2)) for p in pixels]
    wrong = rng.random(len(chosen)) < options.wrong
    points[1][wrong] = rng.uniform(0, [WIDTH, HEIGHT], (int(wrong.sum()), 2))
    motion = estimate_relative_pose(points[0], points[1], CAMERA, CAMERA)
    rays = [np.column_stack([CAMERA.rays(p[motion.inliers]), np.ones(motion.inliers.sum())]) for p in points]
    down = T_world_older[:3, :3].T @ np.array([0.0, 0.0, -1.0])
    scale = scale_from_altitude(
        *(rays[0], rays[1], motion.rotation, motion.translation),
        FactorEstimate(float(altitudes[older]), options.altitude_noise * float(altitudes[older])),
        down,
        noise=motion.noise / FOCAL,
        gravity=down,
        newer=FactorEstimate(float(altitudes[newer]), options.altitude_noise * float(altitudes[newer])),
    )
    return Step(older, newer, motion, scale, len(chosen))


def _project(world: np.ndarray, T_world_camera: np.ndarray) -> np.ndarray:
    """Project points (N, 3) to (N, 2) pixels; all of them lie in front of a camera that looks down."""
    T = inverse(T_world_camera)
    points = world @ T[:3, :3].T + T[:3, 3]
    return np.where(points[:, 2:] > 1.0, FOCAL * points[:, :2] / points[:, 2:] + [WIDTH / 2, HEIGHT / 2], math.inf)


def message_of(types: Typestore, step: Step, truth: Trajectory) -> Any:
    """Return the yolc_ros/RelativePose of a step, as loftr_node publishes it."""
    translation, covariance = scaled(step.motion.translation, step.motion.covariance, step.scale)
    T = transform(step.motion.rotation, translation)
    older, newer = (int(truth.stamps_ns[k]) for k in (step.older, step.newer))
    head = header(types, newer, "camera_optical")
    pose = pose_message(types, Pose(T[:3, 3], quaternion_from_matrix(T[:3, :3])), newer, "camera_optical").pose
    fields = {
        "header": head,
        "older_id": step.older,
        "newer_id": step.newer,
        "older_stamp": header(types, older, "").stamp,
        "newer_stamp": head.stamp,
        "pose": new(types, "geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=covariance.ravel()),
        "scale_status": int(step.scale.source),
        "geometry": int(step.motion.geometry),
        "matches": step.matches,
        "inliers": int(step.motion.inliers.sum()),
        "parallax": step.motion.parallax,
        "residual": step.motion.residual,
        "reason": step.motion.reason,
        "scale_reason": step.scale.reason,
    }
    return new(types, "yolc_ros/msg/RelativePose", **fields)


def write_loop(out: Path, options: LoopOptions = LoopOptions(), *, force: bool = False) -> Trajectory:
    """Write the bag; returns the true trajectory of the optical frame, ENU."""
    truth = fly_loop(options)
    with BagWriter(out, force=force) as bag:
        for step in estimate_steps(truth, options):
            bag.write("loftr/relative_pose", message_of(bag.types, step, truth), int(truth.stamps_ns[step.newer]))
    return truth


def main(arguments: list[str] | None = None) -> int:
    """Write a simulated loop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the new bag")
    parser.add_argument("--truth", type=Path, metavar="FILE", help="TUM file for the true trajectory")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--force", action="store_true", help="replace the bag")
    given = parser.parse_args(arguments)
    truth = write_loop(given.out, LoopOptions(seed=given.seed), force=given.force)
    if given.truth:
        write_tum(given.truth, truth)
    print(f"{len(truth)} keyframes: {given.out}")
    return 0


if __name__ == "__main__":
    run(main)
