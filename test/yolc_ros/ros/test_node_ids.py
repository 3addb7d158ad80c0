"""Ids of tracks over the life cycle of yolc_node."""

import numpy as np
import pytest
import rclpy
from rclpy.lifecycle import TransitionCallbackReturn

from yolc_ros.boxes import ScoredBoxes
from yolc_ros.ros.node import YolcNode

FOUND = ScoredBoxes(
    np.array([[10, 10, 40, 40], [80, 20, 120, 70]], np.float32), np.full(2, 0.9, np.float32), np.zeros(2, np.int64)
)


@pytest.fixture
def node():
    rclpy.init(args=["test", "--ros-args", "-p", "autostart:=false", "-p", "weights:=none"])
    node = YolcNode()
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


def test_a_node_that_is_configured_anew_gives_no_id_twice(node):
    image, given = np.zeros((120, 160, 3), np.uint8), []
    for _ in range(2):
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        for number in range(1, 4):
            tracks = node._tracker.track(number * 10**8, image, FOUND)
        given.append(sorted(tracks.ids.tolist()))
        assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
    assert given == [[1, 2], [3, 4]]
