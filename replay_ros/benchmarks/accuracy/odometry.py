"""Increments of loftr/odometry over simulated flights: their errors, and whether the covariances fit them.

For a consistent covariance, the normalised estimation error squared (NEES) over its degrees of freedom has the mean 1;
a larger mean is overconfidence.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from tqdm import tqdm

from loftr_ros.matcher import Matcher
from perception_common.backends.devices import choose_device
from replay_ros.benchmarks.consistency.odometry_flights import (
    ALTITUDE_ERROR,
    ATTITUDE_ERROR,
    FLOWN,
    OdometryFlight,
    fly,
)
from replay_ros.benchmarks.measurement import BenchmarkPlan, Check, Measurement, SubjectReport
from replay_ros.evaluation.motion.odometry import (
    IncrementError,
    OdometryPose,
    increment_errors,
    odometry_consistency,
)
from replay_ros.evaluation.motion.results import OdometryConsistency

MODEL = "loftr_lite"
FIRST_SEED = 9_400_000  # of the flights; nothing was tuned on them
LIMIT = 1.25  # of the mean NEES over its degrees of freedom, and of its inverse
STEPS = (1, 4)  # keyframes in an increment: the errors of steps that follow each other are not independent


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Fly each course with `plan.odometry_seeds` seeds."""
    matcher = Matcher.load(MODEL, "default", choose_device("cpu"))
    errors: dict[tuple[str, int], list[IncrementError | None]] = {}
    silent = 0
    cases = list(product(range(plan.odometry_seeds), FLOWN))
    for number, (_, course) in enumerate(tqdm(cases, desc="odometry", unit="flight", disable=None)):
        flight = fly(course, FIRST_SEED + number, plan.odometry_images, plan.odometry_frame, matcher)
        silent += flight.silent
        for steps, name in product(STEPS, (course, "all")):
            errors.setdefault((name, steps), []).extend(increments(flight, steps))
    rows: list[Measurement] = []
    checks: list[Check] = []
    notes = [f"{silent} of {len(cases) * (plan.odometry_images - 1)} keyframes after the first had no odometry"]
    for (name, steps), found in sorted(errors.items()):
        prefix = f"{name}, {steps} step{'s' if steps > 1 else ''}"
        if summary := odometry_consistency(found):
            rows += _rows(prefix, summary)
            notes.append(
                f"{prefix}: {summary.increments} increments, {summary.gaps} gaps, "
                f"{100 * summary.inside_95:.0f} % inside the 95 % ellipsoid"
            )
            if name == "all":
                off = max(summary.nees_per_dof, 1.0 / summary.nees_per_dof)
                checks.append(Check(f"{prefix}: nees_per_dof, or its inverse", "aim", off, LIMIT))
    width, height = plan.odometry_frame
    return SubjectReport(
        subject="odometry",
        conditions=f"{len(cases)} simulated flights of {plan.odometry_images} keyframes at {width}x{height}, matched "
        f"by {MODEL}; altitude {100 * ALTITUDE_ERROR:g} %, attitude {np.degrees(ATTITUDE_ERROR):g} degree; "
        f"poses of the base; seeds from {FIRST_SEED}",
        rows=tuple(rows),
        checks=tuple(checks),
        notes=tuple(notes),
    )


def increments(flight: OdometryFlight, steps: int) -> list[IncrementError | None]:
    """Return the errors of the motions over a number of keyframes, from all of them on."""
    poses = [OdometryPose(state.stamp_ns, state.T, state.covariance) for state in flight.states]
    found: list[IncrementError | None] = []
    for start in range(len(poses) - steps):
        ends = slice(start, start + steps + 1, steps)
        found += increment_errors(poses[ends], flight.true[ends])
    return found


def _rows(prefix: str, summary: OdometryConsistency) -> list[Measurement]:
    figures = (("nees_per_dof", ""), ("rms_m", "m"), ("rms_deg", "deg"))
    values = [(name, unit, getattr(summary, name)) for name, unit in figures]
    return [Measurement.of(f"{prefix}: {name}", unit, [value]) for name, unit, value in values if value is not None]
