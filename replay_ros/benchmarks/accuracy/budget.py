"""Whether looks stay within `budget_ms`, and what is left out for that.

The planner's clock is the processor time of this process, so that other load on the machine does not count as its
fault. Budgets are shares of the median time of a look without one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from flight_sim.sampling import ViewOptions, sample_view
from flight_sim.scene import build_scene
from perception_common.backends.devices import choose_device
from replay_ros.benchmarks.measurement import BenchmarkPlan, Check, Measurement, SubjectReport
from yolc_ros.adaptive import AdaptiveDetector, LookSettings, LookState, ScaleMode, measure_costs
from yolc_ros.detector import Detector
from yolc_ros.looks.budget import LeftOut
from yolc_ros.parameters import YolcParameters

SEED = 5_400_000  # of the scene; no setting was chosen with it
VIEWS = 24  # different ones, drawn anew for each image
ALTITUDE_M = (15.0, 120.0)
SHARES = (0.5, 0.8, 1.2, 2.0)  # of the median time without a budget
MODES: tuple[ScaleMode, ...] = ("fixed", "reduce", "auto")
_QUANTILE = 0.95


@dataclass(frozen=True)
class Run:
    """seconds: processor time of each image. left_out: of each image."""

    seconds: tuple[float, ...]
    left_out: tuple[LeftOut, ...]

    def describe(self) -> str:
        """Say what was left out."""
        reduced = sum(each.scale_share < 1 for each in self.left_out)
        share = np.mean([each.scale_share for each in self.left_out])
        regions, zooms = (sum(values) for values in zip(*((x.regions, x.reduced) for x in self.left_out), strict=True))
        return (
            f"first look reduced in {reduced} of {len(self.left_out)} images (mean share of its scale {share:.2f}), "
            f"{regions} regions left out, {zooms} with less zoom"
        )


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Look at images without a budget and within each, in both ways to choose the scale."""
    detector = Detector.load("yolc_lite", "default", choose_device("cpu"), YolcParameters().detector)
    images = draw_views(plan.budget_frame)
    rows, checks, notes = [], [], []
    for mode in MODES:
        free = look_at(detector, images, LookSettings(mode), plan.budget_images)
        median = float(np.median(free.seconds))
        rows.append(Measurement.milliseconds(f"{mode}, no budget", free.seconds))
        for share in SHARES:
            budget = share * median
            run = look_at(detector, images, LookSettings(mode, budget), plan.budget_images)
            name = f"{mode}, {share:g} of the median"
            rows.append(Measurement.of(name, "x", [seconds / budget for seconds in run.seconds]))
            late = float(np.quantile(run.seconds, _QUANTILE)) / budget
            checks.append(Check(f"{name} ({1e3 * budget:.0f} ms): p95 over the budget", "aim", late, 1.0, "x"))
            notes.append(f"{name}: {run.describe()}")
    width, height = plan.budget_frame
    return SubjectReport(
        subject="budget",
        conditions=f"yolc_lite with LSM, {plan.budget_images} images drawn from {VIEWS} simulated views of "
        f"{width}x{height} from {ALTITUDE_M[0]:g} to {ALTITUDE_M[1]:g} m; processor time",
        rows=tuple(rows),
        checks=tuple(checks),
        notes=tuple(notes),
    )


def draw_views(size: tuple[int, int]) -> list[np.ndarray]:
    """Return the different views of one scene. size: (width, height)."""
    scene = build_scene(SEED)
    options = ViewOptions(altitude_m=ALTITUDE_M)
    return [sample_view(seed, size, options, scene).image for seed in range(SEED, SEED + VIEWS)]


def look_at(detector: Detector, images: Sequence[np.ndarray], settings: LookSettings, count: int) -> Run:
    """Look at `count` images drawn from `images`, with the state of the node after its start."""
    adaptive = AdaptiveDetector(detector, settings, clock=time.process_time)
    state = LookState(costs=measure_costs(detector, clock=time.process_time))
    seconds, left_out = [], []
    order = np.random.default_rng(SEED).integers(len(images), size=count)
    for index in tqdm(order.tolist(), settings.mode, unit="image", leave=False, disable=None):
        start = time.process_time()
        _, state = adaptive.detect(images[index], state)
        seconds.append(time.process_time() - start)
        left_out.append(state.left_out)
    return Run(tuple(seconds), tuple(left_out))
