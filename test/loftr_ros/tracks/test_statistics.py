"""Track lengths by hand, and reprojection errors of a simulated flight."""

import math

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from flight_sim.camera import camera_with_fov, world_to_camera
from flight_sim.flight_path import FlightPathOptions, plan_flight_path
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.tracks.keypoint_ids import KeypointIds, name_matches
from loftr_ros.tracks.statistics import (
    NamedPair,
    collect_tracks,
    locate_tracks,
    measure_tracks,
)
from loftr_ros.trajectory.chain import ChainEdge, chain_edges
from perception_common.cameras.camera import Camera
from perception_common.geometry import inverse

LENS = camera_with_fov(640, 480, 70.0, (-0.03, 0.008, 0.0004, -0.0003, 0.0))
CAMERA = Camera.from_matrix(LENS.matrix, LENS.width, LENS.height, LENS.distortion)


def pair(older, newer, points0, points1, ids0, ids1):
    return NamedPair(older, newer, np.array(points0, float), np.array(points1, float), np.array(ids0), np.array(ids1))


class FlightOverPoints:
    """Keyframes of a flight over points on the ground and on roofs; each sees those in its image."""

    def __init__(self, keyframes=6, spacing=2.5):
        course = plan_flight_path(
            3, (0.0, 0.0), 20.0, FlightPathOptions("forward", 30.0, altitude_m=50.0, pitch_deg=-70.0)
        )
        self.poses = {k: course.pose_at(2.0 * k) for k in range(keyframes)}
        centre = np.mean([pose[:3, 3] + 55 * pose[:3, 2] for pose in self.poses.values()], axis=0)
        x, y = np.meshgrid(np.arange(-100, 100, spacing), np.arange(-100, 100, spacing))
        heights = np.random.default_rng(0).choice([0.0, 0.0, 8.0, 15.0], x.size)
        self.points = np.column_stack([x.ravel() + centre[0], y.ravel() + centre[1], heights])
        self.pixels, self.visible = {}, {}
        for k, pose in self.poses.items():
            seen = world_to_camera(self.points, pose)
            self.pixels[k] = LENS.project(seen)
            inside = np.all((self.pixels[k] > 0) & (self.pixels[k] < [639, 479]), axis=1)
            self.visible[k] = inside & (seen[:, 2] > 0)
        for k, visible in self.visible.items():  # a roof before the ground would be one place with it
            index = np.flatnonzero(visible)
            close = index[cKDTree(self.pixels[k][index]).query_pairs(4.0, output_type="ndarray")[:, 1]]
            for other in self.visible.values():
                other[close] = False

    def pairs(self, match_last=2, noise=0.0):
        """The named matches of each keyframe with the last ones, as the front end makes them."""
        rng = np.random.default_rng(1)
        keypoints, next_id, found = {k: KeypointIds() for k in self.poses}, 0, []
        for newer in self.poses:
            for older in range(newer - 1, max(-1, newer - 1 - match_last), -1):
                both = np.flatnonzero(self.visible[older] & self.visible[newer])
                p0, p1 = (self.pixels[k][both] + rng.normal(0, noise, (len(both), 2)) for k in (older, newer))
                named = name_matches(keypoints[older], keypoints[newer], p0, p1, next_id, radius=2.0)
                keypoints |= {older: named.keypoints0, newer: named.keypoints1}
                next_id = named.next_id
                found.append(NamedPair(older, newer, p0, p1, named.ids0, named.ids1))
        return found


@pytest.fixture(scope="module")
def flight():
    return FlightOverPoints()


def test_lengths_by_hand():
    tracks = collect_tracks(
        [
            pair(0, 1, [[0, 0], [9, 9]], [[1, 0], [10, 9]], [5, 6], [5, 6]),
            pair(1, 2, [[3, 0], [9, 9]], [[2, 0], [50, 9]], [5, 6], [5, 7]),  # the second joins nothing
            pair(0, 2, [[0, 2]], [[2, 4]], [5], [5]),
        ]
    )
    assert tracks.ids.tolist() == [5, 6]
    assert tracks.lengths.tolist() == [3, 2]
    assert tracks.keyframe.tolist() == [0, 1, 2, 0, 1]
    np.testing.assert_allclose(tracks.points, [[0, 1], [2, 0], [2, 2], [9, 9], [10, 9]])  # means over the pairs

    statistics = measure_tracks(tracks, {}, {})
    assert (statistics.tracks, statistics.mean_length, statistics.median_length) == (2, 2.5, 2.5)
    assert (statistics.long_share, statistics.longest, statistics.triangulated) == (0.5, 3, 0)
    assert math.isnan(statistics.median_error_px)
    assert math.isnan(statistics.observed_share)


def test_no_tracks():
    statistics = measure_tracks(collect_tracks([]), {}, {})
    assert (statistics.tracks, statistics.longest, statistics.triangulated, statistics.behind) == (0, 0, 0, 0)
    assert math.isnan(statistics.mean_length)
    assert math.isnan(statistics.long_share)


