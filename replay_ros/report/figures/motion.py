"""Motion between keyframes as the report shows it: chained from above with its uncertainty, and beside the truth."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from perception_common.geometry import compose, skew, so3_exp, so3_log
from replay_ros.evaluation.motion.edges import matrix_of_pose
from replay_ros.evaluation.motion.truth import associate
from replay_ros.report.content import TrajectorySection
from replay_ros.report.reading.recording import RecordedReplay

GEOMETRIES = ("FAILED", "GENERAL", "PLANAR", "ROTATION_ONLY")
SCALES = ("UNKNOWN", "ALTITUDE", "DEPTH", "ODOMETRY")
_AXES = ("right", "down", "forward")  # of an optical frame


@dataclass(frozen=True, eq=False)
class Chain:
    """Keyframes chained from one to the next, in the first one's optical frame.

    stamps_ns: (N,). poses: (N, 4, 4). covariances: (N, 6, 6), ROS order, axes of the first keyframe. starts: (N,)
    bool: nothing leads here, the pose is that of the keyframe before. is_metric: every length is in metres.
    """

    stamps_ns: np.ndarray
    poses: np.ndarray
    covariances: np.ndarray
    starts: np.ndarray
    is_metric: bool


def chain(keyframes: Mapping[int, int], poses: Mapping[tuple[int, int], Any]) -> Chain:
    """Chain the relative poses of neighbouring keyframes. keyframes: stamp by id; poses: RelativePose by ids.

    The covariance of a position adds up what each step and each rotation before it contribute. The length of a step of
    unknown scale is taken as it is: it has no part in the covariance.
    """
    ids = sorted(keyframes)
    Ts, covariances, starts = [np.eye(4)], [np.zeros((6, 6))], [True]
    is_metric = True
    for older, newer in itertools.pairwise(ids):
        edge = poses.get((older, newer))
        if edge is None or GEOMETRIES[edge.geometry] == "FAILED":
            Ts.append(Ts[-1])
            covariances.append(covariances[-1])
            starts.append(True)
            continue
        step = matrix_of_pose(edge.pose.pose)
        is_metric &= edge.scale_status != 0
        covariances.append(_propagate(Ts[-1], covariances[-1], step, _observed(edge, step)))
        Ts.append(compose(Ts[-1], step))
        starts.append(False)
    count = len(ids)
    stamps = np.array([keyframes[number] for number in ids], np.int64)
    return Chain(stamps, np.array(Ts)[:count], np.array(covariances)[:count], np.array(starts)[:count], is_metric)


def _observed(edge: Any, step: np.ndarray) -> np.ndarray:
    """Covariance (6, 6) of an edge without what its unknown scale says of the length."""
    covariance = np.array(edge.pose.covariance, np.float64).reshape(6, 6)
    if edge.scale_status != 0:
        return covariance
    length = np.linalg.norm(step[:3, 3])
    keep = np.eye(6)
    keep[:3, :3] = np.eye(3) - np.outer(step[:3, 3], step[:3, 3]) / length**2 if length > 0 else 0.0
    return keep @ covariance @ keep.T


def _propagate(T: np.ndarray, covariance: np.ndarray, step: np.ndarray, of_step: np.ndarray) -> np.ndarray:
    """Add a step to a pose: both with additive translations and rotations applied on the left."""
    R = T[:3, :3]
    old, new = np.eye(6), np.zeros((6, 6))
    old[:3, 3:] = -skew(R @ step[:3, 3])
    new[:3, :3] = new[3:, 3:] = R
    return old @ covariance @ old.T + new @ of_step @ new.T


def view_from_above(recording: RecordedReplay) -> TrajectorySection | None:
    """Return the trajectory as the report shows it, None with fewer than two keyframes that hang together."""
    path = chain(recording.keyframes, recording.poses)
    index = {stamp: frame for frame, stamp in enumerate(recording.stamps_ns)}
    is_known = np.array([int(stamp) in index for stamp in path.stamps_ns], bool)
    if is_known.sum() < 2 or path.starts.all():
        return None
    frames = np.array([index[int(stamp)] for stamp in path.stamps_ns[is_known]])
    path = Chain(
        path.stamps_ns[is_known],
        path.poses[is_known],
        path.covariances[is_known],
        path.starts[is_known],
        path.is_metric,
    )
    if recording.truth is not None:
        has_truth, true, _ = associate(np.array(recording.stamps_ns), recording.truth.trajectory)
        if has_truth[frames].sum() >= 2:
            return _beside_truth(path, frames, has_truth, true)
    return _in_first_camera(path, frames)


def _in_first_camera(path: Chain, frames: np.ndarray) -> TrajectorySection:
    """Look along the axis of the first camera in which it moves least, which is down for a camera that looks down."""
    positions = path.poses[:, :3, 3]
    depth = int(np.argmin(np.ptp(positions, axis=0)))
    across, along = (axis for axis in range(3) if axis != depth)
    view = np.zeros((2, 3))
    view[0, across], view[1, along] = 1.0, -1.0 if along == 1 else 1.0
    unit = "m" if path.is_metric else "steps"
    upward = "up in the image" if along == 1 else _AXES[along]
    return TrajectorySection(
        axes=(f"{_AXES[across]}, {unit}", f"{upward}, {unit}"),
        about="In the first keyframe's camera frame; there is no truth to compare with."
        + ("" if path.is_metric else " Lengths are unknown: every step between keyframes counts 1."),
        frames=frames,
        estimated=positions @ view.T,
        covariances=view @ path.covariances[:, :3, :3] @ view.T,
        starts=path.starts,
    )


def _beside_truth(path: Chain, frames: np.ndarray, has_truth: np.ndarray, true: np.ndarray) -> TrajectorySection:
    """Lay the path on the truth: turned by the mean difference of the orientations, which a straight flight defines
    too, then moved (and stretched where the scale is unknown) to the smallest squared distances.

    has_truth: (F,) bool, true: (F, 4, 4), of all frames.
    """
    there = has_truth[frames]
    goal = true[frames[there]]
    R = mean_rotation(goal[:, :3, :3] @ path.poses[there, :3, :3].transpose(0, 2, 1))
    turned = path.poses[:, :3, 3] @ R.T
    center, goal_center = turned[there].mean(axis=0), goal[:, :3, 3].mean(axis=0)
    spread, goal_spread = turned[there] - center, goal[:, :3, 3] - goal_center
    scale = 1.0
    if not path.is_metric and np.any(spread):
        scale = max(float((spread * goal_spread).sum() / (spread**2).sum()), 0.0)
    estimated = scale * (turned - center) + goal_center
    errors = np.full(len(frames), np.nan)
    errors[there] = np.linalg.norm(estimated[there] - goal[:, :3, 3], axis=1)
    covariances = scale**2 * (R @ path.covariances[:, :3, :3] @ R.T)
    about = "Laid on the truth by its mean orientation and position"
    about += "." if path.is_metric else f"; its scale is unknown and was chosen to fit ({scale:.3g} m a step)."
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


def mean_rotation(rotations: np.ndarray, rounds: int = 10) -> np.ndarray:
    """Return the rotation with the smallest sum of squared angles to rotations (N, 3, 3)."""
    mean = rotations[0]
    for _ in range(rounds):
        mean = mean @ so3_exp(np.mean([so3_log(mean.T @ R) for R in rotations], axis=0))
    return mean
