"""Hovering and turning: whether two-view geometry invents a translation, and whether it sees small ones.

Synthetic matches with known truth over a grid of noise, wrong matches and motion, for both estimators:

- A camera that stands still or turns: how often is a translation reported (GENERAL or PLANAR), how often FAILED?
- A camera that moves by a small parallax over relief or over a plane: how often is the motion missed? Noise hides small
  motions from any test; the limit is therefore what an ideal one misses (`ideal_miss_rate`), plus TOLERANCE.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from tqdm import tqdm

from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.relative_pose import Geometry, TwoViewSettings
from loftr_ros.geometry.two_view.thresholds import MIN_GAIN
from perception_common.cameras.camera import Camera
from perception_common.geometry import skew, so3_exp
from replay_ros.benchmarks.measurement import BenchmarkPlan, Check, Measurement, SubjectReport

Estimator = Literal["poselib", "opencv"]
ESTIMATORS: tuple[Estimator, ...] = ("poselib", "opencv")
TUNING_SEED, REPORTING_SEED = 1, 2026  # the geometry was worked on with the first alone; figures are of the second
NOISE = (0.02, 0.1, 0.3, 0.5, 1.0, 2.0)  # standard deviation in both images, pixels
OUTLIERS = (0.0, 0.1, 0.2, 0.3)  # share of wrong matches
TURNS = (0.0, 1.0, 5.0, 15.0)  # degrees
PARALLAX = (0.5, 1.0, 2.0)  # degrees, median over the matches
SCENES = ("relief", "plane")
FALSE_TRANSLATIONS, FAILURES = 0.5, 1.0  # %, limits
TOLERANCE = 5.0  # %, of missed motions above those of the ideal test
CAMERA = Camera.from_matrix(np.array([[600.0, 0, 319.5], [0, 600, 239.5], [0, 0, 1]]), 640, 480)

_MATCHES = (100, 1000)  # log-uniform
_NEAR = 24.0  # pixels; half of the wrong matches are off by up to that, as on a repeated texture; others lie anywhere
_DRAWN = 10_000  # of a noncentral chi-squared distribution


@dataclass(frozen=True, eq=False)
class Sample:
    """Matches with known truth, and where they stand in the grid.

    points0, points1: (N, 2) pixels; exact0, exact1: the same without noise and wrong matches. right: (N,) bool.
    rotation: (3, 3), translation: (3,), pose of the newer camera in the older one. noise: pixels. parallax: degrees, 0
    for a camera that stands.
    """

    points0: np.ndarray
    points1: np.ndarray
    exact0: np.ndarray
    exact1: np.ndarray
    right: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    scene: str
    noise: float
    parallax: float

    def classify(self, estimator: Estimator) -> Geometry:
        """Return the class that the two-view geometry gives to these matches."""
        settings = TwoViewSettings(estimator)
        return estimate_relative_pose(self.points0, self.points1, CAMERA, CAMERA, settings).geometry


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Classify standing and moving cameras with both estimators."""
    rows, checks = [], []
    for estimator in ESTIMATORS:
        seconds: list[float] = []
        still: Counter[Geometry] = Counter()
        for sample in tqdm(standing_samples(plan.standing), f"{estimator}, standing", plan.standing, disable=None):
            still[_timed(sample, estimator, seconds)] += 1
        invented = still[Geometry.GENERAL] + still[Geometry.PLANAR]
        checks += [
            Check(f"{estimator}: false translation", "aim", 100 * invented / plan.standing, FALSE_TRANSLATIONS, "%"),
            Check(f"{estimator}: standing, failed", "aim", 100 * still[Geometry.FAILED] / plan.standing, FAILURES, "%"),
        ]
        found: dict[tuple[str, float, float], Counter[Geometry]] = {}
        ideal: dict[tuple[str, float, float], list[float]] = {}
        for sample in tqdm(moving_samples(plan.moving), f"{estimator}, moving", disable=None):
            cell = (sample.scene, sample.parallax, sample.noise)
            found.setdefault(cell, Counter())[_timed(sample, estimator, seconds)] += 1
            ideal.setdefault(cell, []).append(ideal_miss_rate(sample))
        failed = sum(counts[Geometry.FAILED] for counts in found.values()) / sum(map(Counter.total, found.values()))
        checks.append(Check(f"{estimator}: moving, failed", "aim", 100 * failed, FAILURES, "%"))
        for (scene, parallax, noise), counts in found.items():
            name = f"{estimator}: missed, {scene}, {parallax:g} degrees, {noise:g} px"
            missed = (counts[Geometry.ROTATION_ONLY] + counts[Geometry.FAILED]) / counts.total()
            limit = 100 * float(np.mean(ideal[scene, parallax, noise])) + TOLERANCE
            checks.append(Check(name, "aim", 100 * missed, min(limit, 100.0), "%"))
        rows.append(Measurement.milliseconds(f"{estimator}: one pose", seconds))
    return SubjectReport(
        subject="hover",
        conditions=f"{plan.standing} pairs of a camera that stands or turns by up to {TURNS[-1]:g} degrees, and "
        f"{plan.moving} of each scene, parallax and noise of one that moves; {_MATCHES[0]} to {_MATCHES[1]} matches, "
        f"up to {100 * OUTLIERS[-1]:.0f} % wrong; seed {REPORTING_SEED}; limits of missed motions: the ideal test's "
        f"rate plus {TOLERANCE:g} %",
        rows=tuple(rows),
        checks=tuple(checks),
    )


