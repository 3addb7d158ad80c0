"""Base edges whose transforms come in time, late, or never."""

from types import SimpleNamespace

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped

from loftr_ros.base_frame import edge_between_bases
from loftr_ros.geometry.scale.result import Scale, ScaleSource
from loftr_ros.geometry.two_view.relative_pose import Geometry, RelativePose
from loftr_ros.matches import Matches
from loftr_ros.results import KeyframeInfo, PairResult
from loftr_ros.ros.base_edges import BaseEdges
from loftr_ros.sensors.camera_mount import CameraMount
from perception_common.geometry import matrix_from_quaternion, quaternion_from_matrix, so3_exp, transform

SECOND = 10**9
NOTHING = np.zeros(0)
NO_MATCHES = Matches(*(np.zeros((0, 2)), np.zeros((0, 2)), NOTHING, NOTHING, NOTHING, NOTHING), (320, 240), (320, 240))
MOUNT = transform(so3_exp(np.array([0.3, -2.0, 0.4])), np.array([0.1, 0.2, -0.3]))


def pair(older, newer):
    """Keyframes with one id for each second."""
    infos = [KeyframeInfo(k, k * SECOND, "camera", 320, 240, None) for k in (older, newer)]
    turn = so3_exp(np.array([0.1, 0.0, 0.5]))
    motion = RelativePose(turn, np.array([0.6, 0.0, 0.8]), Geometry.GENERAL, NOTHING, 5.0, 0.5, "", np.eye(6), 0.5)
    scale = Scale(ScaleSource.ALTITUDE, 10.0, 0.01, np.zeros(6), "")
    return PairResult(*infos, NO_MATCHES, NOTHING, NOTHING, motion, scale, NOTHING)


def send(mount, seconds, T, is_static=False, parent="base_link"):
    message = TransformStamped(child_frame_id="camera")
    message.header.frame_id, message.header.stamp.sec = parent, seconds
    t, q = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = T[:3, 3].tolist()
    q.x, q.y, q.z, q.w = quaternion_from_matrix(T[:3, :3]).tolist()
    mount.add(SimpleNamespace(transforms=[message]), is_static=is_static)  # a tf2_msgs/TFMessage


def pose_of(message):
    p, q = message.pose.pose.position, message.pose.pose.orientation
    return transform(matrix_from_quaternion(np.array([q.x, q.y, q.z, q.w])), np.array([p.x, p.y, p.z]))


@pytest.fixture
def mount():
    return CameraMount("base_link", "")


@pytest.fixture
def edges(mount):
    return BaseEdges(mount)


def test_a_static_transform_that_comes_late_recovers_the_edges_of_earlier_keyframes(edges, mount):
    assert edges.update([pair(0, 1)]) == ()
    assert "no way from 'camera' to 'base_link': 1 base edges wait" in edges.problem
    assert edges.update([pair(1, 2), pair(0, 2)]) == ()
    send(mount, 3, MOUNT, is_static=True)
    found = edges.update()
    assert [(each.older_id, each.newer_id, each.header.frame_id) for each in found] == [
        (0, 1, "base_link"),
        (1, 2, "base_link"),
        (0, 2, "base_link"),
    ]
    expected = MOUNT @ pair(0, 1).matrix @ np.linalg.inv(MOUNT)
    for each in found:
        np.testing.assert_allclose(pose_of(each), expected, atol=1e-9)
    assert (edges.waiting, edges.problem, edges.given_up) == (0, "", {})
    assert edges.update() == ()


def test_an_edge_waits_until_the_transforms_bracket_both_of_its_keyframes(edges, mount):
    turned = transform(so3_exp(np.array([0.0, 0.0, 1.0])), np.zeros(3))
    send(mount, 0, np.eye(4))
    assert edges.update([pair(0, 1)]) == ()
    assert (edges.waiting, edges.problem) == (1, "")  # a little late is nothing to complain of
    send(mount, 2, turned)
    (found,) = edges.update()
    halfway = transform(so3_exp(np.array([0.0, 0.0, 0.5])), np.zeros(3))
    T, _ = edge_between_bases(pair(0, 1).matrix, np.eye(6), np.eye(4), halfway, is_metric=True)
    np.testing.assert_allclose(pose_of(found), T, atol=1e-9)


def test_an_edge_from_before_the_first_transform_is_given_up_and_counted(edges, mount):
    send(mount, 1, MOUNT)
    send(mount, 3, MOUNT)
    assert edges.update([pair(0, 2)]) == ()
    assert edges.given_up == {"/tf has no transform of 'camera' from before the image": 1}
    assert edges.problem.endswith("1 base edges were given up")
    assert len(edges.update([pair(1, 2)])) == 1
    assert edges.problem == ""  # it is over; the count stays
    assert edges.given_up.total() == 1


def test_transforms_that_stop_are_complained_of(edges, mount):
    send(mount, 0, MOUNT)
    edges.update([pair(0, 1)])
    edges.update([pair(1, 4)])
    assert edges.problem == ""
    edges.update([pair(4, 7)])
    assert "the next transform of 'camera' on /tf has not arrived: 3 base edges wait for it" in edges.problem
    edges.update([pair(7, 20)])  # whatever comes now leaves too long a gap
    assert any("more than 10 s old" in reason for reason in edges.given_up)


def test_edges_that_wait_are_bounded_and_given_up_when_images_start_anew(edges):
    edges.update([pair(k, k + 1) for k in range(1002)])
    assert edges.waiting == 1000
    assert edges.given_up.total() == 2
    edges.forget()
    assert edges.waiting == 0
    assert edges.given_up.total() == 1002
    assert edges.problem == ""


def test_a_fixed_mount_needs_no_transforms():
    mount = CameraMount("base_link", "0.1 0.2 0.3 0 0 0 1")
    (found,) = BaseEdges(mount).update([pair(0, 1)])
    T = transform(np.eye(3), np.array([0.1, 0.2, 0.3]))
    np.testing.assert_allclose(pose_of(found), T @ pair(0, 1).matrix @ np.linalg.inv(T), atol=1e-9)


def test_images_that_start_over_do_not_use_transforms_of_the_old_clock(mount):
    for stamp in (100, 110):
        send(mount, stamp, MOUNT)
    mount.begin_image(105 * SECOND)
    assert mount.lookup("camera", 105 * SECOND) is not None
    mount.begin_image(101 * SECOND)
    assert mount.lookup("camera", 101 * SECOND) is None
