"""Scale on simulated flights over a town: accuracy, consistency of the covariance, and reasons for UNKNOWN."""

import numpy as np
import pytest

from loftr_ros.geometry.scale.result import ScaleSource, scaled
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.relative_pose import TwoViewSettings, failed_pose
from loftr_ros.sensors.gravity import motion_prior
from loftr_ros.sensors.metric import pair_scale, sample_depth
from loftr_ros.sensors.readings import DepthImage, OdometryPose
from loftr_ros.sensors.settings import Mount, SensorSettings
from loftr_ros.sensors.suite import FrameReadings
from perception_common.cameras.camera import Camera
from perception_common.geometry import so3_exp, so3_log
from perception_common.sensors.buffer import Aged
from perception_common.sensors.readings import Altitude, Orientation

pytestmark = pytest.mark.slow

ON_CAMERA = Mount(camera_frame="camera")
TILT = np.radians(1.0)
ONE_PIXEL = TwoViewSettings(threshold=1.0)


def readings_of(truth, rng, altitude=0.02, age=0.0):
    """Readings with a relative altitude noise, and an orientation of the camera with an error of one degree."""
    pose = truth.T_world_camera
    height = pose[2, 3] * (1 + altitude * rng.normal())
    turned = pose[:3, :3] @ so3_exp(TILT * rng.normal(size=3))
    return FrameReadings(
        0,
        altitude=Aged(Altitude(0, height), age),
        orientation=Aged(Orientation(0, turned, TILT**2 * np.eye(3), "camera"), 0.0),
    )


def errors_of(pair, rng, built=None, noise=0.5):
    """Relative error of the translation and of its length, and the normalised squared error of the pose."""
    points = pair.standing(rng, 400, noise, built)
    older, newer = (readings_of(truth, rng) for truth in (pair.older, pair.newer))
    prior = motion_prior(older, newer, ON_CAMERA)
    pose = estimate_relative_pose(*points, pair.camera, pair.camera, ONE_PIXEL, prior=prior)
    scale = pair_scale(*points, pair.camera, pair.camera, pose, older, newer, ON_CAMERA)
    assert scale.source == ScaleSource.ALTITUDE, scale.reason
    translation, covariance = scaled(pose.translation, pose.covariance, scale)
    true = pair.T
    error = np.concatenate([true[:3, 3] - translation, so3_log(true[:3, :3] @ pose.rotation.T)])
    length = np.linalg.norm(true[:3, 3])
    relative = np.linalg.norm(error[:3]) / length
    return relative, scale.value / length - 1, error @ np.linalg.solve(covariance, error)


def test_the_translation_is_within_three_percent_and_its_covariance_is_consistent(flown):
    """Altitude noise of 2 %; 400 matches with noise of half a pixel, in images 320 pixels wide."""
    rng = np.random.default_rng(1)
    relative, bias, squared = np.array([errors_of(pair, rng) for pair in flown * 2]).T
    assert len(relative) >= 50
    assert np.sqrt(np.mean(relative**2)) < 0.03
    assert np.mean(relative) < 0.025
    assert abs(np.mean(bias)) < 0.008
    assert np.mean(squared) == pytest.approx(6.0, rel=0.2)


def test_buildings_do_not_bias_the_scale(flown):
    """Half of the matches lie on roofs, walls and trees, in views that show enough of them."""
    rng = np.random.default_rng(2)
    towers = [pair for pair in flown if np.mean(pair.older.instances < 0) > 0.08]
    assert len(towers) >= 5
    relative, bias, _ = np.array([errors_of(pair, rng, built=0.5) for pair in towers * 2]).T
    assert abs(np.mean(bias)) < 0.01
    assert np.sqrt(np.mean(relative**2)) < 0.03


def test_a_range_finder_on_the_camera_measures_along_its_beam(flown):
    rng = np.random.default_rng(3)
    settings = SensorSettings(altitude_along="beam")
    errors = []
    for pair in flown[:10]:
        points = pair.standing(rng, 400, 0.3)
        forward = pair.older.T_world_camera[:3, 2]
        beam = Altitude(0, -pair.older.T_world_camera[2, 3] / forward[2], 0.3)
        older, newer = FrameReadings(0, altitude=Aged(beam, 0.0)), FrameReadings(1)
        pose = estimate_relative_pose(*points, pair.camera, pair.camera, ONE_PIXEL)
        scale = pair_scale(*points, pair.camera, pair.camera, pose, older, newer, ON_CAMERA, settings)
        errors.append(scale.value / np.linalg.norm(pair.T[:3, 3]) - 1)
    assert np.sqrt(np.mean(np.square(errors))) < 0.03


