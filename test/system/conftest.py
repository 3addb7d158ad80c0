"""Real nodes as processes, and a camera and listeners beside them, on a ROS domain of their own."""

import contextlib
import time

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from perception_common.images.conversion import fill_image
from replay_ros.live.processes import running
from yolc_ros.msg import Correspondences, DetectionArray, Keyframe, MatchingStatus, RelativePose

RELIABLE = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
OUTPUTS = {
    "yolc/detections": DetectionArray,
    "loftr/keyframe": Keyframe,
    "loftr/correspondences": Correspondences,
    "loftr/relative_pose": RelativePose,
    "loftr/status": MatchingStatus,
}


class Bench:
    """A peer node; what the outputs of a namespace published lies in `received[topic]`."""

    def __init__(self):
        self.node = rclpy.create_node("bench")
        self.received = {}
        self.listeners = {}
        self.diagnostics = {}
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._keep_diagnostics, RELIABLE)

    def _keep_diagnostics(self, message):
        for status in message.status:
            self.diagnostics[status.name] = status

    def listen(self, namespace=""):
        for name, kind in OUTPUTS.items():
            topic = f"{namespace}/{name}"
            self.received[topic] = []
            self.listeners[topic] = self.node.create_subscription(kind, topic, self.received[topic].append, RELIABLE)

    def camera(self, namespace="", qos=RELIABLE):
        return Camera(self, namespace, qos)

    def wait_until_matched(self, publisher, subscribers):
        """Wait until so many nodes listen to `publisher`, and are heard in turn."""
        self.until(lambda: publisher.get_subscription_count() >= subscribers, 90, "a subscription to the images")
        self.until(
            lambda: all(
                listener.get_publisher_count() or not self.node.count_publishers(topic)
                for topic, listener in self.listeners.items()
            )
        )
        with contextlib.suppress(AssertionError):
            self.until(lambda: False, 1.5)  # the other side is matched a moment later, and nobody tells when

    def clear(self):
        for messages in self.received.values():
            messages.clear()

    def until(self, condition, seconds=60.0, what="it"):
        """Spin until the condition holds and return its value; fail when it does not in time."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < end, f"{what} did not happen within {seconds:g} s"
            rclpy.spin_once(self.node, timeout_sec=0.05)
        return value

    def call(self, kind, name, request, seconds=30.0):
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready, seconds, f"service {name}")
        future = client.call_async(request)
        self.until(future.done, seconds, f"an answer of {name}")
        self.node.destroy_client(client)
        return future.result()

    def set_parameters(self, node, **values):
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        )
        return self.call(SetParameters, f"{node}/set_parameters", request).results

    def set_parameters_atomically(self, node, **values):
        request = SetParametersAtomically.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        )
        return self.call(SetParametersAtomically, f"{node}/set_parameters_atomically", request).result

    def transition(self, node, number):
        request = ChangeState.Request()
        request.transition.id = number
        return self.call(ChangeState, f"{node}/change_state", request, 60.0).success

    def state(self, node):
        return self.call(GetState, f"{node}/get_state", GetState.Request()).current_state.label

    def diagnosis(self, node):
        status = self.diagnostics.get(node)
        return {pair.key: pair.value for pair in status.values} if status else {}

    def problems(self, node):
        return [value for key, value in self.diagnosis(node).items() if key.startswith("problem")]


class Camera:
    """Publishes `image` and `camera_info` in a namespace."""

    def __init__(self, bench, namespace, qos):
        self.bench = bench
        self.images = bench.node.create_publisher(Image, f"{namespace}/image", qos)
        self.infos = bench.node.create_publisher(CameraInfo, f"{namespace}/camera_info", qos)
        self.stamp = 1_000

    def wait_for(self, subscribers):
        """Wait until so many nodes listen to the images, and are heard in turn."""
        self.bench.wait_until_matched(self.images, subscribers)

    def next_header(self):
        message = Image()
        self.stamp += 1
        message.header.stamp.sec = self.stamp
        message.header.frame_id = "camera_optical"
        return message.header

    def send_info(self, header, width, height, focal=500.0):
        info = CameraInfo(header=header, width=width, height=height, distortion_model="plumb_bob", d=[0.0] * 5)
        info.k = [focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0]
        self.infos.publish(info)

    def send(self, image, info=True):
        """Publish a gray or RGB array with (or without) its camera_info; returns the header."""
        message = Image()
        header = self.next_header()
        if info:
            self.send_info(header, image.shape[1], image.shape[0])
        fill_image(message, image, header)
        self.images.publish(message)
        return header


def texture(height=240, width=320, seed=0):
    """An image with something to see at every scale."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width))
    for size in (4, 16, 64):
        noise = rng.uniform(0, 255, (height // size + 1, width // size + 1))
        image += np.kron(noise, np.ones((size, size)))[:height, :width] / 3
    return image.astype(np.uint8)


@pytest.fixture
def bench():
    rclpy.init()
    bench = Bench()
    yield bench
    bench.node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def start(tmp_path):
    """start(executable, *ROS arguments, parameter=value, ...) runs a process until the test ends."""
    with contextlib.ExitStack() as stack:
        count = 0

        def start(executable, *arguments, **parameters):
            nonlocal count
            count += 1
            log = stack.enter_context((tmp_path / f"{count}_{executable}.log").open("wb"))
            given = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
            process = stack.enter_context(running(executable, ["--ros-args", *arguments, *given], log))
            process.log = tmp_path / f"{count}_{executable}.log"
            return process

        yield start


@pytest.fixture
def picture():
    return texture
