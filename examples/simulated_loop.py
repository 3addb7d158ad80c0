"""Simulate a drone that flies a loop: relative poses, odometry and GNSS positions in a bag, and the true trajectory.

    python examples/simulated_loop.py loop_bag --truth truth.tum

The trajectory comes from flight_sim. Points on the ground and on roofs are projected into the keyframes and disturbed
like matches; then they go through the two-view estimator, the scale by altitude and the odometry of loftr_node.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys.store import Typestore

from flight_sim.flight_path import FlightPathOptions, plan_flight_path
from loftr_ros.geometry.scale.altitude import scale_from_altitude
from loftr_ros.geometry.scale.limits import LengthMeasurement
from loftr_ros.geometry.scale.result import Scale, scaled
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.relative_pose import RelativePose, TwoViewSettings
from loftr_ros.matches import Matches
from loftr_ros.results import KeyframeInfo, OdometryState, PairResult
from loftr_ros.sensors.gravity import Gravity
from loftr_ros.trajectory.odometry import Odometry, OdometryFrames
from perception_common.cameras.camera import Camera
from perception_common.cli import run
from perception_common.geometry import inverse, quaternion_from_matrix, transform
from perception_common.tum import Trajectory, write_tum
from replay_ros.bags.datasets.ground_truth import Pose
from replay_ros.bags.messages import header, new, world_pose_message
from replay_ros.bags.sensor_messages import fix_message, odometry_message
from replay_ros.bags.writer import BagWriter
from yolc_ros.georeference.geodesy import LocalFrame

WIDTH, HEIGHT, FOCAL = 1280, 720, 900.0
CAMERA = Camera(WIDTH, HEIGHT, (FOCAL, 0.0, WIDTH / 2, 0.0, FOCAL, HEIGHT / 2, 0.0, 0.0, 1.0))
TWO_VIEW = TwoViewSettings(threshold=1.0)  # the noise of the simulated matches; README.md has the results with it
START_NS = 1_000_000_000
OPTICAL_FRAME = "camera_optical"
GRAVITY_DEVIATION = math.radians(1.0)  # of the frame of the odometry
ORIGIN = LocalFrame(47.0, 8.0, 400.0)  # of the world


@dataclass(frozen=True)
class LoopOptions:
    """A loop of keyframes, `interval_s` apart; each is matched with the `match_last` ones before it.

    closures: number of loop closures between the last and the first keyframes, as from place recognition. points:
    matches of a pair. pixel_noise: standard deviation of a match, pixels. wrong: share of matches at random places.
    altitude_noise: standard deviation over the height. high: share of points on roofs of up to roof_m. gnss_noise:
    standard deviation of a position along each axis, metres.
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
    gnss_noise: float = 1.5


@dataclass(frozen=True, eq=False)
class Step:
    """An estimated relative pose between the keyframes `older` and `newer`, and its scale."""

    older: int
    newer: int
    motion: RelativePose
    scale: Scale
    matches: int
    is_loop: bool


def fly_loop(options: LoopOptions) -> Trajectory:
    """Return the true poses of the keyframes' camera on a loop whose end overlaps its start."""
    course = FlightPathOptions(kind="loop", duration_s=options.duration_s, altitude_m=options.altitude_m)
    flight = plan_flight_path(options.seed, (0.0, 0.0), 20.0, course)
    times = np.arange(0.0, options.duration_s, options.interval_s)
    poses = [flight.pose_at(float(time)) for time in times]
    return Trajectory.from_matrices(START_NS + (times * 1e9).astype(np.int64), poses)


def estimate_steps(truth: Trajectory, options: LoopOptions) -> Iterator[Step]:
    """Estimate the relative poses of consecutive keyframes and of the loop closures."""
    rng = np.random.default_rng([options.seed, 21])
    poses = truth.matrices()
    count = len(poses)
    pairs = [(newer - back, newer) for newer in range(count) for back in range(1, options.match_last + 1)]
    pairs += _closures(truth, options.closures)
    altitudes = poses[:, 2, 3] * (1.0 + options.altitude_noise * rng.normal(size=count))
    for older, newer in (pair for pair in pairs if pair[0] >= 0):
        yield _estimate_step(poses, altitudes, older, newer, options, rng)


