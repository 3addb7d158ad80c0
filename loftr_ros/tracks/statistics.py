"""Tracks of a sequence: their lengths and their reprojection errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.multiview import camera_points, triangulate
from loftr_ros.tracks.visibility import visible_in
from perception_common.cameras.camera import Camera
from perception_common.geometry import inverse

ID_RANGE = 1 << 32  # keypoint ids are uint32


@dataclass(frozen=True, eq=False)
class NamedPair:
    """Matches of two keyframes with their keypoint ids.

    older, newer: ids of the keyframes. points0, points1: (N, 2), pixels of the original images. ids0, ids1: (N,)
    uint32; equal where the match joins two places.
    """

    older: int
    newer: int
    points0: np.ndarray
    points1: np.ndarray
    ids0: np.ndarray
    ids1: np.ndarray


@dataclass(frozen=True, eq=False)
class Tracks:
    """M tracks with N observations, sorted by track, then by keyframe; a track has one observation in a keyframe.

    track: (N,) int64, 0 to M - 1. keyframe: (N,) int64, id. points: (N, 2) float64, pixels of the original image: the
    mean over the pairs. ids: (M,) uint32, the keypoint ids.
    """

    track: np.ndarray
    keyframe: np.ndarray
    points: np.ndarray
    ids: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Keyframes of each track, (M,) int64, at least 2."""
        return np.bincount(self.track, minlength=len(self.ids))


@dataclass(frozen=True)
class TrackStatistics:
    """Statistics of tracks; NaN where there is nothing to measure.

    tracks: number of tracks. mean_length, median_length: keyframes in a track. long_share: share of tracks of 3 or more
    keyframes. longest: keyframes. triangulated: tracks whose point lies in front of all cameras that see it.
    behind: tracks whose point does not. mean_error_px, median_error_px, p95_error_px: distance of an observation of a
    triangulated track from its reprojected point, pixels of the original image. observed_share: keyframes of a
    triangulated track over the keyframes that see its point by geometry, mean over the tracks.
    """

    tracks: int
    mean_length: float
    median_length: float
    long_share: float
    longest: int
    triangulated: int
    behind: int
    mean_error_px: float
    median_error_px: float
    p95_error_px: float
    observed_share: float


