"""Chains the relative poses of neighbouring keyframes to a path with covariances."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from perception_common.geometry import compose, skew
from replay_ros.evaluation.motion.edges import matrix_of_pose

GEOMETRIES = ("FAILED", "GENERAL", "PLANAR", "ROTATION_ONLY")


@dataclass(frozen=True, eq=False)
class Chain:
    """Poses of all keyframes in the optical frame of the first one.

    stamps_ns: (N,). poses: (N, 4, 4). covariances: (N, 6, 6), ROS order, axes of the first keyframe. starts: (N,)
    bool, no relative pose leads to this keyframe, so it has the pose of the keyframe before. is_metric: all lengths are
    in metres.
    """

    stamps_ns: np.ndarray
    poses: np.ndarray
    covariances: np.ndarray
    starts: np.ndarray
    is_metric: bool


def chain(keyframes: Mapping[int, int], poses: Mapping[tuple[int, int], Any]) -> Chain:
    """Chain the relative poses of neighbouring keyframes. keyframes: stamp by id; poses: RelativePose by ids.

    Covariances are propagated from the first keyframe on. A step of unknown scale keeps its length, and the variance
    along that step is left out.
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
    """Return the covariance (6, 6) of an edge; of unknown scale, without the variance along the translation."""
    covariance = np.array(edge.pose.covariance, np.float64).reshape(6, 6)
    if edge.scale_status != 0:
        return covariance
    length = np.linalg.norm(step[:3, 3])
    keep = np.eye(6)
    keep[:3, :3] = np.eye(3) - np.outer(step[:3, 3], step[:3, 3]) / length**2 if length > 0 else 0.0
    return keep @ covariance @ keep.T


def _propagate(T: np.ndarray, covariance: np.ndarray, step: np.ndarray, of_step: np.ndarray) -> np.ndarray:
    """Return the covariance (6, 6) of a pose composed with a step.

    Errors of both: an additive translation, and a rotation applied on the left.
    """
    R = T[:3, :3]
    old, new = np.eye(6), np.zeros((6, 6))
    old[:3, 3:] = -skew(R @ step[:3, 3])
    new[:3, :3] = new[3:, 3:] = R
    return old @ covariance @ old.T + new @ of_step @ new.T