def _closures(truth: Trajectory, count: int) -> list[tuple[int, int]]:
    """Return the nearest pairs (older, newer) of the first and the last third of the flight, each keyframe once."""
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


def _estimate_step(
    poses: np.ndarray, altitudes: np.ndarray, older: int, newer: int, options: LoopOptions, rng: np.random.Generator
) -> Step:
    """Simulate the matches of two keyframes, and estimate their relative pose and its scale."""
    points0, points1 = _simulate_matches(poses[older], poses[newer], options, rng)
    motion = estimate_relative_pose(points0, points1, CAMERA, CAMERA, TWO_VIEW)
    rays0, rays1 = (
        np.column_stack([CAMERA.rays(points[motion.inliers]), np.ones(motion.inliers.sum())])
        for points in (points0, points1)
    )
    down = poses[older][:3, :3].T @ np.array([0.0, 0.0, -1.0])
    altitude0, altitude1 = (
        LengthMeasurement(value=float(altitudes[k]), deviation=options.altitude_noise * float(altitudes[k]))
        for k in (older, newer)
    )
    scale = scale_from_altitude(
        x0=rays0,
        x1=rays1,
        rotation=motion.rotation,
        translation=motion.translation,
        altitude=altitude0,
        down=down,
        noise=motion.noise / FOCAL,
        gravity=down,
        newer=altitude1,
    )
    return Step(older, newer, motion, scale, len(points0), is_loop=newer - older > options.match_last)