def collect_tracks(pairs: Iterable[NamedPair]) -> Tracks:
    """Join matches with equal ids to tracks."""
    keyframes, ids, points = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros((0, 2))]
    for pair in pairs:
        joined = pair.ids0 == pair.ids1
        for keyframe, seen in ((pair.older, pair.points0), (pair.newer, pair.points1)):
            keyframes.append(np.full(joined.sum(), keyframe))
            ids.append(pair.ids0[joined].astype(np.int64))
            points.append(np.asarray(seen, np.float64)[joined])
    keys = np.concatenate(ids) * ID_RANGE + np.concatenate(keyframes)
    unique, which, counts = np.unique(keys, return_inverse=True, return_counts=True)
    sums = np.zeros((len(unique), 2))
    np.add.at(sums, which, np.concatenate(points))
    names, track = np.unique(unique // ID_RANGE, return_inverse=True)
    return Tracks(track, unique % ID_RANGE, sums / counts[:, None], names.astype(np.uint32))


@dataclass(frozen=True, eq=False)
class LocatedTracks:
    """The points of M tracks with N observations.

    points: (M, 4) float64, homogeneous world points; NaN for a track with fewer than two usable views and for one whose
    point lies behind a camera that sees it. errors: (N,) float64, distance of each observation from its reprojected
    point, pixels of the original image; NaN where there is no point. behind: (M,) bool, flags the latter tracks.
    """

    points: np.ndarray
    errors: np.ndarray
    behind: np.ndarray


def locate_tracks(tracks: Tracks, poses: Mapping[int, np.ndarray], cameras: Mapping[int, Camera]) -> LocatedTracks:
    """Triangulate the tracks and reproject them.

    poses: T_world_camera (4, 4) by keyframe id, all of one scale; cameras: by keyframe id. Keyframes without both are
    left out.
    """
    errors, behind = np.full(len(tracks.track), np.nan), np.zeros(len(tracks.ids), bool)
    points = np.full((len(tracks.ids), 4), np.nan)
    rays, T_camera_world = _views(tracks, poses, cameras)
    usable = np.flatnonzero(np.isfinite(rays).all(axis=1))
    lengths = np.bincount(tracks.track[usable], minlength=len(tracks.ids))
    for length in np.unique(lengths[lengths >= 2]).tolist():
        rows = usable[lengths[tracks.track[usable]] == length].reshape(-1, length)  # (M', V): tracks of this length
        X = triangulate(rays[rows], T_camera_world[rows])
        seen = camera_points(X, T_camera_world[rows])
        front = (seen[..., 2] > 0).all(axis=1)
        behind[tracks.track[rows[~front, 0]]] = True
        points[tracks.track[rows[front, 0]]] = X[front]
        kept = rows[front].ravel()
        errors[kept] = _distances(tracks, cameras, kept, seen[front].reshape(-1, 3))
    return LocatedTracks(points, errors, behind)


def observed_share(
    tracks: Tracks, points: np.ndarray, poses: Mapping[int, np.ndarray], cameras: Mapping[int, Camera]
) -> float:
    """Return the mean of observed over visible keyframes over the tracks with a point; NaN without any.

    points: (M, 4) of `locate_tracks`. A keyframe that has an observation sees the point in any case.
    """
    known = np.isfinite(points[:, 0])
    if not known.any():
        return float("nan")
    observed, visible = (np.zeros(len(points), np.int64) for _ in range(2))
    for keyframe in sorted(poses.keys() & cameras.keys()):
        sees = np.zeros(len(points), bool)
        sees[tracks.track[tracks.keyframe == keyframe]] = True
        observed += sees
        sees[known] |= visible_in(points[known], poses[keyframe], cameras[keyframe])
        visible += sees
    return float((observed[known] / visible[known]).mean())


def measure_tracks(tracks: Tracks, poses: Mapping[int, np.ndarray], cameras: Mapping[int, Camera]) -> TrackStatistics:
    """Compute the statistics of tracks; poses and cameras as for `locate_tracks`, empty where unknown."""
    lengths = tracks.lengths
    located = locate_tracks(tracks, poses, cameras)
    errors = located.errors
    known = np.isfinite(errors)
    nothing = float("nan")
    some = len(lengths) > 0
    mean, median, p95 = (
        (float(errors[known].mean()), *np.percentile(errors[known], [50, 95]).tolist())
        if known.any()
        else [nothing] * 3
    )
    return TrackStatistics(
        tracks=len(lengths),
        mean_length=float(lengths.mean()) if some else nothing,
        median_length=float(np.median(lengths)) if some else nothing,
        long_share=float((lengths >= 3).mean()) if some else nothing,
        longest=int(lengths.max(initial=0)),
        triangulated=len(np.unique(tracks.track[known])),
        behind=int(located.behind.sum()),
        mean_error_px=mean,
        median_error_px=median,
        p95_error_px=p95,
        observed_share=observed_share(tracks, located.points, poses, cameras),
    )


def _views(
    tracks: Tracks, poses: Mapping[int, np.ndarray], cameras: Mapping[int, Camera]
) -> tuple[np.ndarray, np.ndarray]:
    """Rays (N, 2) and T_camera_world (N, 4, 4) of the observations; NaN where they are unknown."""
    rays, T = np.full((len(tracks.track), 2), np.nan), np.full((len(tracks.track), 4, 4), np.nan)
    for keyframe in np.unique(tracks.keyframe).tolist():
        if keyframe in poses and keyframe in cameras:
            here = tracks.keyframe == keyframe
            rays[here] = cameras[keyframe].rays(tracks.points[here])
            T[here] = inverse(poses[keyframe])
    return rays, T


def _distances(tracks: Tracks, cameras: Mapping[int, Camera], rows: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Distances (N,), pixels, of the observations `rows` (N,) from points (N, 3) in the axes of their cameras."""
    distances = np.zeros(len(rows))
    for keyframe in np.unique(tracks.keyframe[rows]).tolist():
        here = tracks.keyframe[rows] == keyframe
        K = cameras[keyframe].rectified_matrix
        straight = seen[here] @ K.T
        pixels = cameras[keyframe].distort(straight[:, :2] / straight[:, 2:])
        distances[here] = np.linalg.norm(pixels - tracks.points[rows[here]], axis=1)
    return distances
