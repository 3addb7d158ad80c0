"""Errors of relative poses against the truth, and the consistency of their covariances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2

from loftr_ros.geometry.accuracy import AUC_LIMITS, FAILED_DEGREES, SUCCESS_DEGREES, area_under_recall, pose_degrees
from loftr_ros.geometry.sphere import tangent_basis
from loftr_ros.geometry.two_view.relative_pose import Geometry
from perception_common.geometry import angle_between, pose_error, so3_log
from replay_ros.evaluation.motion.edges import PoseEdge
from replay_ros.evaluation.motion.results import CovarianceConsistency, EdgeError, PoseAccuracy

STILL = 0.01  # metres; a shorter true translation has no direction (empirical)
ELLIPSOID = 0.95  # probability of the confidence ellipsoids


def compare_edge(edge: PoseEdge, true: np.ndarray) -> EdgeError:
    """Compare an edge with the true pose (4, 4) of the newer camera in the older one, translation in metres."""
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
    """Return the error of an edge in its observed degrees of freedom (D,), and its covariance (D, D).

    In ROS order and axes of the older camera. D = 6 for a metric edge: translation (metres) and rotation vector
    (radians). D = 5 while the scale is unknown: the angle between the directions, as a vector in the tangent plane of
    the estimated one, and the rotation. D = 3, the rotation alone, where either translation has length 0. None for a
    failed edge.
    """
    if edge.geometry == Geometry.FAILED:
        return None
    rotation = so3_log(true[:3, :3] @ edge.matrix[:3, :3].T)
    covariance = (edge.covariance + edge.covariance.T) / 2
    t, true_t = edge.matrix[:3, 3], true[:3, 3]
    length, true_length = np.linalg.norm(t), np.linalg.norm(true_t)
    if edge.is_metric:
        return np.concatenate([true_t - t, rotation]), covariance
    if edge.geometry == Geometry.ROTATION_ONLY or not length or not true_length:
        return rotation, covariance[3:, 3:]
    basis = tangent_basis(t / length)
    direction = basis.T @ true_t
    angle = angle_between(t, true_t)
    if size := np.linalg.norm(direction):
        direction *= angle / size
    elif angle > 1:  # exactly opposite: every direction in the tangent plane is equally long
        direction = np.array([angle, 0.0])
    jacobian = np.zeros((5, 6))
    jacobian[:2, :3] = basis.T / length
    jacobian[2:, 3:] = np.eye(3)
    return np.concatenate([direction, rotation]), jacobian @ covariance @ jacobian.T


def summarise_poses(errors: Sequence[EdgeError], estimator: str) -> PoseAccuracy | None:
    """Summarise the edges that have truth; None without any. estimator: its name and threshold, for the result."""
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


def covariance_consistency(errors: Sequence[EdgeError]) -> CovarianceConsistency | None:
    """Test the covariances with the errors (Bar-Shalom et al., "Estimation with Applications", 2001, section 5.4.2).

    The sum of the NEES of independent, consistent estimates is chi-square distributed, with their observed degrees of
    freedom. None where no edge has a NEES.
    """
    tested = [error for error in errors if error.nees is not None]
    if not tested:
        return None
    nees = np.array([error.nees for error in tested], np.float64)
    dof = np.array([error.dof for error in tested], np.float64)
    geometry = np.array([error.geometry for error in tested])
    total = dof.sum()
    low, high = chi2.ppf([(1 - ELLIPSOID) / 2, (1 + ELLIPSOID) / 2], total) / total
    return CovarianceConsistency(
        edges=len(tested),
        dof=int(total),
        nees_per_dof=float(nees.sum() / total),
        median_nees_per_dof=float(np.median(nees / dof)),
        expected=(float(low), float(high)),
        inside_95=float(np.mean([error.inside_95 for error in tested])),
        by_geometry={
            str(name): float(nees[geometry == name].sum() / dof[geometry == name].sum()) for name in np.unique(geometry)
        },
    )


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if len(values) else None
