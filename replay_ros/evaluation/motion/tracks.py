"""Keypoint tracks through the keyframes of a bag: their lengths, and reprojection errors with the true poses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from loftr_ros.tracks.statistics import NamedPair, collect_tracks, measure_tracks
from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.stamps import stamp_ns
from perception_common.tum import Trajectory
from replay_ros.evaluation.motion.continuation import continued_share
from replay_ros.evaluation.motion.results import TrackFigures
from replay_ros.evaluation.motion.truth import TOLERANCE, associate


def track_figures(
    messages: Iterable[Any], truth: Trajectory | None, tolerance: float = TOLERANCE
) -> TrackFigures | None:
    """Join the matches of yolc_ros/Correspondences messages to tracks and measure them; None without tracks.

    truth: poses of the optical frame. The tracks are triangulated with them, so that the reprojection error measures
    the matches and not the estimated motion. tolerance: largest stamp difference of a keyframe and its true pose,
    seconds.
    """
    pairs: list[NamedPair] = []
    keyframes: dict[int, Any] = {}
    for message in messages:
        keyframes |= {keyframe.id: keyframe for keyframe in (message.older, message.newer)}
        pairs.append(named_pair(message))
    poses = {} if truth is None else _true_poses(keyframes, truth, tolerance)
    cameras = {number: camera for number, keyframe in keyframes.items() if (camera := camera_of(keyframe)) is not None}
    return figures_of_pairs(pairs, poses, cameras)


def named_pair(message: Any) -> NamedPair:
    """Return the matches of a yolc_ros/Correspondences message with their keypoint ids."""
    return NamedPair(
        older=message.older.id,
        newer=message.newer.id,
        points0=np.column_stack([message.x0, message.y0]),
        points1=np.column_stack([message.x1, message.y1]),
        ids0=np.array(message.id0, np.uint32),
        ids1=np.array(message.id1, np.uint32),
    )


def figures_of_pairs(
    pairs: Sequence[NamedPair], poses: Mapping[int, np.ndarray], cameras: Mapping[int, Camera]
) -> TrackFigures | None:
    """Join named matches to tracks and measure them; None without tracks.

    poses: true T_world_camera (4, 4) by keyframe id, and cameras by keyframe id; empty where they are unknown.
    """
    found = measure_tracks(collect_tracks(pairs), poses, cameras)
    if found.tracks == 0:
        return None
    return TrackFigures(
        tracks=found.tracks,
        mean_length=found.mean_length,
        share_of_3=found.long_share,
        reprojection_px=_finite(found.median_error_px),
        observed_share=_finite(found.observed_share),
        continued_share=continued_share(pairs, poses, cameras),
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def camera_of(keyframe: Any) -> Camera | None:
    """Return the camera of a yolc_ros/Keyframe message; None without a usable calibration."""
    K = np.array(keyframe.k_original, np.float64).reshape(3, 3)
    if K[0, 0] == 0:
        return None
    try:
        return Camera.from_matrix(
            K, keyframe.width, keyframe.height, np.array(keyframe.d), keyframe.distortion_model or "plumb_bob"
        )
    except InputError:
        return None


def _true_poses(keyframes: dict[int, Any], truth: Trajectory, tolerance: float) -> dict[int, np.ndarray]:
    """Return the true pose (4, 4) of each keyframe that has one, by keyframe id."""
    ids = list(keyframes)
    matched, poses, _ = associate(np.array([stamp_ns(keyframes[k].header) for k in ids]), truth, tolerance)
    return {number: poses[k] for k, number in enumerate(ids) if matched[k]}
