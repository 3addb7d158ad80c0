"""Odometry against the chain of frames itself and sampled errors, and where it is withheld."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.geometry.uncertainty.covariance import UNOBSERVED
from loftr_ros.keyframes.policy import Outcome
from loftr_ros.ros.messages import odometry_message, pose_message, transform_message
from loftr_ros.sensors.gravity import Gravity
from loftr_ros.trajectory.odometry import Odometry, OdometryFrames, level
from perception_common.geometry import inverse, so3_exp, so3_log, transform
from replay_ros.report.figures.chained_path import chain_keyframes

SHARED = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
DOWN = np.array([0.0, 0.0, -1.0])
GRAVITY_DEVIATION = 2e-3
AHEAD = transform(so3_exp(np.array([0.02, -0.05, 0.2])), np.array([3.0, 1.0, -0.5]))
seeds = st.integers(0, 10_000)


def random_pose(rng, turn=1.0, reach=5.0):
    return transform(so3_exp(turn * rng.normal(size=3)), reach * rng.normal(size=3))


def flight(rng, count=5):
    """True poses of the base in a world with z up, and mounts of a camera on a gimbal at each."""
    bases = [random_pose(rng)]
    for _ in range(count):
        bases.append(bases[-1] @ random_pose(rng, turn=0.2))
    return bases, [random_pose(rng, reach=0.2) for _ in bases]


def results_of(made, bases, mounts, pairs=None):
    """Results of a flight whose steps have no error, or those of given pairs."""
    infos = [made.keyframe(k, mount) for k, mount in enumerate(mounts)]
    cameras = [base @ mount for base, mount in zip(bases, mounts, strict=True)]
    steps = [made.pair(infos[k], infos[k + 1], inverse(cameras[k]) @ cameras[k + 1]) for k in range(len(bases) - 1)]
    gravities = [Gravity(camera[:3, :3].T @ DOWN, GRAVITY_DEVIATION, "orientation") for camera in cameras]
    return [
        made.result(info, [] if k == 0 else [(pairs or steps)[k - 1]], gravity)
        for k, (info, gravity) in enumerate(zip(infos, gravities, strict=True))
    ]


def odometry_of(results, base="base_link", *, is_level=True):
    odometry = Odometry(OdometryFrames("odom", base, is_level))
    return [odometry.update(each) for each in results], odometry


@given(seeds)
@SHARED
def test_poses_of_the_base_follow_from_the_chain_of_frames_in_a_level_frame(made, seed):
    bases, mounts = flight(np.random.default_rng(seed))
    states, odometry = odometry_of(results_of(made, bases, mounts))
    assert states[0] is None  # its pose is known from the first step on
    T_odom_base0 = states[1].T @ inverse(bases[1]) @ bases[0]
    np.testing.assert_allclose(T_odom_base0[:3, 3], 0, atol=1e-9)
    assert abs(T_odom_base0[1, 0]) < 1e-9  # heads along x
    assert T_odom_base0[0, 0] > 0
    for state, base in zip(states[1:], bases[1:], strict=True):
        np.testing.assert_allclose(state.T, T_odom_base0 @ inverse(bases[0]) @ base, atol=1e-9)
        np.testing.assert_allclose(state.T[:3, :3] @ base[:3, :3].T @ DOWN, DOWN, atol=1e-9)
        assert (state.frame, state.child_frame) == ("odom", "base_link")
    assert odometry.alignment == "z up by orientation, x ahead at the first keyframe"


@pytest.mark.slow
@given(seeds)
@settings(SHARED, max_examples=2)
def test_the_covariance_of_the_pose_is_that_of_sampled_steps_and_gravity(made, seed):
    rng = np.random.default_rng(seed)
    bases, mounts = flight(rng, count=4)
    results = results_of(made, bases, mounts)
    final, errors = odometry_of(results)[0][-1], []
    for _ in range(3000):
        T = bases[0] @ mounts[0]
        for each in results[1:]:
            pair = each.pairs[0]
            values, vectors = np.linalg.eigh(pair.covariance)
            error = vectors @ (np.sqrt(np.maximum(values, 0.0)) * rng.normal(size=6))
            T = T @ transform(so3_exp(error[3:]) @ pair.matrix[:3, :3], pair.matrix[:3, 3] + error[:3])
        T = final.T @ inverse(bases[-1]) @ T @ inverse(mounts[-1])
        tilt = transform(so3_exp(np.append(GRAVITY_DEVIATION * rng.normal(size=2), 0.0)), np.zeros(3))
        T = tilt @ T
        errors.append(np.r_[T[:3, 3] - final.T[:3, 3], so3_log(T[:3, :3] @ final.T[:3, :3].T)])
    sampled = np.cov(np.array(errors).T)
    scale = np.sqrt(np.outer(np.diag(final.covariance), np.diag(final.covariance)))
    np.testing.assert_allclose(sampled / scale, final.covariance / scale, atol=0.15)


def test_the_covariance_is_that_of_the_report(made):
    """Without gravity the frame is the optical frame at the start, as in the report."""
    infos = [made.keyframe(k) for k in range(4)]
    pairs = [made.pair(infos[k], infos[k + 1], AHEAD) for k in range(3)]
    states, odometry = odometry_of([made.result(infos[0]), *each_with(made, pairs)], base="", is_level=False)
    messages = {
        (pair.older.id, pair.newer.id): SimpleNamespace(
            pose=SimpleNamespace(pose=pose_message(pair.matrix), covariance=pair.covariance.ravel()),
            geometry=int(Geometry.GENERAL),
            scale_status=1,
        )
        for pair in pairs
    }
    path = chain_keyframes({k: k for k in range(4)}, messages)
    for state, T, covariance in zip(states[1:], path.poses[1:], path.covariances[1:], strict=True):
        np.testing.assert_allclose(state.T, T, atol=1e-12)
        np.testing.assert_allclose(state.covariance, covariance, atol=1e-12)
        assert state.child_frame == "camera"
    assert odometry.alignment == "axes of the camera at the first keyframe"


def each_with(made, pairs, gravity=None):
    return [made.result(pair.newer, [pair], gravity) for pair in pairs]


def chain_of(made, *kinds):
    """Results of a camera, one for each of "metres", "unknown", "turn", "failed" between keyframes, and the first."""
    infos = [made.keyframe(k) for k in range(len(kinds) + 1)]
    turn = transform(AHEAD[:3, :3], np.zeros(3))
    make = {
        "metres": lambda a, b: made.pair(a, b, AHEAD),
        "unknown": lambda a, b: made.pair(a, b, AHEAD, is_metric=False),
        "turn": lambda a, b: made.pair(a, b, turn, geometry=Geometry.ROTATION_ONLY, is_metric=False),
        "failed": lambda a, b: made.pair(a, b, turn, geometry=Geometry.FAILED),
    }
    pairs = [make[kind](infos[k], infos[k + 1]) for k, kind in enumerate(kinds)]
    return [made.result(infos[0]), *each_with(made, pairs)]


def variances(state):
    return np.diag(state.covariance)


def test_a_failure_gives_silence_and_then_a_pose_that_knows_nothing(made):
    states, odometry = odometry_of(chain_of(made, "metres", "failed", "metres"), base="", is_level=False)
    assert [state is not None for state in states] == [False, True, False, True]
    assert (variances(states[1]) < 1e-2).all()
    assert (variances(states[3])[:3] >= UNOBSERVED).all()
    assert (variances(states[3])[3:] > 3.0).all()  # any heading
    assert (np.diag(states[3].twist_covariance)[:3] < 20.0).all()  # the last step is known, and nothing before it
    _, odometry = odometry_of(chain_of(made, "metres", "failed"), base="", is_level=False)
    assert odometry.withheld == "no pose: nothing to see"


def test_nothing_is_said_before_the_first_length(made):
    states, odometry = odometry_of(chain_of(made, "failed", "unknown", "turn"), base="", is_level=False)
    assert states == [None] * 4
    assert odometry.withheld.startswith("no length was measured yet")
    states, odometry = odometry_of(chain_of(made, "unknown", "metres", "metres"), base="", is_level=False)
    np.testing.assert_allclose(states[2].T, AHEAD, atol=1e-12)  # from the keyframe before it on
    assert (variances(states[3]) < 1e-2).all()
    assert odometry.withheld == ""


def test_a_step_of_unknown_length_has_a_large_covariance_and_only_angular_velocity(made):
    states, _ = odometry_of(chain_of(made, "metres", "unknown", "metres"), base="", is_level=False)
    along = states[1].T[:3, :3] @ AHEAD[:3, 3] / np.linalg.norm(AHEAD[:3, 3])
    for state in states[2:]:
        assert along @ state.covariance[:3, :3] @ along >= UNOBSERVED
    assert (variances(states[2])[3:] < 1e-2).all()
    assert not states[2].twist[:3].any()
    np.testing.assert_allclose(states[2].twist[3:], so3_log(AHEAD[:3, :3]), atol=1e-12)
    assert (np.diag(states[2].twist_covariance) >= [UNOBSERVED] * 3 + [0] * 3).all()
    assert (np.diag(states[2].twist_covariance)[3:] < 0.1).all()


def test_a_turn_on_the_spot_leaves_the_translation_unknown(made):
    states, _ = odometry_of(chain_of(made, "metres", "turn"), base="", is_level=False)
    np.testing.assert_allclose(states[2].T[:3, 3], states[1].T[:3, 3])
    assert (variances(states[2])[:3] >= UNOBSERVED).all()
    assert (variances(states[2])[3:] < 1e-2).all()
    assert (np.diag(states[2].twist_covariance)[:3] >= UNOBSERVED).all()


def test_another_trajectory_goes_on_at_the_last_place_and_knows_neither_place_nor_heading(made):
    first = chain_of(made, "metres", "metres")
    infos = [made.keyframe(k) for k in (7, 8)]
    again = [made.result(infos[0]), made.result(infos[1], [made.pair(*infos, AHEAD)])]
    states, _ = odometry_of([*first, *again], base="", is_level=False)
    assert states[3] is None
    np.testing.assert_allclose(states[4].T[:3, 3], states[2].T[:3, 3] + AHEAD[:3, 3], atol=1e-12)
    assert (variances(states[4]) >= [UNOBSERVED] * 3 + [3.0] * 3).all()
    gravity = Gravity(np.array([0.0, 0.0, 1.0]), 0.01, "gimbal pitch")
    levelled = [made.result(e.pose.keyframe, e.pairs, gravity) for e in (*first, *again)]
    states, _ = odometry_of(levelled, base="", is_level=True)
    assert (variances(states[4])[3:5] < 1e-2).all()  # what gravity tells stays known
    assert variances(states[4])[5] > 3.0


def test_a_recovered_track_goes_on_from_the_older_keyframe_and_has_no_velocity(made):
    infos = [made.keyframe(k) for k in range(4)]
    lost = made.pair(infos[1], infos[2], np.eye(4), geometry=Geometry.FAILED)
    pairs = [made.pair(infos[0], infos[1], AHEAD), lost, made.pair(infos[1], infos[3], AHEAD)]
    states, _ = odometry_of([made.result(infos[0]), *each_with(made, pairs)], base="", is_level=False)
    np.testing.assert_allclose(states[3].T, AHEAD @ AHEAD, atol=1e-12)
    assert (variances(states[3]) < 1e-2).all()
    assert (np.diag(states[3].twist_covariance) >= UNOBSERVED).all()


def test_the_frame_waits_for_gravity_and_for_the_mount(made):
    mount = transform(so3_exp(np.array([np.pi, 0.0, 0.0])), np.zeros(3))
    gravity = Gravity(np.array([0.0, 0.0, 1.0]), 0.01, "orientation")

    def run(mounts, gravities):
        infos = [made.keyframe(k, each) for k, each in enumerate(mounts)]
        steps = [[], *([made.pair(a, b, AHEAD)] for a, b in pairwise(infos))]
        return odometry_of([made.result(*each) for each in zip(infos, steps, gravities, strict=True)])

    states, odometry = run([None, mount, mount], [None, gravity, gravity])
    assert [state is not None for state in states] == [False, False, True]
    states, odometry = run([mount, mount, mount], [None, None, None])
    assert states == [None] * 3
    assert odometry.withheld == "gravity is not known yet"
    states, odometry = run([mount, mount, None], [gravity] * 3)
    assert [state is not None for state in states] == [False, True, False]
    assert odometry.withheld == "the mount of the camera in base_link is unknown"


def test_images_that_are_no_keyframes_give_nothing(made):
    results = chain_of(made, "metres", "metres")
    tracked = made.result(results[1].pose.keyframe, outcome=Outcome.TRACKED)
    states, _ = odometry_of([results[0], results[1], tracked, results[2]], base="", is_level=False)
    assert states[2] is None
    assert (variances(states[3]) < 1e-2).all()


@given(seeds)
def test_a_level_frame_has_z_up_and_x_ahead(seed):
    rng = np.random.default_rng(seed)
    down, ahead = rng.normal(size=3), rng.normal(size=3)
    R = level(down, ahead)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(R) == pytest.approx(1)
    np.testing.assert_allclose(R @ down / np.linalg.norm(down), [0, 0, -1], atol=1e-9)
    assert (R @ ahead)[0] > 0
    assert (R @ ahead)[1] == pytest.approx(0, abs=1e-9)
    vertical = level(down, -2.0 * down)
    np.testing.assert_allclose(vertical @ down / np.linalg.norm(down), [0, 0, -1], atol=1e-9)


def test_messages_hold_the_state(made):
    state = odometry_of(chain_of(made, "metres"), base="", is_level=False)[0][1]
    message = odometry_message(state)
    assert (message.header.frame_id, message.child_frame_id, message.header.stamp.sec) == ("odom", "camera", 1)
    np.testing.assert_allclose(np.reshape(message.pose.covariance, (6, 6)), state.covariance)
    np.testing.assert_allclose(np.reshape(message.twist.covariance, (6, 6)), state.twist_covariance)
    linear, angular = message.twist.twist.linear, message.twist.twist.angular
    np.testing.assert_allclose([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z], state.twist)
    moved = transform_message(message)
    assert (moved.header, moved.child_frame_id) == (message.header, "camera")
    t = moved.transform.translation
    np.testing.assert_allclose([t.x, t.y, t.z], AHEAD[:3, 3], atol=1e-12)
    assert moved.transform.rotation == message.pose.pose.orientation
