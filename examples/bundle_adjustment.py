"""Bundle adjustment over the tracks of a bag with GTSAM: less drift where the flight closes no loop.

    yolc replay flight_bag answers_bag
    python examples/bundle_adjustment.py answers_bag adjusted.tum --chain chain.tum
    evo_ape tum truth.tum adjusted.tum --align

The bag has `loftr/correspondences` with their keypoint ids, and `loftr/relative_pose`. Needs `pip install gtsam`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gtsam
import numpy as np

from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.tracks.statistics import NamedPair, Tracks, collect_tracks, locate_tracks
from perception_common.cameras.camera import Camera
from perception_common.cli import run
from perception_common.errors import InputError
from perception_common.stamps import stamp_ns
from perception_common.tum import Trajectory, write_tum
from replay_ros.bags.reader import open_bag
from replay_ros.evaluation.motion.edges import PoseEdge, chain, edge_of_message
from replay_ros.evaluation.motion.tracks import camera_of, named_pair

PIXEL_NOISE = 1.0  # standard deviation of an observation, pixels of the original image
HUBER = 1.345  # standard deviations; 95 % efficient for normal errors (Huber 1981)
MIN_KEYFRAMES = 3  # in a track: two views do not carry the scale from step to step
MIN_PARALLAX = np.radians(1.0)  # of a track; nearer to 0 its point is at infinity
MAX_START_ERROR = 30.0  # pixels: reprojection error of a track at the start, where the chain has drifted
LENGTH_SIGMA = 1e-3  # of the first step, relative, where no length is measured
ANCHOR_SIGMA = 1e-6  # standard deviation of the prior on the first pose, which fixes the graph's gauge


@dataclass(frozen=True, eq=False)
class Recording:
    """What the adjustment needs of a bag.

    edges: relative poses that have not failed. pairs: matches with keypoint ids. cameras, stamps: by keyframe id.
    """

    edges: Sequence[PoseEdge]
    pairs: Sequence[NamedPair]
    cameras: Mapping[int, Camera]
    stamps: Mapping[int, int]


@dataclass(frozen=True, eq=False)
class Adjusted:
    """The adjusted trajectory in the frame of the first camera. tracks, observations: used ones. lengths: measured."""

    trajectory: Trajectory
    tracks: int
    observations: int
    lengths: int


def read_recording(bag: Path) -> Recording:
    """Read a bag. Raises InputError for one without relative poses or matches."""
    with open_bag(bag) as opened:
        edges = [edge_of_message(item.message) for item in opened.messages(["loftr/relative_pose"])]
        messages = [item.message for item in opened.messages(["loftr/correspondences"])]
    edges = [edge for edge in edges if edge.geometry != Geometry.FAILED]
    if not edges or not messages:
        raise InputError(f"{bag} has no matches with relative poses; replay with camera_info")
    keyframes = {keyframe.id: keyframe for message in messages for keyframe in (message.older, message.newer)}
    return Recording(
        edges=edges,
        pairs=[named_pair(message) for message in messages],
        cameras={number: camera for number, each in keyframes.items() if (camera := camera_of(each)) is not None},
        stamps={number: stamp_ns(each.header) for number, each in keyframes.items()},
    )


def adjust(recording: Recording) -> Adjusted:
    """Optimise poses and points; the chain of the relative poses is the start.

    Rotations and directions of the edges come from the same matches, so only their measured lengths are factors.
    """
    start = chain(recording.edges)
    of_stamp = dict(zip(start.stamps_ns.tolist(), start.matrices(), strict=True))
    poses = {number: of_stamp[stamp] for number, stamp in recording.stamps.items() if stamp in of_stamp}
    tracks, points = _usable_tracks(recording, poses)
    graph, values = gtsam.NonlinearFactorGraph(), gtsam.Values()
    for number, pose in poses.items():
        values.insert(_pose_key(number), gtsam.Pose3(pose))
    anchor = min(poses)
    fixed = gtsam.noiseModel.Isotropic.Sigma(6, ANCHOR_SIGMA)
    graph.add(gtsam.PriorFactorPose3(_pose_key(anchor), gtsam.Pose3(poses[anchor]), fixed))
    lengths = _add_lengths(graph, recording, poses)
    observations = _add_observations(graph, values, tracks, points, recording.cameras)
    result = gtsam.LevenbergMarquardtOptimizer(graph, values).optimize()
    adjusted = [result.atPose3(_pose_key(number)).matrix() for number in sorted(poses)]
    stamps = [recording.stamps[number] for number in sorted(poses)]
    return Adjusted(Trajectory.from_matrices(stamps, adjusted), len(points), observations, lengths)


def _usable_tracks(recording: Recording, poses: Mapping[int, np.ndarray]) -> tuple[Tracks, dict[int, np.ndarray]]:
    """Return the tracks, and the points (3,) at the start of those that are long, wide and near to their points."""
    tracks = collect_tracks(recording.pairs)
    located = locate_tracks(tracks, poses, recording.cameras)
    X = located.points[:, :3] / located.points[:, 3:]
    worst = np.zeros(len(tracks.ids))
    np.fmax.at(worst, tracks.track, located.errors)
    usable = (tracks.lengths >= MIN_KEYFRAMES) & np.isfinite(X).all(axis=1) & (worst <= MAX_START_ERROR)
    first, last = (np.searchsorted(tracks.track, np.arange(len(X)), side) for side in ("left", "right"))
    ends = [tracks.keyframe[index] for index in (first, last - 1)]
    usable &= np.isin(ends, list(poses)).all(axis=0)
    rays = [X[usable] - np.array([poses[k][:3, 3] for k in end[usable].tolist()]).reshape(-1, 3) for end in ends]
    cosine = (rays[0] * rays[1]).sum(axis=1) / np.prod([np.linalg.norm(ray, axis=1) for ray in rays], axis=0)
    usable[usable] = cosine < np.cos(MIN_PARALLAX)
    return tracks, {track: X[track] for track in np.flatnonzero(usable).tolist()}


def _add_observations(
    graph: gtsam.NonlinearFactorGraph,
    values: gtsam.Values,
    tracks: Tracks,
    points: Mapping[int, np.ndarray],
    cameras: Mapping[int, Camera],
) -> int:
    """Add the points and their observations in rectified pixels; returns the number of observations."""
    noise = gtsam.noiseModel.Robust.Create(
        gtsam.noiseModel.mEstimator.Huber.Create(HUBER), gtsam.noiseModel.Isotropic.Sigma(2, PIXEL_NOISE)
    )
    for track, X in points.items():
        values.insert(_point_key(track), X)
    count = 0
    for keyframe in np.unique(tracks.keyframe).tolist():
        if keyframe not in cameras or not values.exists(_pose_key(keyframe)):
            continue
        K = cameras[keyframe].rectified_matrix
        calibration = gtsam.Cal3_S2(K[0, 0], K[1, 1], K[0, 1], K[0, 2], K[1, 2])
        rows = np.flatnonzero((tracks.keyframe == keyframe) & np.isin(tracks.track, list(points)))
        pixels = cameras[keyframe].undistort(tracks.points[rows])
        for track, pixel in zip(tracks.track[rows].tolist(), pixels, strict=True):
            if np.isfinite(pixel).all():
                keys = _pose_key(keyframe), _point_key(track)
                graph.add(gtsam.GenericProjectionFactorCal3_S2(pixel, noise, *keys, calibration, False, False))
                count += 1
    return count


def _add_lengths(graph: gtsam.NonlinearFactorGraph, recording: Recording, poses: Mapping[int, np.ndarray]) -> int:
    """Add the measured lengths of the steps between neighbours; returns their number.

    Longer edges share the readings of the sensors. Without any, the first step keeps its length.
    """
    numbers = {stamp: number for number, stamp in recording.stamps.items() if number in poses}
    order = {number: place for place, number in enumerate(sorted(poses))}
    added = 0
    for edge in recording.edges:
        older, newer = numbers.get(edge.older_ns), numbers.get(edge.newer_ns)
        if older is None or newer is None or order[newer] - order[older] != 1 or not edge.is_metric:
            continue
        length = float(np.linalg.norm(edge.matrix[:3, 3]))
        direction = edge.matrix[:3, 3] / length
        sigma = float(np.sqrt(direction @ edge.covariance[:3, :3] @ direction))
        _add_length(graph, older, newer, length, sigma)
        added += 1
    if added == 0:
        first, second = sorted(poses)[:2]
        length = float(np.linalg.norm(poses[second][:3, 3] - poses[first][:3, 3]))
        _add_length(graph, first, second, length, LENGTH_SIGMA * length)
    return added


def _add_length(graph: gtsam.NonlinearFactorGraph, older: int, newer: int, length: float, sigma: float) -> None:
    noise = gtsam.noiseModel.Isotropic.Sigma(1, sigma)
    graph.add(gtsam.RangeFactorPose3(_pose_key(older), _pose_key(newer), length, noise))


def _pose_key(keyframe: int) -> int:
    return gtsam.symbol("x", keyframe)


def _point_key(track: int) -> int:
    return gtsam.symbol("p", track)


def main(arguments: list[str] | None = None) -> int:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bag", type=Path, help="a bag with matches and relative poses")
    parser.add_argument("out", type=Path, help="TUM file for the adjusted trajectory")
    parser.add_argument("--chain", type=Path, metavar="FILE", help="TUM file for the chained trajectory, the start")
    given = parser.parse_args(arguments)
    recording = read_recording(given.bag)
    found = adjust(recording)
    write_tum(given.out, found.trajectory)
    if given.chain:
        write_tum(given.chain, chain(recording.edges))
    print(
        f"{len(found.trajectory)} keyframes, {found.tracks} tracks with {found.observations} observations, "
        f"{found.lengths} measured lengths: {given.out}"
    )
    return 0


if __name__ == "__main__":
    run(main)