def test_depth_and_odometry_give_the_same_scale(flown):
    rng = np.random.default_rng(4)
    T_base_camera = np.eye(4)
    T_base_camera[:3, :3], T_base_camera[:3, 3] = so3_exp(np.array([0.0, 2.0, 0.3])), [0.2, 0.0, -0.1]
    mount = Mount(T_base_camera=T_base_camera)
    for pair in flown[::9]:
        points = pair.standing(rng, 400, 0.3)
        pose = estimate_relative_pose(*points, pair.camera, pair.camera, ONE_PIXEL, prior=motion_prior_of(pair))
        depth = pair.older.depth[::2, ::2]
        base = [truth.T_world_camera @ np.linalg.inv(T_base_camera) for truth in (pair.older, pair.newer)]
        moved = [Aged(OdometryPose(0, T, np.zeros((6, 6)), "odom", "base"), 0.0) for T in base]
        length = np.linalg.norm(pair.T[:3, 3])
        for older, newer, source in (
            (FrameReadings(0, depth=Aged(DepthImage(0, depth), 0.0)), FrameReadings(1), ScaleSource.DEPTH),
            (FrameReadings(0, odometry=moved[0]), FrameReadings(1, odometry=moved[1]), ScaleSource.ODOMETRY),
        ):
            scale = pair_scale(*points, pair.camera, pair.camera, pose, older, newer, mount)
            assert scale.source == source, scale.reason
            assert scale.value == pytest.approx(length, rel=0.02)


def motion_prior_of(pair):
    orientation = Orientation(0, pair.older.T_world_camera[:3, :3], frame="camera")
    older = FrameReadings(0, orientation=Aged(orientation, 0.0))
    return motion_prior(older, FrameReadings(1), ON_CAMERA)


def test_stale_or_contradicting_readings_give_an_unknown_scale_with_the_reason(flown):
    rng = np.random.default_rng(6)
    pair = flown[0]
    points = pair.standing(rng, 400, 0.3)
    pose = estimate_relative_pose(*points, pair.camera, pair.camera, ONE_PIXEL, prior=motion_prior_of(pair))
    height0, height1 = (truth.T_world_camera[2, 3] for truth in (pair.older, pair.newer))
    good, depth = Aged(Altitude(0, height0), 0.1), Aged(DepthImage(0, pair.older.depth), 0.0)

    def reason(older, newer=None):
        newer = newer or FrameReadings(1)
        scale = pair_scale(*points, pair.camera, pair.camera, pose, older, newer)
        assert (scale.source == ScaleSource.UNKNOWN) == bool(scale.reason)
        return scale.reason

    assert reason(FrameReadings(0, altitude=good)) == ""
    assert "2.00 s old" in reason(FrameReadings(0, altitude=Aged(Altitude(0, height0), 2.0)))
    far = Aged(DepthImage(0, pair.older.depth), 0.2)
    assert "depth image is 0.20 s old, more than 0.1 s" in reason(FrameReadings(0, depth=far))  # sync_slop
    assert "depth gives" in reason(FrameReadings(0, altitude=Aged(Altitude(0, 1.4 * height0), 0.0), depth=depth))
    on_roof = FrameReadings(1, altitude=Aged(Altitude(1, 0.7 * height1), 0.0))
    assert "one of them" in reason(FrameReadings(0, altitude=good), on_roof)
    assert "no altitude, depth image or odometry" in reason(FrameReadings(0))
    failed = failed_pose(len(points[0]), "x")
    scale = pair_scale(*points, pair.camera, pair.camera, failed, FrameReadings(0, altitude=good), FrameReadings(1))
    assert "no translation" in scale.reason


def test_depth_is_sampled_at_the_nearest_pixel_of_a_smaller_image():
    depth = np.arange(12, dtype=np.float32).reshape(3, 4)
    camera = Camera.from_matrix(np.array([[10.0, 0, 4], [0, 10, 3], [0, 0, 1]]), 8, 6)
    points = np.array([[0.0, 0.0], [1.4, 0.0], [1.6, 0.0], [7.0, 5.0], [-2.0, 0.0], [np.nan, 0.0], [8.0, 0.0]])
    np.testing.assert_array_equal(sample_depth(depth, points, camera), [0, 0, 1, 11, np.nan, np.nan, np.nan])