def test_true_correspondences_of_a_flight(flight):
    tracks = collect_tracks(flight.pairs())
    statistics = measure_tracks(tracks, flight.poses, dict.fromkeys(flight.poses, CAMERA))

    views = np.sum([*flight.visible.values()], axis=0)  # a forward flight: a point is seen without a gap
    true = views[views >= 2]
    assert statistics.tracks == len(true) > 200
    assert statistics.mean_length == pytest.approx(true.mean())
    assert statistics.median_length == np.median(true)
    assert statistics.long_share == pytest.approx((true >= 3).mean())
    assert statistics.longest == true.max() > 3
    assert statistics.triangulated == statistics.tracks
    assert statistics.behind == 0
    assert statistics.p95_error_px < 1e-4


def test_observed_over_visible_keyframes(flight):
    cameras = dict.fromkeys(flight.poses, CAMERA)
    views = np.sum([*flight.visible.values()], axis=0)
    everything = measure_tracks(collect_tracks(flight.pairs()), flight.poses, cameras)
    assert everything.observed_share == pytest.approx(1.0, abs=0.02)  # points close to the next one are never matched
    one = flight.pairs(match_last=1)[2]  # keyframes 2 and 3 only
    both = flight.visible[2] & flight.visible[3]
    in_all = np.array([inside(flight, k)[both] for k in flight.poses]).sum(axis=0)
    assert (in_all > 2).any()
    assert views[both].min() >= 2
    statistics = measure_tracks(collect_tracks([one]), flight.poses, cameras)
    assert statistics.observed_share == pytest.approx((2 / in_all).mean(), abs=1e-3)


def inside(flight, keyframe):
    """Flags of the points that lie in the image of a keyframe."""
    in_front = world_to_camera(flight.points, flight.poses[keyframe])[:, 2] > 0
    pixels = flight.pixels[keyframe]
    return in_front & np.all((pixels >= -0.5) & (pixels <= [639.5, 479.5]), axis=1)


def test_the_error_is_that_of_the_noise(flight):
    noise = 0.3
    cameras = dict.fromkeys(flight.poses, CAMERA)
    squares = []
    for matched in flight.pairs(match_last=1, noise=noise):
        tracks = collect_tracks([matched])
        errors = locate_tracks(tracks, flight.poses, cameras).errors
        squares += np.bincount(tracks.track, errors**2).tolist()
    # Two views have 4 coordinates and leave 1 degree of freedom: a track has sigma^2 in all.
    assert len(squares) > 1000
    assert np.mean(squares) == pytest.approx(noise**2, rel=4 * np.sqrt(2 / len(squares)))


def test_wrong_poses_show(flight):
    tracks, cameras = collect_tracks(flight.pairs()), dict.fromkeys(flight.poses, CAMERA)
    turned = {k: pose.copy() for k, pose in flight.poses.items()}
    turned[2][:3, :3] = turned[2][:3, :3] @ cv2.Rodrigues(np.radians([[0.0, 0, 1]]))[0]
    assert measure_tracks(tracks, turned, cameras).mean_error_px > 0.3


def test_keyframes_without_pose_or_camera_are_left_out(flight):
    tracks = collect_tracks(flight.pairs())
    poses = {k: flight.poses[k] for k in (0, 1)}
    cameras = dict.fromkeys(flight.poses, CAMERA)
    statistics = measure_tracks(tracks, poses, cameras)
    assert statistics.triangulated == (flight.visible[0] & flight.visible[1]).sum()
    assert measure_tracks(tracks, flight.poses, {0: CAMERA, 1: CAMERA}) == statistics
    assert measure_tracks(tracks, {0: np.eye(4)}, cameras).triangulated == 0


def test_points_behind_the_cameras_are_counted(flight):
    cameras = dict.fromkeys(flight.poses, CAMERA)
    tracks = collect_tracks(flight.pairs()[:1])
    # swapped positions: the baseline points the other way
    swapped = {0: flight.poses[0].copy(), 1: flight.poses[1].copy()}
    swapped[0][:3, 3], swapped[1][:3, 3] = flight.poses[1][:3, 3], flight.poses[0][:3, 3]
    statistics = measure_tracks(tracks, swapped, cameras)
    assert statistics.behind > 0.9 * statistics.tracks


def metric_edge(older, newer, T):
    return ChainEdge(older, newer, T, geometry=Geometry.GENERAL, is_metric=True)


def test_steps_chain_to_poses(flight):
    poses = list(flight.poses.values())
    ends = [(0, 1), (0, 2), (1, 2), (2, 3)]
    edges = [metric_edge(older, newer, inverse(poses[older]) @ poses[newer]) for older, newer in ends]
    chained = {pose.key: pose.T_map_camera for pose in chain_edges([*edges, metric_edge(8, 9, np.eye(4))])}
    assert sorted(chained) == [0, 1, 2, 3]
    for k in range(4):
        np.testing.assert_allclose(chained[k], inverse(poses[0]) @ poses[k], atol=1e-9)
    tracks = collect_tracks([p for p in flight.pairs() if p.newer <= 3])
    assert measure_tracks(tracks, chained, dict.fromkeys(chained, CAMERA)).p95_error_px < 1e-4
