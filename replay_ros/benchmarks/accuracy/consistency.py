"""Consistency of the covariances of relative poses on pairs of simulated views.

The pairs have true correspondences with white noise, and matches of loftr_lite.

For a consistent covariance, the normalised estimation error squared (NEES; Bar-Shalom, Li and Kirubarajan, "Estimation
with Applications to Tracking and Navigation", section 5.4) over its degrees of freedom has the mean 1. A larger mean is
overconfidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from flight_sim.flight import CameraOptions, Flight, FlightOptions, start_flight
from flight_sim.flight_path import FlightKind, FlightPathOptions
from flight_sim.rendering.renderer import render_scene
from flight_sim.scene import SceneOptions
from flight_sim.truth import FrameTruth, frame_truth
from loftr_ros.geometry.sphere import move_direction
from loftr_ros.geometry.two_view.ambiguity import MotionPrior
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.relative_pose import Geometry, RelativePose, TwoViewSettings
from perception_common.cameras.camera import Camera
from perception_common.geometry import inverse, so3_exp, so3_log, transform
from replay_ros.benchmarks.consistency.matched_flights import measure_matched
from replay_ros.benchmarks.measurement import BenchmarkPlan, Check, Measurement, SubjectReport
from replay_ros.benchmarks.synthetic import camera_of

NOISE = (1.0, 2.0, 4.0)  # standard deviation in both images, pixels
TOLERANCE = 0.2  # of the mean from 1
_VIEWS = 5  # rendered per flight; pairs differ in motion, matches and noise
_MATCHES = 300  # per pair, at most
_GRAVITY_ERROR = np.radians(3.0)  # standard deviation
_COURSES: dict[str, tuple[FlightKind, float]] = {
    "general": ("orbit", -60.0),
    "planar": ("survey", -80.0),
    "forward": ("forward", -25.0),
    "rotation": ("orbit", -60.0),
}
KINDS = tuple(_COURSES)
_RELIEF = (Geometry.GENERAL, Geometry.PLANAR)
ALLOWED = {
    "general": _RELIEF,
    "planar": (Geometry.PLANAR,),
    "forward": _RELIEF,
    "rotation": (Geometry.ROTATION_ONLY,),
}


@dataclass(frozen=True, eq=False)
class SimulatedPair:
    """Matches of two views of a camera.

    points0, points1: (N, 2) pixels. noise: their standard deviation, pixels. T: (4, 4) true pose of the newer view in
    the older one. down: (3,) measured direction of gravity in the older view.
    """

    points0: np.ndarray
    points1: np.ndarray
    camera: Camera
    noise: float
    T: np.ndarray
    down: np.ndarray

    def estimate(self) -> RelativePose:
        """Estimate the pose."""
        prior = MotionPrior(down=self.down)
        return estimate_relative_pose(
            self.points0, self.points1, self.camera, self.camera, TwoViewSettings(threshold=1.5), prior=prior
        )


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Estimate pairs of four geometries with white noise, without and with outliers, and pairs that are matched."""
    rows, checks, notes = [], [], []
    for kind in KINDS:
        for outliers in (0.0, 0.2):
            estimated = [(pair, pair.estimate()) for pair in simulated_pairs(kind, plan.pairs, outliers)]
            found = [(pair.noise, squared_error(p, pair.T)) for pair, p in estimated if p.geometry in ALLOWED[kind]]
            name = f"{kind}, {100 * outliers:.0f} % outliers"
            errors = [error for _, error in found]
            rows.append(Measurement.of(name, "", errors))
            checks.append(Check(f"{name}: mean off 1", "aim", abs(float(np.mean(errors)) - 1.0), TOLERANCE, ""))
            by_noise = (
                f"{np.mean([e for n, e in found if n == noise]):.2f} ({noise:g} px)"
                for noise in NOISE
                if any(n == noise for n, _ in found)
            )
            notes.append(
                f"{name}: mean {np.mean(errors):.2f}; {', '.join(by_noise)}; "
                f"{len(estimated) - len(errors)} of {len(estimated)} pairs with a wrong geometry class"
            )
    matched = measure_matched(plan)
    return SubjectReport(
        subject="consistency",
        conditions="squared error in units of the covariance over its degrees of freedom, expected 1; "
        f"{plan.pairs} pairs of simulated flights of each geometry, {_MATCHES} matches, "
        f"{', '.join(f'{n:g}' for n in NOISE)} px of noise; {plan.matched_pairs} {matched.conditions}",
        rows=(*rows, *matched.rows),
        checks=(*checks, *matched.checks),
        notes=(*notes, *matched.notes),
    )