def standing_samples(count: int, seed: int = REPORTING_SEED) -> Iterator[Sample]:
    """Yield samples of a camera that stands still or turns about one of its axes. Deterministic.

    The cells of the grid come equally often, in random order.
    """
    turns = [np.zeros(3), *(np.radians(turn) * axis for turn in TURNS[1:] for axis in np.eye(3))]
    cells = list(itertools.product(NOISE, OUTLIERS, turns))
    shuffle = np.random.default_rng([seed, 0])
    laps = itertools.chain.from_iterable(shuffle.permutation(len(cells)).tolist() for _ in itertools.count())
    for number, cell in enumerate(itertools.islice(laps, count)):
        noise, outliers, turn = cells[cell]
        rng = np.random.default_rng([seed, 1, number])
        rotation = so3_exp(rng.choice([-1.0, 1.0]) * turn)
        yield _sample(rng, SCENES[number % 2], rotation, noise=noise, outliers=outliers, parallax=0.0)


def moving_samples(count: int, seed: int = REPORTING_SEED) -> Iterator[Sample]:
    """Yield `count` samples of each scene, parallax and noise, in random directions with small turns."""
    cells = itertools.product(range(count), NOISE, PARALLAX, SCENES)
    for number, (_, noise, parallax, scene) in enumerate(cells):
        rng = np.random.default_rng([seed, 2, number])
        rotation = so3_exp(rng.normal(scale=0.03, size=3))
        outliers = float(rng.choice(OUTLIERS))
        yield _sample(rng, scene, rotation, noise=noise, outliers=outliers, parallax=parallax)


def ideal_miss_rate(sample: Sample) -> float:
    """Chance that the likelihood ratio of plane and rotation misses the motion with known noise and right matches.

    Without the true rotation the rays of a small motion differ by a flow that is linear in the parameters: a rotation
    explains three dimensions of it, a homography eight. What the other five explain, in units of the variance, is the
    noncentrality of the chi-squared distribution of the ratio; relief that no plane explains counts as noise.
    """
    rays0, rays1 = (np.insert(CAMERA.rays(p[sample.right]), 2, 1.0, axis=1) for p in (sample.exact0, sample.exact1))
    turned = rays1 @ sample.rotation.T
    flow = turned[:, :2] / turned[:, 2:] - rays0[:, :2]
    generators = [skew(axis) for axis in np.eye(3)]
    entries = [np.outer(row, column) for row, column in itertools.product(np.eye(3), np.eye(3))]
    left = [_unexplained(flow, rays0, basis) for basis in (generators, entries)]
    variance = 2.0 * (sample.noise / CAMERA.matrix[0, 0]) ** 2 + left[1] / flow.size
    ratios = np.random.default_rng(0).noncentral_chisquare(5, (left[0] - left[1]) / variance, _DRAWN)
    return float(np.mean(ratios < MIN_GAIN))


