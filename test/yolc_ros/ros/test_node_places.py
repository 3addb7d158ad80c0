"""yolc_node refuses to configure for places on the ground that it could never give."""

import pytest
import rclpy
from rclpy.lifecycle import TransitionCallbackReturn

from perception_common.node import transforms
from yolc_ros.ros.node import YolcNode

pytest.importorskip("pymap3d")


@pytest.fixture
def node_with():
    """Return a function that makes the node with parameters; `lines` are its log."""
    made = []

    def make(monkeypatch, **values):
        given = [word for name, value in values.items() for word in ("-p", f"{name}:={value}")]
        rclpy.init(args=["test", "--ros-args", "-p", "autostart:=false", *given])
        node = YolcNode()
        lines = []
        monkeypatch.setattr(node, "get_logger", lambda: Log(lines))
        made.append(node)
        return node, lines

    yield make
    for node in made:
        node.destroy_node()
    rclpy.try_shutdown()


class Log:
    def __init__(self, lines):
        self.error = self.warning = self.info = lines.append


def test_a_height_grid_that_does_not_exist_is_refused_at_configure(node_with, monkeypatch, tmp_path):
    grid = tmp_path / "heights.tif"
    node, lines = node_with(monkeypatch, georeference=True, use_imu=True, height_grid=grid)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert lines == [f"{grid}: no such height grid; give a GeoTIFF in height_grid, or leave it empty"]


def test_an_attitude_of_transforms_needs_their_messages(node_with, monkeypatch):
    monkeypatch.setattr(transforms, "TFMessage", None)
    node, lines = node_with(monkeypatch, georeference=True, attitude_frame="map", altitude="range")
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    (line,) = lines
    assert line == "tf2_msgs is not installed: give use_imu in place of attitude_frame or install ros-jazzy-tf2-msgs"