def simulated_pairs(kind: str, count: int, outliers: float = 0.0, seed: int = 7) -> Iterator[SimulatedPair]:
    """Yield pairs of one of KINDS. outliers: their share of the matches. Deterministic."""
    flight, views = _views_of(kind, seed)
    camera = camera_of(flight.camera)
    for number in range(count):
        rng = np.random.default_rng([number, 11])
        stamp, truth = views[number % _VIEWS]
        T = inverse(truth.T_world_camera) @ flight.path.pose_at(stamp + rng.uniform(1.0, 3.0))
        if kind == "rotation":
            T = transform(so3_exp(rng.normal(scale=0.1, size=3)), np.zeros(3))
        noise = NOISE[number // _VIEWS % len(NOISE)]
        tilt = _GRAVITY_ERROR * rng.normal(size=2)
        down = move_direction(truth.T_world_camera[:3, :3].T @ [0.0, 0.0, -1.0], tilt)
        points0, points1 = _matches_of(truth, camera, T, noise, rng)
        is_outlier = rng.random(len(points1)) < outliers
        points1[is_outlier] = rng.uniform(0, [camera.width, camera.height], (is_outlier.sum(), 2))
        yield SimulatedPair(points0, points1, camera, noise, T, down)


def squared_error(pose: RelativePose, T: np.ndarray) -> float:
    """Return the NEES over its degrees of freedom: 5, or 3 for a rotation without translation."""
    turn = so3_log(T[:3, :3] @ pose.rotation.T)
    if pose.geometry == Geometry.ROTATION_ONLY:
        return float(turn @ np.linalg.solve(pose.covariance[3:, 3:], turn)) / 3
    error = np.concatenate([T[:3, 3] / np.linalg.norm(T[:3, 3]) - pose.translation, turn])
    return float(error @ np.linalg.solve(pose.covariance, error)) / 5


def _flight_of(kind: str, seed: int) -> Flight:
    course, pitch = _COURSES[kind]
    scene = SceneOptions(side=163.84, metres_per_pixel=0.32, built=kind != "planar", height_limit=30.0)
    path = FlightPathOptions(course, duration_s=30.0, pitch_deg=pitch)
    return start_flight(seed, FlightOptions(scene, path, CameraOptions(640, 480)))


@lru_cache(maxsize=len(KINDS))
def _views_of(kind: str, seed: int) -> tuple[Flight, list[tuple[float, FrameTruth]]]:
    """Return a flight, and stamps (seconds) and truths of its older views; its end is left for the newer ones.

    Kept, as making them takes longer than estimating a hundred pairs.
    """
    flight = _flight_of(kind, seed)
    stamps = np.linspace(2.0, 20.0, _VIEWS).tolist()
    poses = [(stamp, flight.path.pose_at(stamp)) for stamp in stamps]
    scene, lens = flight.scene, flight.lens
    return flight, [
        (stamp, frame_truth(scene, lens, pose, render_scene(scene, lens.undistorted, pose, stamp)))
        for stamp, pose in poses
    ]


def _matches_of(
    truth: FrameTruth, camera: Camera, T: np.ndarray, noise: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy matches of the static part of a view with a view at the pose T (4, 4) in it."""
    still = np.isfinite(truth.depth) & ~truth.moving
    rows, columns = np.nonzero(still)
    chosen = rng.permutation(len(rows))[: 8 * _MATCHES]
    points0 = np.column_stack([columns[chosen], rows[chosen]]).astype(float)
    rays = np.insert(camera.rays(points0), 2, 1.0, axis=1)
    newer = (rays * truth.depth[rows[chosen], columns[chosen], None] - T[:3, 3]) @ T[:3, :3]
    points1 = truth.camera.project(newer)
    size = np.array([camera.width, camera.height])
    inside = (newer[:, 2] > 1.0) & (points1 >= 0).all(axis=1) & (points1 < size).all(axis=1)
    seen = np.flatnonzero(inside)[:_MATCHES]
    observed0, observed1 = (p[seen] + noise * rng.normal(size=(len(seen), 2)) for p in (points0, points1))
    return observed0, observed1
