"""The motion figures as lines of text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from replay_ros.evaluation.motion.results import (
    CovarianceConsistency,
    MotionResult,
    OdometryConsistency,
    PoseAccuracy,
    TrackFigures,
    TrajectoryAccuracy,
)


def motion_lines(result: MotionResult) -> Iterator[str]:
    """Yield one line for each figure, then the notes."""
    found = result.association
    gaps = "" if found.median_gap_s is None else f" (median {found.median_gap_s:.4f} s, {found.largest_gap_s:.4f} s)"
    yield f"truth            {result.truth}"
    yield f"association      {found.matched} of {found.poses} poses within {found.tolerance_s:g} s{gaps}"
    if result.poses is not None:
        yield from _pose_lines(result.poses)
    if result.calibration is not None:
        yield from _covariance_lines(result.calibration)
    if result.trajectory is not None:
        yield from _trajectory_lines(result.trajectory)
    if result.tracks is not None:
        yield from _track_lines(result.tracks)
    if result.odometry is not None:
        yield from _odometry_lines(result.odometry)
    yield from (f"note             {note}" for note in result.notes)


def _pose_lines(poses: PoseAccuracy) -> Iterator[str]:
    areas = " / ".join(f"{100 * area:.1f}" for area in poses.auc.values())
    yield f"relative poses   {poses.edges}, {poses.failures} failed, {poses.success_5deg} under 5 degrees"
    yield f"  estimator      {poses.estimator}"
    yield f"  AUC@5/10/20    {areas}"
    medians = [
        ("rotation", poses.median_rotation_deg, "deg", 1),
        ("direction", poses.median_direction_deg, "deg", 1),
        ("length", poses.median_length_error, "%", 100),
    ]
    shown = (f"{name} {factor * value:.2f} {unit}" for name, value, unit, factor in medians if value is not None)
    yield f"  medians        {', '.join(shown) or 'none'}"


def _covariance_lines(consistency: CovarianceConsistency) -> Iterator[str]:
    low, high = consistency.expected
    each = ", ".join(f"{name} {value:.2f}" for name, value in consistency.by_geometry.items())
    yield (
        f"covariance       NEES {consistency.nees_per_dof:.2f} per degree of freedom (honest: {low:.2f} to {high:.2f})"
        f", median {consistency.median_nees_per_dof:.2f}; {100 * consistency.inside_95:.0f} % inside the 95 % ellipsoid"
    )
    yield f"  by geometry    {each}"


def _trajectory_lines(found: TrajectoryAccuracy) -> Iterator[str]:
    scaled = "" if found.alignment.startswith("SE3") else f", scale {found.scale:.4g}"
    yield f"trajectory       {found.poses} poses, {found.length_m:.2f} m, aligned by {found.alignment}{scaled}"
    ate = found.ate_m
    yield f"  ATE            rmse {ate.rmse:.3f} m, median {ate.median:.3f} m, largest {ate.largest:.3f} m"
    yield (
        f"  RPE, per pose  rmse {found.rpe_m.rmse:.3f} m and {found.rpe_deg.rmse:.3f} deg, "
        f"median {found.rpe_m.median:.3f} m and {found.rpe_deg.median:.3f} deg"
    )
    if found.drift is not None:
        yield f"  drift          {found.drift:.4f} m/m, {found.drift_deg_per_m:.4f} deg/m"


def _track_lines(tracks: TrackFigures) -> Iterator[str]:
    error = "" if tracks.reprojection_px is None else f", reprojection {tracks.reprojection_px:.2f} px (median)"
    yield (
        f"tracks           {tracks.tracks}, mean length {tracks.mean_length:.2f}, "
        f"{100 * tracks.share_of_3:.0f} % in 3 keyframes or more{error}"
    )
    if tracks.observed_share is not None:
        yield f"  observed       {100 * tracks.observed_share:.0f} % of the keyframes that see the point (mean)"
    if tracks.continued_share is not None:
        yield f"  continued      {100 * tracks.continued_share:.0f} % of the matches whose point was in view before"


def _odometry_lines(found: OdometryConsistency) -> Iterator[str]:
    moved = "" if found.rms_m is None else f"{found.rms_m:.3f} m and "
    yield (
        f"odometry         {found.increments} increments ({found.without_translation} without translation), "
        f"{found.gaps} gaps; rms {moved}{found.rms_deg:.3f} deg"
    )
    yield (
        f"  covariance     NEES {found.nees_per_dof:.2f} per degree of freedom, median {found.median_nees_per_dof:.2f}"
        f"; {100 * found.inside_95:.0f} % inside the 95 % ellipsoid"
    )
