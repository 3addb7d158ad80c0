"""Chains the keyframes of a recording to a path with covariances, as the node connected them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from loftr_ros.geometry.scale.result import ScaleSource
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.trajectory.chain import Chain, ChainEdge, ChainedPose, edges_by_newer
from loftr_ros.trajectory.covariance import chained_covariance
from replay_ros.evaluation.motion.edges import matrix_of_pose

_AXES = ("right", "down", "forward")  # of an optical frame


@dataclass(frozen=True, eq=False)
class ChainedPath:
    """Keyframes chained from one to the next, in the first one's optical frame.

    images: (N,) positions in the bag. poses: (N, 4, 4). covariances: (N, 6, 6), ROS order, axes of the first keyframe.
    starts: (N,) bool: nothing leads here, the pose is that of the keyframe before. is_metric: every length is in
    metres.
    """

    images: np.ndarray
    poses: np.ndarray
    covariances: np.ndarray
    starts: np.ndarray
    is_metric: bool


def chain_keyframes(keyframes: Mapping[int, int], poses: Mapping[tuple[int, int], Any]) -> ChainedPath:
    """Chain the keyframes of a recording as the node connected them.

    keyframes: position in the bag by id. poses: RelativePose messages by the ids of the older and the newer keyframe.
    The covariance of a position adds up what each step and each rotation before it contribute; an assumed length has no
    part in it. A keyframe that nothing connects starts anew at the place of the one before.
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
        of_edge = np.array(poses[pose.edge.older, number].pose.covariance, np.float64).reshape(6, 6)
        covariances.append(chained_covariance(pose, covariances[row[pose.edge.older]], of_edge))
        path.append(pose)
    return ChainedPath(
        images=np.array([keyframes[number] for number in ids], int),
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