def _unexplained(flow: np.ndarray, rays: np.ndarray, basis: list[np.ndarray]) -> float:
    """Sum of squares of a flow (N, 2) of rays (N, 3) that is left after a fit by derivatives (3, 3) of a homography."""
    moved = [rays @ derivative.T for derivative in basis]
    columns = np.column_stack([(m[:, :2] - m[:, 2:] * rays[:, :2]).ravel() for m in moved])
    solution = np.linalg.lstsq(columns, flow.ravel(), rcond=1e-9)[0]
    return float(np.sum((columns @ solution - flow.ravel()) ** 2))


def _timed(sample: Sample, estimator: Estimator, seconds: list[float]) -> Geometry:
    start = time.perf_counter()
    geometry = sample.classify(estimator)
    seconds.append(time.perf_counter() - start)
    return geometry


def _sample(
    rng: np.random.Generator, scene: str, rotation: np.ndarray, *, noise: float, outliers: float, parallax: float
) -> Sample:
    count = int(np.exp(rng.uniform(*np.log(_MATCHES))))
    size = np.array([CAMERA.width, CAMERA.height])
    pixels = rng.uniform(0, size, (8 * count, 2))
    rays = np.insert(CAMERA.rays(pixels), 2, 1.0, axis=1)
    depth: np.ndarray = rng.uniform(6.0, 14.0, len(rays))
    if scene == "plane":
        normal = np.array([0.0, 0.0, 1.0]) + rng.normal(scale=0.2, size=3)
        depth = 10.0 / (rays @ (normal / np.linalg.norm(normal)))
    points = rays * depth[:, None]
    translation: np.ndarray = np.zeros(3)
    if parallax:
        direction = rng.normal(size=3) * [1.0, 1.0, 0.5]
        translation = direction * _length_for(points, direction, np.radians(parallax))
    newer = (points - translation) @ rotation
    straight = newer @ CAMERA.matrix.T
    seen = straight[:, :2] / np.maximum(straight[:, 2:], 1e-9)
    inside = np.flatnonzero((newer[:, 2] > 0.5) & (seen >= 0).all(axis=1) & (seen < size).all(axis=1))[:count]
    exact0, exact1 = pixels[inside], seen[inside]
    points0, points1 = (exact + noise * rng.normal(size=exact.shape) for exact in (exact0, exact1))
    wrong = rng.random(len(points1)) < outliers
    near = wrong & (rng.random(len(points1)) < 0.5)
    points1[wrong] = rng.uniform(0, size, (wrong.sum(), 2))
    points1[near] = exact1[near] + rng.uniform(-_NEAR, _NEAR, (near.sum(), 2))
    return Sample(points0, points1, exact0, exact1, ~wrong, rotation, translation, scene, noise, parallax)


def _length_for(points: np.ndarray, direction: np.ndarray, parallax: float) -> float:
    """Factor of `direction` (3,) that gives points (N, 3) the median parallax, radians, by bisection."""
    low, high = 0.0, 5.0
    for _ in range(30):
        middle = (low + high) / 2
        moved = points - middle * direction
        angle = np.arctan2(np.linalg.norm(np.cross(points, moved), axis=1), np.sum(points * moved, axis=1))
        low, high = (middle, high) if np.median(angle) < parallax else (low, middle)
    return high
