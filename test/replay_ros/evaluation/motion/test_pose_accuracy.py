"""Errors of relative poses and the consistency of covariances: closed forms, and draws from a known distribution."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from loftr_ros.geometry.scale.result import ScaleSource
from loftr_ros.geometry.sphere import tangent_basis
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.geometry.uncertainty.covariance import UNOBSERVED
from perception_common.geometry import so3_exp, transform
from replay_ros.evaluation.motion.edges import PoseEdge
from replay_ros.evaluation.motion.pose_accuracy import (
    compare_edge,
    covariance_consistency,
    observed_error,
    summarise_poses,
)

vectors = st.lists(st.floats(-1, 1), min_size=3, max_size=3).map(np.array).filter(lambda v: np.linalg.norm(v) > 0.1)


def edge(matrix, covariance=None, geometry=Geometry.GENERAL, scale=ScaleSource.UNKNOWN):
    return PoseEdge(0, 1, matrix, np.eye(6) * 1e-4 if covariance is None else covariance, geometry, scale)


@settings(deadline=None, max_examples=50)
@given(vectors, vectors, vectors, st.floats(0.1, 50))
def test_the_error_is_the_larger_angle_and_ignores_the_unknown_length(turn, t, true_t, length):
    true = transform(np.eye(3), length * true_t)
    found = compare_edge(edge(transform(so3_exp(turn), t / np.linalg.norm(t))), true)
    rotation = np.degrees(Rotation.from_rotvec(turn).magnitude())
    direction = np.degrees(np.arccos(np.clip(t @ true_t / np.linalg.norm(t) / np.linalg.norm(true_t), -1, 1)))
    assert found.rotation_deg == pytest.approx(rotation, abs=1e-6)
    assert found.direction_deg == pytest.approx(direction, abs=1e-5)
    assert found.error_deg == pytest.approx(max(rotation, direction), abs=1e-5)
    assert found.length_error_m is None
    assert found.dof == 5


def test_the_observed_degrees_of_freedom_depend_on_geometry_and_scale():
    true = transform(so3_exp(np.array([0, 0, 0.02])), np.array([3.0, 0, 0]))
    unit, metric = transform(np.eye(3), np.array([1.0, 0, 0])), transform(np.eye(3), np.array([2.9, 0, 0]))
    deviations = np.array([0.1, 0.1, 0.1, 0.01, 0.01, 0.01])
    covariance = np.diag(deviations**2)

    found = compare_edge(edge(metric, covariance, scale=ScaleSource.ALTITUDE), true)
    assert (found.dof, found.length_error_m) == (6, pytest.approx(-0.1))
    assert found.nees == pytest.approx(1 + 4)  # one deviation in x, two in the turn
    assert found.inside_95

    found = compare_edge(edge(unit, covariance), true)
    assert (found.dof, found.nees) == (5, pytest.approx(4))

    turned = compare_edge(edge(transform(np.eye(3), np.zeros(3)), covariance, Geometry.ROTATION_ONLY), true)
    assert (turned.dof, turned.nees) == (3, pytest.approx(4))
    assert turned.error_deg == 180  # no translation is estimated, but the camera moved

    failed = compare_edge(edge(np.eye(4), covariance, Geometry.FAILED), true)
    assert (failed.dof, failed.nees, failed.inside_95, failed.error_deg) == (0, None, None, 180)


def test_a_truth_without_motion_has_no_direction():
    still = transform(so3_exp(np.array([0, 0, 0.1])), np.array([0.004, 0, 0]))
    found = compare_edge(edge(transform(np.eye(3), np.zeros(3)), geometry=Geometry.ROTATION_ONLY), still)
    assert found.error_deg == pytest.approx(np.degrees(0.1))
    assert found.direction_deg is None


def test_directions_are_compared_along_a_great_circle():
    """An error of 90 or 180 degrees is pi / 2 or pi, not 1 or 0 as projected onto the tangent plane."""
    for angle in (0.001, np.pi / 2, np.pi):
        true = transform(np.eye(3), 4 * np.array([np.cos(angle), np.sin(angle), 0]))
        values, covariance = observed_error(edge(transform(np.eye(3), np.array([1.0, 0, 0]))), true)
        assert np.linalg.norm(values[:2]) == pytest.approx(angle)
        np.testing.assert_allclose(covariance, np.eye(5) * 1e-4, atol=1e-12)


def drawn_errors(rng, count, exaggeration=1.0):
    """Edges with errors drawn from their own covariance, scaled by `exaggeration`."""
    errors = []
    for _ in range(count):
        t = rng.normal(size=3)
        t /= np.linalg.norm(t)
        factor = rng.normal(size=(5, 5)) * 0.005
        steps = factor @ factor.T
        basis = np.zeros((6, 5))
        basis[:3, :2], basis[3:, 2:] = tangent_basis(t), np.eye(3)
        covariance = basis @ steps @ basis.T
        covariance[:3, :3] += UNOBSERVED * np.outer(t, t)
        step = basis @ (exaggeration * factor @ rng.normal(size=5))
        true_t = t + step[:3]
        true = transform(so3_exp(step[3:]), 7 * true_t / np.linalg.norm(true_t))
        errors.append(compare_edge(edge(transform(np.eye(3), t), covariance), true))
    return errors


def test_consistent_and_overconfident_covariances_are_told_apart():
    consistent = covariance_consistency(drawn_errors(np.random.default_rng(0), 800))
    assert consistent.dof == 4000
    assert consistent.expected[0] < consistent.nees_per_dof < consistent.expected[1]
    assert consistent.expected == pytest.approx((1 - 1.96 * np.sqrt(2 / 4000), 1 + 1.96 * np.sqrt(2 / 4000)), abs=1e-3)
    assert consistent.inside_95 == pytest.approx(0.95, abs=0.025)
    assert consistent.by_geometry == {"GENERAL": pytest.approx(consistent.nees_per_dof)}

    overconfident = covariance_consistency(drawn_errors(np.random.default_rng(0), 200, exaggeration=2))
    assert overconfident.nees_per_dof == pytest.approx(4, rel=0.2)
    assert overconfident.inside_95 < 0.6


def test_the_summary_counts_failures_and_integrates_recall():
    true = transform(np.eye(3), np.array([1.0, 0, 0]))
    turned = [compare_edge(edge(transform(so3_exp(np.radians([0, 0, a])), true[:3, 3])), true) for a in (1, 3, 12)]
    failed = compare_edge(edge(np.eye(4), geometry=Geometry.FAILED), true)
    found = summarise_poses([*turned, failed], "poselib, 1 px")
    assert (found.edges, found.failures, found.success_5deg, found.estimator) == (4, 1, 2, "poselib, 1 px")
    # Recall rises linearly to 1/4 at 1 and to 1/2 at 3 degrees, and stays there.
    assert found.auc["5"] == pytest.approx((0.5 * 0.25 + 2 * 0.375 + 2 * 0.5) / 5)
    assert found.median_rotation_deg == pytest.approx(3)
    assert found.median_length_error is None
    metric = replace(turned[0], length_error_m=-0.02)
    assert summarise_poses([metric], "").median_length_error == pytest.approx(-0.02)


def test_summaries_without_edges_are_none():
    assert summarise_poses([], "") is None
    assert covariance_consistency([]) is None
    failed = compare_edge(edge(np.eye(4), geometry=Geometry.FAILED), np.eye(4))
    assert covariance_consistency([failed]) is None