def _simulate_matches(
    T_world_older: np.ndarray, T_world_newer: np.ndarray, options: LoopOptions, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy matches (N, 2), pixels, of random points on ground and roofs that both cameras see."""
    middle = (T_world_older[:2, 3] + T_world_newer[:2, 3]) / 2
    reach = 1.2 * options.altitude_m
    ground = rng.uniform(-reach, reach, (20 * options.points, 2)) + middle
    heights = np.where(rng.random(len(ground)) < options.high, rng.uniform(0, options.roof_m, len(ground)), 0.0)
    world = np.column_stack([ground, heights])
    pixels0, pixels1 = _project(world, T_world_older), _project(world, T_world_newer)
    visible = np.flatnonzero(_is_in_image(pixels0) & _is_in_image(pixels1))[: options.points]
    count = len(visible)
    points0 = pixels0[visible] + options.pixel_noise * rng.normal(size=(count, 2))
    points1 = pixels1[visible] + options.pixel_noise * rng.normal(size=(count, 2))
    wrong = rng.random(count) < options.wrong
    points1[wrong] = rng.uniform(0, [WIDTH, HEIGHT], (int(wrong.sum()), 2))
    return points0, points1


def _is_in_image(pixels: np.ndarray) -> np.ndarray:
    """Whether each pixel (N, 2) lies in the image, (N,) bool."""
    return (pixels >= 0).all(axis=1) & (pixels < [WIDTH, HEIGHT]).all(axis=1)


def _project(world: np.ndarray, T_world_camera: np.ndarray) -> np.ndarray:
    """Project world points (N, 3) to pixels (N, 2); infinity for points less than 1 m in front of the camera."""
    T = inverse(T_world_camera)
    points = world @ T[:3, :3].T + T[:3, 3]
    return np.where(points[:, 2:] > 1.0, FOCAL * points[:, :2] / points[:, 2:] + [WIDTH / 2, HEIGHT / 2], math.inf)


def message_of(types: Typestore, step: Step, truth: Trajectory) -> Any:
    """Return the yolc_ros/RelativePose of a step as loftr_node publishes it."""
    translation, covariance = scaled(step.motion.translation, step.motion.covariance, step.scale)
    T = transform(step.motion.rotation, translation)
    older, newer = (int(truth.stamps_ns[k]) for k in (step.older, step.newer))
    head = header(types, newer, OPTICAL_FRAME)
    pose = world_pose_message(types, Pose(T[:3, 3], quaternion_from_matrix(T[:3, :3])), newer, OPTICAL_FRAME).pose
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
        "loop": step.is_loop,
    }
    return new(types, "yolc_ros/msg/RelativePose", **fields)


def pair_of(step: Step, keyframes: Sequence[KeyframeInfo]) -> PairResult:
    """Return a step as the front end has it, without its matches."""
    none = np.zeros(0)
    points = np.zeros((0, 2))
    matches = Matches(points, points, none, none, none, none, (WIDTH, HEIGHT), (WIDTH, HEIGHT))
    older, newer = keyframes[step.older], keyframes[step.newer]
    return PairResult(older, newer, matches, none, none, step.motion, step.scale, none, is_loop=step.is_loop)


def odometry_states(steps: Sequence[Step], truth: Trajectory) -> Iterator[OdometryState]:
    """Yield the odometry of the camera over the steps from each keyframe to the next, in a frame with z up."""
    stamps, poses = truth.stamps_ns.tolist(), truth.matrices()
    keyframes = [KeyframeInfo(k, stamp, OPTICAL_FRAME, WIDTH, HEIGHT, CAMERA) for k, stamp in enumerate(stamps)]
    next_steps = {step.newer: step for step in steps if step.newer == step.older + 1}
    odometry = Odometry(OdometryFrames("odom", is_level=True))
    for keyframe in keyframes:
        step = next_steps.get(keyframe.id)
        gravity = Gravity(poses[keyframe.id][:3, :3].T @ np.array([0.0, 0.0, -1.0]), GRAVITY_DEVIATION, "truth")
        if state := odometry.add(keyframe, None if step is None else pair_of(step, keyframes), gravity):
            yield state


def fix_of(types: Typestore, truth: Trajectory, number: int, options: LoopOptions) -> Any:
    """Return a noisy sensor_msgs/NavSatFix at a keyframe."""
    noise = options.gnss_noise * np.random.default_rng([options.seed, 22, number]).normal(size=3)
    latitude, longitude, height = ORIGIN.to_geodetic(truth.positions[number] + noise)[0].tolist()
    stamp = int(truth.stamps_ns[number])
    return fix_message(types, latitude, longitude, height, [options.gnss_noise] * 3, stamp, OPTICAL_FRAME)


def write_loop(out: Path, options: LoopOptions = LoopOptions(), *, force: bool = False) -> Trajectory:
    """Write the bag; returns the true trajectory of the optical frame in an ENU world."""
    truth = fly_loop(options)
    with BagWriter(out, force=force) as bag:
        steps = list(estimate_steps(truth, options))
        for step in steps:
            bag.write("loftr/relative_pose", message_of(bag.types, step, truth), int(truth.stamps_ns[step.newer]))
        for state in odometry_states(steps, truth):
            pose = Pose(state.T[:3, 3], quaternion_from_matrix(state.T[:3, :3]))
            names = state.frame, state.child_frame
            message = odometry_message(bag.types, pose, state.stamp_ns, *names, covariance=state.covariance)
            bag.write("loftr/odometry", message, state.stamp_ns)
        for number, stamp in enumerate(truth.stamps_ns.tolist()):
            bag.write("fix", fix_of(bag.types, truth, number, options), stamp)
    return truth


def main(arguments: list[str] | None = None) -> int:
    """Write a simulated loop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the new bag")
    parser.add_argument("--truth", type=Path, metavar="FILE", help="TUM file for the true trajectory")
    parser.add_argument("--seed", type=int, default=0)
    duration = LoopOptions.duration_s
    parser.add_argument("--duration", type=float, default=duration, help=f"seconds (default: {duration:g})")
    parser.add_argument("--force", action="store_true", help="replace the bag")
    given = parser.parse_args(arguments)
    truth = write_loop(given.out, LoopOptions(given.seed, duration_s=given.duration), force=given.force)
    if given.truth:
        write_tum(given.truth, truth)
    print(f"{len(truth)} keyframes: {given.out}")
    return 0


if __name__ == "__main__":
    run(main)
