"""Chains of keyframe poses: metric, assumed and broken steps."""

import numpy as np

from loftr_ros.geometry.scale.result import Scale, ScaleSource, unknown_scale
from loftr_ros.geometry.two_view.relative_pose import Geometry, RelativePose, failed_pose
from loftr_ros.matches import Matches
from loftr_ros.results import KeyframeInfo, PairResult
from loftr_ros.trajectory import chain as chain_module
from loftr_ros.trajectory.chain import KeyframeChain
from perception_common.geometry import so3_exp, transform

NOTHING = np.zeros(0)
NO_MATCHES = Matches(*(np.zeros((0, 2)), np.zeros((0, 2)), NOTHING, NOTHING, NOTHING, NOTHING), (320, 240), (320, 240))
TURN = so3_exp(np.array([0.0, 0.0, 0.5]))


def keyframe(number):
    return KeyframeInfo(number, number * 10**9, "camera", 320, 240, None)


def pair(older, newer, metres=None, geometry=Geometry.GENERAL, direction=(1.0, 0.0, 0.0)):
    """A pair whose newer camera is turned, and ahead of the older one; metres: None where the scale is unknown."""
    motion = RelativePose(TURN, np.array(direction), geometry, NOTHING, 5.0, 0.5, "", np.eye(6), 0.5)
    if geometry == Geometry.FAILED:
        motion = failed_pose(0, "nothing to see")
    scale = unknown_scale("no altitude")
    if metres is not None:
        scale = Scale(ScaleSource.ALTITUDE, metres, 0.01, np.zeros(6), "")
    return PairResult(keyframe(older), keyframe(newer), NO_MATCHES, NOTHING, NOTHING, motion, scale, NOTHING)


def steps(*pairs):
    """The trajectory, and the pose that each pair added after the first keyframe's."""
    trajectory = KeyframeChain()
    return trajectory, [trajectory.start(keyframe(0)), *(trajectory.extend(each) for each in pairs)]


def chain(*pairs):
    return steps(*pairs)[0]


def test_measured_steps_chain_to_metric_poses():
    trajectory = chain(pair(0, 1, 10.0), pair(1, 2, 20.0))
    expected = transform(TURN, np.array([10.0, 0, 0])) @ transform(TURN, np.array([20.0, 0, 0]))
    np.testing.assert_allclose(trajectory.newest.T_map_camera, expected, atol=1e-12)
    assert trajectory.newest.is_metric
    assert not trajectory.newest.assumed


def lengths(trajectory):
    return np.linalg.norm(np.diff(trajectory.poses.matrices[:, :3, 3], axis=0), axis=1)


def test_an_unknown_step_takes_the_last_measured_length_and_is_never_metric_again():
    trajectory, poses = steps(pair(0, 1), pair(1, 2, 12.0), pair(2, 3), pair(3, 4, 7.0))
    np.testing.assert_allclose(lengths(trajectory), [1.0, 12.0, 12.0, 7.0])
    assert [pose.is_metric for pose in poses] == [True, False, False, False, False]
    assert [pose.assumed for pose in poses] == ["", "no altitude", "", "no altitude", ""]


def test_a_rotation_is_measured_and_a_failure_stays_in_place():
    turn = pair(1, 2, geometry=Geometry.ROTATION_ONLY, direction=(0.0, 0.0, 0.0))
    trajectory, poses = steps(pair(0, 1, 5.0), turn, pair(2, 3, geometry=Geometry.FAILED))
    np.testing.assert_allclose(lengths(trajectory), [5.0, 0.0, 0.0], atol=1e-12)
    assert [pose.is_metric for pose in poses] == [True, True, True, False]
    assert "nothing to see" in trajectory.newest.assumed


def test_a_recovered_track_goes_on_from_the_older_keyframe():
    trajectory = chain(pair(0, 1, 5.0), pair(1, 2, geometry=Geometry.FAILED), pair(1, 3, 8.0))
    expected = transform(TURN, np.array([5.0, 0, 0])) @ transform(TURN, np.array([8.0, 0, 0]))
    np.testing.assert_allclose(trajectory.newest.T_map_camera, expected, atol=1e-12)
    assert trajectory.newest.is_metric  # the failed step is not on the way to it


def ids_of_end(trajectory, count=10):
    return [pose.keyframe.id for pose in trajectory.consistent_end(count)]


def test_the_end_of_one_scale_stops_at_assumed_steps():
    assert ids_of_end(chain(pair(0, 1, 5.0), pair(1, 2, 5.0))) == [0, 1, 2]
    assert ids_of_end(chain(pair(0, 1, 5.0), pair(1, 2, 5.0)), count=2) == [1, 2]
    assert ids_of_end(chain(pair(0, 1, 5.0), pair(1, 2))) == [1, 2]  # two views are of one scale whatever it is
    assert ids_of_end(chain(pair(0, 1, 5.0), pair(1, 2), pair(2, 3, 5.0), pair(3, 4, 5.0))) == [2, 3, 4]
    assert ids_of_end(chain()) == [0]


def test_a_long_flight_keeps_its_newest_poses(monkeypatch):
    monkeypatch.setattr(chain_module, "MAX_POSES", 5)
    trajectory = chain(*(pair(number, number + 1, 1.0) for number in range(12)))
    assert len(trajectory) == 5
    assert trajectory.poses.ids.tolist() == [8, 9, 10, 11, 12]
    assert trajectory.poses.stamps_ns.tolist() == [number * 10**9 for number in (8, 9, 10, 11, 12)]
    np.testing.assert_array_equal(trajectory.poses.matrices[-1], trajectory.newest.T_map_camera)
