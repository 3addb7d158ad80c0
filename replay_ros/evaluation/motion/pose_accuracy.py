"""Errors of relative poses and of their covariances against the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2

from loftr_ros.geometry.accuracy import AUC_LIMITS, FAILED_DEGREES, area_under_recall, pose_degrees
from loftr_ros.geometry.sphere import tangent_basis
from loftr_ros.geometry.two_view.estimation import Geometry
from perception_common.geometry import angle_between, pose_error, so3_log
from replay_ros.evaluation.motion.edges import PoseEdge
from replay_ros.evaluation.motion.results import CovarianceConsistency, EdgeError, PoseAccuracy
from replay_ros.evaluation.pairs.metrics import SUCCESS_DEGREES

STILL = 0.01  # metres; a truth that moved less has no direction to speak of
ELLIPSOID = 0.95


def compare_edge(edge: PoseEdge, true: np.ndarray) -> EdgeError:
    """Compare an edge with the true pose (4, 4) of the newer camera in the older one, metres."""
    length = float(np.linalg.norm(true[:3, 3]))
    if length < STILL:
        true = true.copy()
        true[:3, 3] = 0.0
    failed = edge.geometry == Geometry.FAILED
    rotation, direction = pose_error(edge.matrix, true)
    error = observed_error(edge, true)
    nees = None
    if error is not None:
        values, covariance = error
        nees = float(values @ np.linalg.solve(covariance, values))
    dof = 0 if error is None else len(error[0])
    return EdgeError(
        older_ns=edge.older_ns,
        newer_ns=edge.newer_ns,
        geometry=edge.geometry.name,
        scale=edge.scale.name,
        matches=edge.matches,
        inliers=edge.inliers,
        parallax_deg=edge.parallax,
        residual_px=edge.residual,
        rotation_deg=None if failed else rotation,
        direction_deg=None if failed or not np.isfinite(direction) else direction,
        error_deg=FAILED_DEGREES if failed else pose_degrees(edge.matrix, true),
        true_length_m=length,
        length_error_m=float(np.linalg.norm(edge.matrix[:3, 3])) - length if edge.is_metric else None,
        dof=dof,
        nees=nees,
        inside_95=None if nees is None else bool(nees <= chi2.ppf(ELLIPSOID, dof)),
    )


def observed_error(edge: PoseEdge, true: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the error of an edge in what it observes, with its covariance; None for a failed one.

    In ROS order and axes of the older camera: all six of a metric edge; the rotation and two angles between the
    directions (along a great circle) while the scale is unknown; the rotation alone where either has no direction.
    """
    if edge.geometry == Geometry.FAILED:
        return None
    turn = so3_log(true[:3, :3] @ edge.matrix[:3, :3].T)
    covariance = (edge.covariance + edge.covariance.T) / 2
    t, true_t = edge.matrix[:3, 3], true[:3, 3]
    length, true_length = np.linalg.norm(t), np.linalg.norm(true_t)
    if edge.is_metric:
        return np.concatenate([true_t - t, turn]), covariance
    if edge.geometry == Geometry.ROTATION_ONLY or not length or not true_length:
        return turn, covariance[3:, 3:]
    basis = tangent_basis(t / length)
    away = basis.T @ true_t
    angle = angle_between(t, true_t)
    if size := np.linalg.norm(away):
        away *= angle / size
    elif angle > 1:  # exactly opposite: any way round is as long
        away = np.array([angle, 0.0])
    jacobian = np.zeros((5, 6))
    jacobian[:2, :3] = basis.T / length
    jacobian[2:, 3:] = np.eye(3)
    return np.concatenate([away, turn]), jacobian @ covariance @ jacobian.T


def summarise_poses(errors: Sequence[EdgeError], estimator: str) -> PoseAccuracy | None:
    """Sum up the edges that have truth; None for none. estimator: what made them, with its threshold, in words."""
    if not errors:
        return None
    degrees = [error.error_deg for error in errors]
    relative = [
        error.length_error_m / error.true_length_m
        for error in errors
        if error.length_error_m is not None and error.true_length_m >= STILL
    ]
    return PoseAccuracy(
        estimator=estimator,
        edges=len(errors),
        failures=sum(error.geometry == Geometry.FAILED.name for error in errors),
        success_5deg=sum(error < SUCCESS_DEGREES for error in degrees),
        auc={str(limit): area_under_recall(degrees, limit) for limit in AUC_LIMITS},
        median_rotation_deg=_median([error.rotation_deg for error in errors if error.rotation_deg is not None]),
        median_direction_deg=_median([error.direction_deg for error in errors if error.direction_deg is not None]),
        median_length_error=_median(relative),
        details=tuple(errors),
    )


def calibrate(errors: Sequence[EdgeError]) -> CovarianceConsistency | None:
    """Judge the covariances by the errors (Bar-Shalom et al., "Estimation with Applications", 2001, section 5.4.2).

    The sum of NEES over independent honest estimates is chi-square with as many degrees of freedom as were observed.
    None where no edge has a covariance to judge.
    """
    judged = [(error.nees, error.dof, error.geometry, error.inside_95) for error in errors if error.nees is not None]
    if not judged:
        return None
    nees, dof = (np.array(column, np.float64) for column in list(zip(*judged, strict=True))[:2])
    geometries = sorted({geometry for _, _, geometry, _ in judged})
    total = dof.sum()
    low, high = chi2.ppf([(1 - ELLIPSOID) / 2, (1 + ELLIPSOID) / 2], total) / total

    def mean_of(name: str) -> float:
        chosen = np.array([geometry == name for _, _, geometry, _ in judged])
        return float(nees[chosen].sum() / dof[chosen].sum())

    return CovarianceConsistency(
        edges=len(judged),
        dof=int(total),
        nees_per_dof=float(nees.sum() / total),
        median_nees_per_dof=float(np.median(nees / dof)),
        expected=(float(low), float(high)),
        inside_95=float(np.mean([inside for *_, inside in judged])),
        by_geometry={name: mean_of(name) for name in geometries},
    )


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if len(values) else None
