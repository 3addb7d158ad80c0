"""Consistency of the covariances of loftr_lite's edges on simulated flights, and the dependence between edges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2
from tqdm import tqdm

from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.matcher import Matcher
from perception_common.backends.devices import choose_device
from replay_ros.benchmarks.consistency.dependence import shared_correlations
from replay_ros.benchmarks.consistency.image_chains import COURSES, render_chain
from replay_ros.benchmarks.consistency.matched_edges import EdgeError, estimate_edge, match_chain, pairs_of_chain
from replay_ros.benchmarks.measurement import BenchmarkPlan, Check, Measurement, SubjectReport

MODEL = "loftr_lite"
FIRST_SEED = 9_300_000  # of the flights; the estimator was developed on 9,200,000 to 9,200,010
LIMIT = 1.25  # of the mean NEES per degree of freedom, and of its inverse
REGION = 0.95  # probability of the confidence region
OUTSIDE_LIMIT = 2 * (1 - REGION)  # share of edges outside of it
CORRELATION_LIMIT = 0.3  # of edges that share a keyframe; below it they count nearly as independent


def measure_matched(plan: BenchmarkPlan) -> SubjectReport:
    """Match and estimate `plan.matched_pairs` pairs of chains of images, all courses in turn."""
    matcher = Matcher.load(MODEL, "default", choose_device("cpu"))
    per_chain = len(pairs_of_chain(plan.matched_images))
    names = list(COURSES)
    edges: list[EdgeError] = []
    for number in tqdm(range(math.ceil(plan.matched_pairs / per_chain)), desc=MODEL, unit="flight", disable=None):
        course = names[number % len(names)]
        chain = render_chain(course, FIRST_SEED + number, plan.matched_images, plan.matched_frame)
        edges += [estimate_edge(pair) for pair in match_chain(chain, matcher)]
    width, height = plan.matched_frame
    return matched_report(edges[: plan.matched_pairs], f"matches of {MODEL} on images of {width}x{height}")


def matched_report(edges: Sequence[EdgeError], conditions: str) -> SubjectReport:
    """Summarise the edges by their estimated geometry. conditions: of the matches, in words."""
    rows: list[Measurement] = []
    checks: list[Check] = []
    estimated = [edge for edge in edges if edge.dof]
    kinds = {"all geometries": estimated} | {
        geometry.name: [edge for edge in estimated if edge.geometry == geometry]
        for geometry in (Geometry.GENERAL, Geometry.PLANAR, Geometry.ROTATION_ONLY)
    }
    for name, chosen in kinds.items():
        if chosen:
            each_rows, each_checks = _figures(f"{MODEL}, {name}", chosen)
            rows += each_rows
            checks += each_checks
    counts = []
    for role, (correlation, count) in shared_correlations(edges).items():
        if count:
            name = f"{MODEL}, shared keyframe {role}: correlation of the rotation errors"
            checks.append(Check(name, "aim", correlation, CORRELATION_LIMIT))
            counts.append(f"{count} ({role})")
    notes = [f"{MODEL}: {len(edges) - len(estimated)} of {len(edges)} pairs failed"]
    if counts:
        notes.append(f"{MODEL}: edges with a shared keyframe: {', '.join(counts)}")
    return SubjectReport(f"consistency of {MODEL}", conditions, tuple(rows), tuple(checks), tuple(notes))


def _figures(name: str, edges: Sequence[EdgeError]) -> tuple[list[Measurement], list[Check]]:
    nees = np.array([edge.nees for edge in edges])
    dof = np.array([edge.dof for edge in edges])
    mean = float(nees.sum() / dof.sum())
    outside = float(np.mean(nees > chi2.ppf(REGION, dof)))
    return [
        Measurement.of(f"{name}: NEES per degree of freedom", "", (nees / dof).tolist()),
        Measurement.of(f"{name}: mean NEES per degree of freedom", "", [mean]),
    ], [
        Check(f"{name}: mean NEES per degree of freedom, or its inverse", "aim", max(mean, 1.0 / mean), LIMIT),
        Check(f"{name}: share outside of the {100 * REGION:.0f} % region", "aim", outside, OUTSIDE_LIMIT),
    ]
