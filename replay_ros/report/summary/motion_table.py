"""Table of the motion evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from perception_common.errors import InputError
from perception_common.text.markdown import number_cell
from replay_ros.evaluation.motion.metrics import UNNAMED
from replay_ros.report.content.text import Table
from replay_ros.report.summary.numbers import significant

Row = tuple[str, str, str]  # metric, value, details


def motion_tables(motion: Mapping[str, Any] | None) -> list[Table]:
    """Return the table of a MotionResult as plain values, none for None. Raises InputError for other values."""
    if motion is None:
        return []
    try:
        rows = (
            *_association_rows(motion["association"], motion["truth"]),
            *_pose_rows(motion["poses"]),
            *_trajectory_rows(motion["trajectory"]),
            *_covariance_rows(motion["calibration"]),
            *_track_rows(motion["tracks"]),
            *_odometry_rows(motion.get("odometry")),
        )
        notes = " ".join(motion["notes"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"the motion in this result is broken ({error!r}); evaluate again") from error
    return [Table("Motion", ("metric", "value", "details"), rows, notes)]


def _association_rows(association: Mapping[str, Any], truth: str) -> Iterator[Row]:
    matched = f"{association['matched']} of {association['poses']}"
    yield "Poses with ground truth", matched, f"within {association['tolerance_s']:g} s of {truth}"


def _pose_rows(poses: Mapping[str, Any] | None) -> Iterator[Row]:
    if not poses:
        return
    estimator = f", {poses['estimator']}" if poses["estimator"] != UNNAMED else ""
    for limit, value in poses["auc"].items():
        yield f"AUC@{limit}°", number_cell(value, 3), f"{poses['edges']} pairs{estimator}"
    yield "Within 5°", f"{poses['success_5deg']} of {poses['edges']}", f"{poses['failures']} failed"
    yield "Rotation error", f"{significant(poses['median_rotation_deg'])}°", "median"
    yield "Direction error", f"{significant(poses['median_direction_deg'])}°", "median"
    if poses["median_length_error"] is not None:
        yield "Length error", f"{100 * poses['median_length_error']:.1f} %", "median, edges with metric scale"


def _trajectory_rows(path: Mapping[str, Any] | None) -> Iterator[Row]:
    if not path:
        return
    alignment = path["alignment"] + (f", scale {path['scale']:.3g}" if path["alignment"] == "Sim3" else "")
    yield "ATE", f"{path['ate_m']['rmse']:.3g} m", f"RMSE, {path['length_m']:.1f} m flown, {alignment}"
    yield "RPE", f"{path['rpe_m']['rmse']:.3g} m, {path['rpe_deg']['rmse']:.3g}°", "RMSE between consecutive poses"
    if path["drift"] is not None:
        yield "Drift", f"{100 * path['drift']:.2f} %", "of the length flown, at the end"


def _covariance_rows(calibration: Mapping[str, Any] | None) -> Iterator[Row]:
    if not calibration:
        return
    low, high = calibration["expected"]
    yield (
        "NEES per degree of freedom",
        f"{calibration['nees_per_dof']:.2f}",
        f"consistent from {low:.2f} to {high:.2f}",
    )
    yield "Inside 95 %", f"{100 * calibration['inside_95']:.0f} %", f"{calibration['edges']} pairs"


def _track_rows(tracks: Mapping[str, Any] | None) -> Iterator[Row]:
    if not tracks:
        return
    yield "Tracks", str(tracks["tracks"]), f"mean length {tracks['mean_length']:.1f} keyframes"
    if tracks["reprojection_px"] is not None:
        yield "Reprojection error", f"{tracks['reprojection_px']:.2f} px", "median of triangulated tracks"
    if tracks.get("observed_share") is not None:
        yield "Observed", f"{100 * tracks['observed_share']:.0f} %", "of the keyframes that see the point of a track"
    if tracks.get("continued_share") is not None:
        yield "Continued", f"{100 * tracks['continued_share']:.0f} %", "of the matches whose point was in view before"


def _odometry_rows(odometry: Mapping[str, Any] | None) -> Iterator[Row]:
    """Yield the rows of the odometry; older results have none."""
    if not odometry:
        return
    yield "Odometry", f"{odometry['increments']} increments", f"{odometry['gaps']} gaps"
    yield (
        "NEES of increments",
        f"{odometry['nees_per_dof']:.2f}",
        f"over the degrees of freedom; {100 * odometry['inside_95']:.0f} % inside 95 %",
    )
