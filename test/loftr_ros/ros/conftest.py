"""loftr_node in this process, with a peer that sends images and keeps the answers."""

import time
from types import SimpleNamespace

import pytest
import rclpy
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image

from loftr_ros.ros.messages import header_of
from loftr_ros.ros.node import LoftrNode
from perception_common.images.conversion import fill_image
from perception_common.node.base import RESULT_QOS
from yolc_ros.msg import Keyframe, MatchingStatus, RelativePose

PARAMETERS = {
    "model": "sift",
    "processing_mode": "every",
    "max_interval": "0.0",
    "base_frame": "base_link",
    "tf_timeout": "1.0",
}


class Bench:
    """The node and a peer that sends images and keeps the answers; the test spins both."""

    def __init__(self, flight):
        self.flight = flight
        self.node = LoftrNode()
        self.peer = rclpy.create_node("peer")
        self.images = self.peer.create_publisher(Image, "image", RESULT_QOS)
        self.infos = self.peer.create_publisher(CameraInfo, "camera_info", RESULT_QOS)
        self.edges, self.statuses, self.keyframes, self.odometry = [], [], [], []
        self.peer.create_subscription(RelativePose, "loftr/relative_pose_base", self.edges.append, RESULT_QOS)
        self.peer.create_subscription(MatchingStatus, "loftr/status", self.statuses.append, RESULT_QOS)
        self.peer.create_subscription(Odometry, "loftr/odometry", self.odometry.append, RESULT_QOS)
        self.peer.create_subscription(Keyframe, "loftr/keyframe", self.keyframes.append, RESULT_QOS)
        self.executor = SingleThreadedExecutor()
        for node in (self.node, self.peer):
            self.executor.add_node(node)
        self.node.autostart()
        self.until(lambda: self.images.get_subscription_count() and self.peer.count_publishers("loftr/status"))

    def until(self, condition, seconds=30.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "the condition did not hold in time"
            self.executor.spin_once(timeout_sec=0.02)

    def fly(self, k):
        """Send an image of the flight and wait for its status."""
        self.send(self.flight.images[k], self.flight.stamps_ns[k])

    def send(self, image, stamp_ns):
        """Send an image (H, W) uint8 and wait for its status."""
        message, answered = Image(), len(self.statuses)
        fill_image(message, image, header_of(stamp_ns, "camera"))
        self.images.publish(message)
        self.until(lambda: len(self.statuses) > answered)

    def calibrate(self):
        """Send the camera_info of the flight and wait for it."""
        camera = self.flight.camera
        info = CameraInfo(header=header_of(0, "camera"), width=camera.width, height=camera.height)
        info.distortion_model, info.d, info.k = camera.model, list(camera.distortion), camera.matrix.ravel()
        self.until(self.infos.get_subscription_count)
        self.infos.publish(info)
        self.until(lambda: self.node._cameras._newest is not None)

    def add_transform(self, stamp_ns=0, *, is_static):
        transform = TransformStamped(header=header_of(stamp_ns, "base_link"), child_frame_id="camera")
        self.node._mount.mount.add(SimpleNamespace(transforms=[transform]), is_static=is_static)

    def ids(self):
        return [(edge.older_id, edge.newer_id) for edge in self.edges]


@pytest.fixture
def bench(small_flight, request):
    """The bench with PARAMETERS, and those of `pytest.mark.parametrize("bench", [...], indirect=True)`."""
    parameters = PARAMETERS | getattr(request, "param", {})
    given = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    rclpy.init(args=["test", "--ros-args", *given])
    bench = Bench(small_flight)
    yield bench
    bench.executor.shutdown()
    bench.node.destroy_node()
    bench.peer.destroy_node()
    rclpy.try_shutdown()
