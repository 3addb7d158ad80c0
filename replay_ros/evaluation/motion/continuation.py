"""How many matches continue a track, of those whose point the keyframe before saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from loftr_ros.tracks.statistics import ID_RANGE, NamedPair, collect_tracks, locate_tracks
from loftr_ros.tracks.visibility import visible_in
from perception_common.cameras.camera import Camera

RIGHT = 1 / 320  # reprojection error of a match of one point, over the long side: 2 pixels of 640; empirical


def continued_share(
    pairs: Sequence[NamedPair], poses: Mapping[int, np.ndarray], cameras: Mapping[int, Camera]
) -> float | None:
    """Return the share of matches that continue a track; None where no point was in view before.

    Each keyframe counts with the newest keyframe that it was matched with. The point of a match is triangulated with
    the true poses, T_world_camera (4, 4) by keyframe id; a match that no point explains is left out. It was in view
    when it lies in the image of the keyframe before the older one, and it continues a track when its track has an
    observation there.
    """
    tracks = collect_tracks(pairs)
    seen = tracks.ids[tracks.track].astype(np.int64) * ID_RANGE + tracks.keyframe
    in_view = continued = 0
    for pair in _steps(pairs):
        before = pair.older - 1
        if not {before, pair.older, pair.newer} <= poses.keys() & cameras.keys():
            continue
        points = _right_points(pair, poses, cameras)
        known = np.isfinite(points[:, 0])
        known[known] = visible_in(points[known], poses[before], cameras[before])
        is_joined = pair.ids0 == pair.ids1
        continues = is_joined & np.isin(pair.ids0.astype(np.int64) * ID_RANGE + before, seen)
        in_view += int(known.sum())
        continued += int((known & continues).sum())
    return continued / in_view if in_view else None


def _steps(pairs: Sequence[NamedPair]) -> list[NamedPair]:
    """Return for each newer keyframe the pair with its newest older one."""
    newest: dict[int, NamedPair] = {}
    for pair in pairs:
        if pair.newer not in newest or newest[pair.newer].older < pair.older:
            newest[pair.newer] = pair
    return list(newest.values())


def _right_points(pair: NamedPair, poses: Mapping[int, np.ndarray], cameras: Mapping[int, Camera]) -> np.ndarray:
    """Homogeneous world points (N, 4) of the matches of a pair; NaN where no point explains the match."""
    numbers = np.arange(len(pair.ids0), dtype=np.uint32)  # each match is a track of its own
    alone = NamedPair(pair.older, pair.newer, pair.points0, pair.points1, numbers, numbers)
    located = locate_tracks(collect_tracks([alone]), poses, cameras)
    side = max(cameras[pair.older].width, cameras[pair.older].height)
    is_right = np.asarray(located.errors.reshape(-1, 2) <= RIGHT * side).all(axis=1)
    return np.where(np.expand_dims(is_right, 1), located.points, np.nan)
