"""The top view of the estimated trajectory, next to the ground truth where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from perception_common.geometry import so3_exp, so3_log
from replay_ros.evaluation.motion.truth import associate
from replay_ros.report.content.plots import TrajectorySection
from replay_ros.report.figures.chained_path import ChainedPath, chain_keyframes
from replay_ros.report.reading.recording import RecordedReplay

_AXES = ("right", "down", "forward")  # of an optical frame


def trajectory_section(recording: RecordedReplay, motion: Mapping[str, Any] | None) -> TrajectorySection | None:
    """Return the trajectory. motion: a MotionResult as plain values, whose alignment is used if it has one.

    None with fewer than two keyframes that a relative pose connects.
    """
    path = chain_keyframes(recording.keyframes, recording.poses)
    if len(path.images) < 2 or path.starts.all():
        return None
    section = _aligned_with_truth(path, path.images, recording) or _in_first_camera(path, path.images)
    return _as_evaluated(section, recording.position_of_stamp, motion)


def _in_first_camera(path: ChainedPath, frames: np.ndarray) -> TrajectorySection:
    """View along that axis of the first camera along which it moves least: downwards for a nadir camera."""
    positions = path.poses[:, :3, 3]
    depth = int(np.argmin(np.ptp(positions, axis=0)))
    across, along = (axis for axis in range(3) if axis != depth)
    view = np.zeros((2, 3))
    view[0, across], view[1, along] = 1.0, -1.0 if along == 1 else 1.0
    unit = "m" if path.is_metric else "steps"
    upward = "up in the image" if along == 1 else _AXES[along]
    return TrajectorySection(
        axes=(f"{_AXES[across]}, {unit}", f"{upward}, {unit}"),
        about="In the camera frame of the first keyframe; no ground truth."
        + ("" if path.is_metric else " The scale is unknown: each step between keyframes has length 1."),
        frames=frames,
        estimated=positions @ view.T,
        covariances=view @ path.covariances[:, :3, :3] @ view.T,
        starts=path.starts,
    )


def _aligned_with_truth(path: ChainedPath, frames: np.ndarray, recording: RecordedReplay) -> TrajectorySection | None:
    """Align the path with the ground truth; None when fewer than two keyframes have ground truth.

    The rotation is the mean difference of the orientations, which is defined for a straight flight too. Translation,
    and scale if it is unknown, minimise the squared distances.
    """
    if recording.truth is None:
        return None
    has_truth, true, _ = associate(np.array(recording.stamps_ns), recording.truth.trajectory)
    matched = has_truth[frames]
    if matched.sum() < 2:
        return None
    target = true[frames[matched]]
    R = mean_rotation(target[:, :3, :3] @ path.poses[matched, :3, :3].transpose(0, 2, 1))
    rotated = path.poses[:, :3, 3] @ R.T
    center, target_center = rotated[matched].mean(axis=0), target[:, :3, 3].mean(axis=0)
    offsets, target_offsets = rotated[matched] - center, target[:, :3, 3] - target_center
    scale = 1.0
    if not path.is_metric and np.any(offsets):
        scale = max(float((offsets * target_offsets).sum() / (offsets**2).sum()), 0.0)
    estimated = scale * (rotated - center) + target_center
    errors = np.full(len(frames), np.nan)
    errors[matched] = np.linalg.norm(estimated[matched] - target[:, :3, 3], axis=1)
    covariances = scale**2 * (R @ path.covariances[:, :3, :3] @ R.T)
    about = "Aligned with the ground truth by mean orientation and position"
    about += "." if path.is_metric else f"; the scale is unknown and was fitted ({scale:.3g} m per step)."
    return TrajectorySection(
        axes=("x, m", "y, m"),
        about=about,
        frames=frames,
        estimated=estimated[:, :2],
        covariances=covariances[:, :2, :2],
        starts=path.starts,
        errors=errors,
        true_frames=np.flatnonzero(has_truth),
        true=true[has_truth, :2, 3],
    )


def _as_evaluated(
    section: TrajectorySection, frame_of: Mapping[int, int], motion: Mapping[str, Any] | None
) -> TrajectorySection:
    """Use the alignment of the evaluation where it has all keyframes, so that plot and tables agree."""
    path = (motion or {}).get("trajectory")
    if path is None:
        return section
    row_of = {frame_of[stamp]: k for k, stamp in enumerate(path["stamps_ns"]) if stamp in frame_of}
    if not row_of or not all(frame in row_of for frame in section.frames.tolist()):
        return section
    rows = [row_of[frame] for frame in section.frames.tolist()]
    true = np.array(path["true"])[:, :2]
    evaluated_frames = sorted(row_of)
    return replace(
        section,
        about=f"Aligned with the ground truth by evo ({path['alignment']}, scale {path['scale']:.3g}).",
        estimated=np.array(path["estimated"])[rows, :2],
        errors=np.array(path["errors_m"])[rows],
        true_frames=np.array(evaluated_frames) if section.true is None else section.true_frames,
        true=true[[row_of[frame] for frame in evaluated_frames]] if section.true is None else section.true,
    )


def mean_rotation(rotations: np.ndarray, iterations: int = 10) -> np.ndarray:
    """Return the rotation (3, 3) with the smallest sum of squared angles to rotations (N, 3, 3)."""
    mean = rotations[0]
    for _ in range(iterations):
        mean = mean @ so3_exp(np.mean([so3_log(mean.T @ R) for R in rotations], axis=0))
    return mean
