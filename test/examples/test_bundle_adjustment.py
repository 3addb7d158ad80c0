"""The bundle adjustment of examples/ on tracks of a simulated flight without loops."""

import numpy as np
import pytest
from evo.core import metrics
from evo.core.trajectory import PosePath3D

from flight_sim.camera import camera_with_fov, world_to_camera
from flight_sim.flight_path import FlightPathOptions, plan_flight_path
from loftr_ros.geometry.scale.result import Scale, ScaleSource, scaled, unknown_scale
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.relative_pose import TwoViewSettings
from loftr_ros.tracks.statistics import NamedPair
from perception_common.cameras.camera import Camera
from perception_common.geometry import inverse, transform
from replay_ros.evaluation.motion.edges import PoseEdge, chain

pytestmark = pytest.mark.slow
pytest.importorskip("gtsam")

LENS = camera_with_fov(640, 480, 70.0, (-0.03, 0.008, 0.0004, -0.0003, 0.0))
CAMERA = Camera.from_matrix(LENS.matrix, LENS.width, LENS.height, LENS.distortion)
KEYFRAMES, NOISE_PX, LENGTH_NOISE = 36, 0.5, 0.03


@pytest.fixture(scope="module")
def example(example):
    return example("bundle_adjustment")


def simulate(seed, metric=True, wrong=0.0):
    """Poses, edges and named pairs of a straight flight over points on the ground and on roofs."""
    rng = np.random.default_rng(seed)
    course = FlightPathOptions(duration_s=1.75 * KEYFRAMES, line_m=600.0, pitch_deg=-80.0)
    path = plan_flight_path(seed, (0.0, 0.0), 20.0, course)
    poses = [path.pose_at(1.75 * k) for k in range(KEYFRAMES)]
    low, high = (limit([pose[:2, 3] for pose in poses], axis=0) for limit in (np.min, np.max))
    ground = rng.uniform(low - 60, high + 60, (int(0.04 * np.prod(high - low + 120)), 2))
    points = np.column_stack([ground, rng.choice([0.0, 0.0, 6.0, 12.0], len(ground))])
    seen, visible = [], []
    for pose in poses:
        local = world_to_camera(points, pose)
        pixels = LENS.project(local)
        visible.append((local[:, 2] > 0) & ((pixels > 0) & (pixels < [639, 479])).all(axis=1))
        seen.append(pixels + NOISE_PX * rng.normal(size=pixels.shape))
    edges, pairs = [], []
    for older, newer in [(k - back, k) for k in range(KEYFRAMES) for back in (1, 2) if k >= back]:
        ids = np.flatnonzero(visible[older] & visible[newer]).astype(np.uint32)
        points0, points1 = seen[older][ids], seen[newer][ids].copy()
        is_wrong = rng.random(len(ids)) < wrong
        points1[is_wrong] = rng.uniform(0, [639, 479], (int(is_wrong.sum()), 2))
        motion = estimate_relative_pose(points0, points1, CAMERA, CAMERA, TwoViewSettings(threshold=1.5))
        true = np.linalg.norm((inverse(poses[older]) @ poses[newer])[:3, 3])
        length = true * (1 + LENGTH_NOISE * rng.normal())
        measured = Scale(ScaleSource.ALTITUDE, length, (LENGTH_NOISE * length) ** 2, by_pose=np.zeros(6), reason="")
        scale = measured if metric else unknown_scale("")
        translation, covariance = scaled(motion.translation, motion.covariance, scale)
        T = transform(motion.rotation, translation)
        edges.append(PoseEdge(older * 10**9, newer * 10**9, T, covariance, motion.geometry, scale.source))
        ids1 = np.where(motion.inliers, ids, ids + len(points))  # the front end joins no outliers
        pairs.append(NamedPair(older, newer, points0, points1, ids, ids1))
    return poses, edges, pairs


def recording(example, edges, pairs):
    numbers = range(KEYFRAMES)
    return example.Recording(edges, pairs, dict.fromkeys(numbers, CAMERA), {k: k * 10**9 for k in numbers})


def ate(trajectory, poses, with_scale=False):
    """Root mean square of the position error after the best alignment, metres."""
    estimate, reference = PosePath3D(poses_se3=list(trajectory.matrices())), PosePath3D(poses_se3=poses)
    estimate.align(reference, correct_scale=with_scale)
    error = metrics.APE(metrics.PoseRelation.translation_part)
    error.process_data((reference, estimate))
    return error.get_statistic(metrics.StatisticsType.rmse)


@pytest.mark.parametrize("seed", [12, 13])
def test_it_halves_the_error_of_the_shape(example, seed):
    """The mean of the lengths, which the chain has too, is the scale of both: only loops or truth could correct it."""
    poses, edges, pairs = simulate(seed, wrong=0.02)
    found = example.adjust(recording(example, edges, pairs))
    assert found.lengths == KEYFRAMES - 1
    assert found.observations > 3 * found.tracks > 600
    assert ate(found.trajectory, poses, with_scale=True) < 0.5 * ate(chain(edges), poses, with_scale=True)
    assert ate(found.trajectory, poses) < 0.8 * ate(chain(edges), poses)


def test_without_a_measured_length_the_steps_get_one_scale(example):
    poses, edges, pairs = simulate(13, metric=False)
    found = example.adjust(recording(example, edges, pairs))
    assert found.lengths == 0
    assert np.linalg.norm(found.trajectory.positions[1] - found.trajectory.positions[0]) == pytest.approx(1, abs=0.01)
    assert ate(found.trajectory, poses, with_scale=True) < 0.5 * ate(chain(edges), poses, with_scale=True)
