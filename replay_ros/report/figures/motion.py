"""Motion between keyframes as the report shows it: chained from above with its uncertainty, and beside the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from loftr_ros.geometry.scale.sources import ScaleSource
from loftr_ros.geometry.two_view.estimation import Geometry
from loftr_ros.trajectory.chain import Chain, ChainEdge, ChainedPose, edges_by_newer
from loftr_ros.trajectory.covariance import propagate, step_covariance
from perception_common.geometry import so3_exp, so3_log
from replay_ros.evaluation.motion.edges import matrix_of_pose
from replay_ros.evaluation.motion.truth import associate
from replay_ros.report.content import TrajectorySection
from replay_ros.report.reading.recording import RecordedReplay

_AXES = ("right", "down", "forward")  # of an optical frame


@dataclass(frozen=True, eq=False)
class ChainedPath:
    """Keyframes chained from one to the next, in the first one's optical frame.

    stamps_ns: (N,). poses: (N, 4, 4). covariances: (N, 6, 6), ROS order, axes of the first keyframe. starts: (N,)
    bool: nothing leads here, the pose is that of the keyframe before. is_metric: every length is in metres.
    """

    stamps_ns: np.ndarray
    poses: np.ndarray
    covariances: np.ndarray
    starts: np.ndarray
    is_metric: bool


def chain_keyframes(keyframes: Mapping[int, int], poses: Mapping[tuple[int, int], Any]) -> ChainedPath:
    """Chain the keyframes of a recording as the node connected them.

    keyframes: stamp by id. poses: RelativePose messages by the ids of the older and the newer keyframe. The covariance
    of a position adds up what each step and each rotation before it contribute; an assumed length has no part in it. A
    keyframe that nothing connects starts anew at the place of the one before.
    """
    ids = sorted(keyframes)
    edges = edges_by_newer(_chain_edge(older, newer, message) for (older, newer), message in poses.items())
    chain, row = Chain(), {number: k for k, number in enumerate(ids)}
    path: list[ChainedPose] = []
    covariances: list[np.ndarray] = []
    for number in ids:
        pose = chain.connect(edges.get(number, ()))
        if pose is None or pose.edge is None:
            path.append(chain.start(number, path[-1].T_map_camera if path else None))
            covariances.append(covariances[-1] if covariances else np.zeros((6, 6)))
            continue
        if pose.edge.geometry == Geometry.FAILED:  # drawn as a gap
            path.append(pose)
            covariances.append(covariances[row[pose.edge.older]])
            continue
        before = row[pose.edge.older]
        message = poses[pose.edge.older, number]
        of_step = step_covariance(pose, np.array(message.pose.covariance, np.float64).reshape(6, 6))
        covariances.append(propagate(path[before].T_map_camera, covariances[before], pose.step, of_step))
        path.append(pose)
    return ChainedPath(
        stamps_ns=np.array([keyframes[number] for number in ids], np.int64),
        poses=np.array([pose.T_map_camera for pose in path]).reshape(-1, 4, 4),
        covariances=np.array(covariances).reshape(-1, 6, 6),
        starts=np.array([pose.edge is None or pose.edge.geometry == Geometry.FAILED for pose in path], bool),
        is_metric=all(pose.edge is None or not pose.edge.moves or pose.edge.is_metric for pose in path),
    )


def _chain_edge(older: int, newer: int, message: Any) -> ChainEdge:
    """Return the edge of a RelativePose message, keyed by keyframe ids."""
    return ChainEdge(
        older,
        newer,
        matrix_of_pose(message.pose.pose),
        geometry=Geometry(message.geometry),
        is_metric=message.scale_status != ScaleSource.UNKNOWN,
    )


def view_from_above(recording: RecordedReplay) -> TrajectorySection | None:
    """Return the trajectory as the report shows it, None with fewer than two keyframes that hang together."""
    path = chain_keyframes(recording.keyframes, recording.poses)
    index = {stamp: frame for frame, stamp in enumerate(recording.stamps_ns)}
    is_known = np.array([int(stamp) in index for stamp in path.stamps_ns], bool)
    if is_known.sum() < 2 or path.starts.all():
        return None
    frames = np.array([index[int(stamp)] for stamp in path.stamps_ns[is_known]])
    path = ChainedPath(
        stamps_ns=path.stamps_ns[is_known],
        poses=path.poses[is_known],
        covariances=path.covariances[is_known],
        starts=path.starts[is_known],
        is_metric=path.is_metric,
    )
    if recording.truth is not None:
        has_truth, true, _ = associate(np.array(recording.stamps_ns), recording.truth.trajectory)
        if has_truth[frames].sum() >= 2:
            return _beside_truth(path, frames, has_truth, true)
    return _in_first_camera(path, frames)


def _in_first_camera(path: ChainedPath, frames: np.ndarray) -> TrajectorySection:
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


def _beside_truth(path: ChainedPath, frames: np.ndarray, has_truth: np.ndarray, true: np.ndarray) -> TrajectorySection:
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
