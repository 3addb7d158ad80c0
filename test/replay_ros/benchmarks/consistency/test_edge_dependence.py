"""Correlation of edges that share a keyframe: errors made of known parts."""

from dataclasses import replace

import numpy as np
import pytest

from loftr_ros.geometry.two_view.relative_pose import Geometry
from perception_common.geometry import so3_exp
from replay_ros.benchmarks.consistency.dependence import ROLES, shared_correlations
from replay_ros.benchmarks.consistency.matched_edges import EdgeError, pairs_of_chain
from replay_ros.benchmarks.consistency.matched_flights import matched_report

TURN = so3_exp(np.array([0.1, -0.4, 0.8]))  # of every edge, so that axes matter
DEVIATIONS = np.array([0.01, 0.02, 0.005])  # radians


def edges_of(chains, share):
    """Edges whose rotation errors are `share` of variance an error of the newer keyframe, in its axes; the rest own."""
    rng = np.random.default_rng(5)
    edges = []
    for seed in range(chains):
        of_keyframe = rng.normal(size=(6, 3))
        for older, newer in pairs_of_chain(6):
            in_newer = np.sqrt(share) * of_keyframe[newer] + np.sqrt(1 - share) * rng.normal(size=3)
            rotation = TURN @ (DEVIATIONS * in_newer)
            covariance = np.diag([1e-4] * 5)
            covariance[2:, 2:] = TURN @ np.diag(DEVIATIONS**2) @ TURN.T
            error = np.concatenate([0.01 * rng.normal(size=2), rotation])
            edges.append(EdgeError(("orbit", seed), older, newer, Geometry.GENERAL, error, covariance, TURN))
    return edges


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_correlation_is_the_share_of_the_common_error(share):
    found = shared_correlations(edges_of(150, share))
    newer, older, chained = (found[role] for role in ROLES)
    assert newer[0] == pytest.approx(share, abs=0.08)
    assert older[0] == pytest.approx(0.0, abs=0.08)
    assert chained[0] == pytest.approx(0.0, abs=0.08)
    assert newer[1] == 150 * 4  # keyframes 2 to 5 are each the newer one of two edges
    assert older[1] == 150 * 4


def test_edges_of_different_flights_share_no_keyframe():
    one, other = edges_of(2, 0.5)[:1], edges_of(2, 0.5)[9:10]
    assert all(count == 0 for _, count in shared_correlations(one + other).values())


def test_the_report_has_mean_coverage_and_number_by_geometry():
    edges = edges_of(40, 0.0)
    edges[0] = replace(edges[0], geometry=Geometry.FAILED, error=None, covariance=None)
    report = matched_report(edges, "drawn")
    rows = {row.name: row for row in report.rows}
    checks = {check.name: check.value for check in report.checks}
    assert rows["loftr_lite, GENERAL: NEES per degree of freedom"].runs == len(edges) - 1
    assert rows["loftr_lite, GENERAL: mean NEES per degree of freedom"].median == pytest.approx(1.0, abs=0.1)
    assert checks["loftr_lite, GENERAL: share outside of the 95 % region"] == pytest.approx(0.05, abs=0.03)
    assert not any("PLANAR" in name for name in rows)
    assert "1 of 360 pairs failed" in report.notes[0]
