"""Errors of a trajectory against the truth: absolute and relative pose errors by evo, and drift."""

from __future__ import annotations

import copy

import numpy as np
from evo.core import lie_algebra
from evo.core.geometry import GeometryException
from evo.core.metrics import APE, RPE, PoseRelation, Unit
from evo.core.trajectory import PosePath3D

from replay_ros.evaluation.motion.results import ErrorStatistics, TrajectoryAccuracy

MIN_POSES = 3  # fewer positions do not determine an alignment


def compare_trajectory(
    stamps_ns: np.ndarray, estimated: np.ndarray, true: np.ndarray, is_metric: bool
) -> TrajectoryAccuracy | None:
    """Compare estimated poses (N, 4, 4) at stamps (N,) with the true ones (N, 4, 4), metres; None for N < 3.

    is_metric: the estimate is in metres and is aligned by rotation and translation (SE3), else by a similarity (Sim3).
    Where the positions do not determine an alignment (all on a line or in one place), the first poses are aligned and
    the lengths of the two paths give the scale.
    """
    if len(stamps_ns) < MIN_POSES:
        return None
    reference, path = PosePath3D(poses_se3=list(true)), PosePath3D(poses_se3=list(estimated))
    aligned, scale, alignment = _align(path, reference, is_metric)
    absolute = APE(PoseRelation.translation_part)
    absolute.process_data((reference, aligned))
    step_m, step_deg = (
        _relative(relation, reference, aligned)
        for relation in (PoseRelation.translation_part, PoseRelation.rotation_angle_deg)
    )
    length = float(reference.path_length)
    end_m, end_deg = _end_point_error(path, reference, scale)
    return TrajectoryAccuracy(
        alignment=alignment,
        scale=scale,
        poses=len(stamps_ns),
        length_m=length,
        ate_m=_statistics(absolute.error),
        rpe_m=_statistics(step_m),
        rpe_deg=_statistics(step_deg),
        drift=end_m / length if length > 0 else None,
        drift_deg_per_m=end_deg / length if length > 0 else None,
        stamps_ns=tuple(int(stamp) for stamp in stamps_ns),
        estimated=_points(aligned.positions_xyz),
        true=_points(reference.positions_xyz),
        errors_m=tuple(absolute.error.tolist()),
    )


def _align(path: PosePath3D, reference: PosePath3D, is_metric: bool) -> tuple[PosePath3D, float, str]:
    """Return the aligned path, its scale and the name of the alignment."""
    aligned = copy.deepcopy(path)
    name = "SE3" if is_metric else "Sim3"
    try:
        _, _, scale = aligned.align(reference, correct_scale=not is_metric)
        if scale > 0:
            return aligned, float(scale), name
    except GeometryException:
        pass
    aligned = copy.deepcopy(path)
    scale = 1.0
    if not is_metric and path.path_length > 0:
        scale = float(reference.path_length / path.path_length)
    aligned.scale(scale)
    aligned.align_origin(reference)
    return aligned, scale, f"{name}, first pose" if is_metric else f"{name}, by the first pose and the path's length"


def _relative(relation: PoseRelation, reference: PosePath3D, aligned: PosePath3D) -> np.ndarray:
    metric = RPE(relation, delta=1, delta_unit=Unit.frames)
    metric.process_data((reference, aligned))
    return metric.error


def _end_point_error(path: PosePath3D, reference: PosePath3D, scale: float) -> tuple[float, float]:
    """Return the error of the last pose in position (metres) and rotation (degrees), with the first poses aligned."""
    scaled = copy.deepcopy(path)
    scaled.scale(scale)
    scaled.align_origin(reference)
    error = lie_algebra.relative_se3(reference.poses_se3[-1], scaled.poses_se3[-1])
    return float(np.linalg.norm(error[:3, 3])), float(np.degrees(lie_algebra.so3_log_angle(error[:3, :3])))


def _statistics(errors: np.ndarray) -> ErrorStatistics:
    return ErrorStatistics(
        rmse=float(np.sqrt(np.mean(errors**2))),
        mean=float(np.mean(errors)),
        median=float(np.median(errors)),
        largest=float(np.max(errors)),
    )


def _points(positions: np.ndarray) -> tuple[tuple[float, float, float], ...]:
    return tuple((x, y, z) for x, y, z in positions.tolist())
