"""A camera in a process of its own, which changes what it sends while it runs: each line on stdin is a JSON object.

`CameraState` lists the keys. The process ends when stdin does, and then prints how many images it sent.
"""

from __future__ import annotations

import json
import select
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from perception_common.images.conversion import fill_image
from perception_common.node.runner import starting_ros

STEP = 3  # pixels by which the picture moves from image to image
_POLL_S = 0.1  # longest wait for a command
_QOS = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)


@dataclass(frozen=True)
class CameraState:
    """What the camera sends.

    kind: "image", "compressed", "foreign" (another type on the topic of the images), or "nothing". encoding: "mono8",
    "rgb8", or any other name, which then stands on gray pixels. stamp_offset_s: added to the time of the system.
    """

    kind: str = "image"
    width: int = 160
    height: int = 120
    encoding: str = "rgb8"
    rate_hz: float = 10.0
    stamp_offset_s: float = 0.0


def make_ground(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Return a gray texture (height, width) uint8 with something to see at every scale."""
    rng = np.random.default_rng(seed)
    ground = np.zeros((height, width), np.float32)
    for size in (2, 8, 32):
        noise = rng.uniform(0, 255, (height // size + 2, width // size + 2)).astype(np.float32)
        ground += cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR) / 3
    return ground.astype(np.uint8)


def picture(ground: np.ndarray, number: int, width: int, height: int) -> np.ndarray:
    """Return image `number` of a camera that moves over the ground, (height, width) uint8."""
    span = ground.shape[1] - width
    x = abs((STEP * number) % (2 * span) - span)  # there and back
    return ground[:height, x : x + width]


class _Publishers:
    """The publishers of one state; a change of kind replaces them."""

    def __init__(self, node: Node, kind: str):
        self._node, self.kind = node, kind
        topics: dict[str, tuple[type, str]] = {
            "image": (Image, "image"),
            "compressed": (CompressedImage, "image/compressed"),
            "foreign": (Header, "image"),
        }
        self.images = node.create_publisher(*topics[kind], _QOS) if kind in topics else None
        self.infos = node.create_publisher(CameraInfo, "camera_info", _QOS) if kind != "nothing" else None

    def destroy(self) -> None:
        for publisher in (self.images, self.infos):
            if publisher is not None:
                self._node.destroy_publisher(publisher)


def main() -> None:
    """Send images until stdin ends. Started by `bench.Bench.start_camera`."""
    arguments = remove_ros_args(sys.argv)
    with starting_ros():
        node = rclpy.create_node("camera")
    state = CameraState(**json.loads(arguments[1]))
    publishers = _Publishers(node, state.kind)
    ground = make_ground(8192, 1200)
    sent, due = 0, time.monotonic()
    while True:
        wait = min(max(0.0, due - time.monotonic()), _POLL_S)
        if select.select([sys.stdin], [], [], wait)[0]:
            line = sys.stdin.readline()
            if not line:
                break
            state = replace(state, **json.loads(line))
            if state.kind != publishers.kind:
                publishers.destroy()
                publishers = _Publishers(node, state.kind)
        if time.monotonic() < due:
            continue
        due = max(due + 1 / state.rate_hz, time.monotonic() - 1 / state.rate_hz)  # never catch up a long pause
        sent += _send(publishers, state, picture(ground, sent, state.width, state.height))
    node.destroy_node()
    rclpy.try_shutdown()
    print(json.dumps({"sent": sent}))


def _send(publishers: _Publishers, state: CameraState, gray: np.ndarray) -> bool:
    header = Header(frame_id="camera_optical")
    header.stamp.sec, header.stamp.nanosec = divmod(time.time_ns() + round(state.stamp_offset_s * 1e9), 10**9)
    if publishers.images is None or publishers.infos is None:
        return False
    publishers.infos.publish(camera_info(header, state.width, state.height))
    publishers.images.publish(_message(state, gray, header))
    return True


def _message(state: CameraState, gray: np.ndarray, header: Header) -> Any:
    if state.kind == "foreign":
        return header
    if state.kind == "compressed":
        data = cv2.imencode(".jpg", gray)[1].tobytes()
        return CompressedImage(header=header, format="jpeg", data=data)
    message = Image()
    fill_image(message, cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB) if state.encoding == "rgb8" else gray, header)
    message.encoding = state.encoding
    return message


def camera_info(header: Header, width: int, height: int) -> CameraInfo:
    """Return the calibration of a camera without distortion, whose focal length is the width of its images."""
    info = CameraInfo(header=header, width=width, height=height, distortion_model="plumb_bob", d=[0.0] * 5)
    info.k = [float(width), 0.0, width / 2, 0.0, float(width), height / 2, 0.0, 0.0, 1.0]
    return info


if __name__ == "__main__":
    main()
