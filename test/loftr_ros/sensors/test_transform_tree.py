"""Lookups in a transform tree against products of its transforms."""

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from loftr_ros.sensors.transform_tree import TransformTree
from perception_common.geometry import inverse, so3_exp, transform

SECOND = 10**9
poses = st.tuples(*[st.floats(-2, 2)] * 6).map(lambda v: transform(so3_exp(np.array(v[:3])), np.array(v[3:])))


def message(parent, child, T, stamp_s=0):
    result = TransformStamped(child_frame_id=child)
    result.header.frame_id = parent
    result.header.stamp.sec = stamp_s
    translation, rotation = result.transform.translation, result.transform.rotation
    translation.x, translation.y, translation.z = T[:3, 3].tolist()
    rotation.x, rotation.y, rotation.z, rotation.w = Rotation.from_matrix(T[:3, :3]).as_quat().tolist()
    return result


@given(poses, poses, poses)
@settings(deadline=None, max_examples=20)
def test_transforms_are_composed_up_and_down_the_tree(base_gimbal, gimbal_camera, base_lidar):
    tree = TransformTree()
    tree.add(message("base_link", "gimbal", base_gimbal, stamp_s=5), is_static=False)
    tree.add(message("gimbal", "camera", gimbal_camera), is_static=True)
    tree.add(message("/base_link", "lidar", base_lidar), is_static=True)
    expected = base_gimbal @ gimbal_camera
    np.testing.assert_allclose(tree.lookup("base_link", "camera", 5 * SECOND), expected, atol=1e-9)
    np.testing.assert_allclose(tree.lookup("camera", "base_link", 5 * SECOND), inverse(expected), atol=1e-9)
    np.testing.assert_allclose(tree.lookup("lidar", "/camera", 5 * SECOND), inverse(base_lidar) @ expected, atol=1e-9)
    np.testing.assert_allclose(tree.lookup("camera", "camera", 0), np.eye(4))


def test_transforms_are_interpolated_at_constant_velocity():
    tree = TransformTree()
    quarter = so3_exp(np.array([0, 0, np.pi / 2]))
    tree.add(message("base_link", "camera", np.eye(4), stamp_s=10), is_static=False)
    tree.add(message("base_link", "camera", transform(quarter, np.array([2.0, 0, 0])), stamp_s=11), is_static=False)
    halfway = tree.lookup("base_link", "camera", 10 * SECOND + SECOND // 2)
    np.testing.assert_allclose(halfway[:3, 3], [1, 0, 0])
    np.testing.assert_allclose(halfway[:3, :3], so3_exp(np.array([0, 0, np.pi / 4])), atol=1e-9)


@pytest.mark.parametrize("stamp", [9 * SECOND, 12 * SECOND])
def test_a_moving_frame_is_unknown_far_from_its_stamps(stamp):
    tree = TransformTree(max_age=0.2)
    tree.add(message("base_link", "camera", np.eye(4), stamp_s=10), is_static=False)
    assert tree.lookup("base_link", "camera", stamp) is None
    assert tree.lookup("base_link", "camera", 10 * SECOND + SECOND // 10) is not None


def test_unconnected_frames_and_invalid_transforms_are_unknown():
    tree = TransformTree()
    broken = message("base_link", "camera", np.eye(4))
    broken.transform.translation.x = float("nan")
    tree.add(broken, is_static=True)
    tree.add(message("map", "odom", np.eye(4)), is_static=True)
    assert tree.lookup("base_link", "camera", 0) is None
    assert tree.lookup("odom", "camera", 0) is None


def test_a_cycle_of_frames_terminates():
    tree = TransformTree()
    tree.add(message("a", "b", np.eye(4)), is_static=True)
    tree.add(message("b", "a", np.eye(4)), is_static=True)
    assert tree.lookup("c", "a", 0) is None
