"""Converts detections to vision_msgs/Detection2DArray.

yolc_node publishes this message itself if vision_msgs is installed. The node here converts recorded detections, and
those of a yolc_node on a machine without vision_msgs.
"""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

from perception_common.node.bridge import PeerWatch, load_messages, publisher_of, run_bridge
from perception_common.node.problems import Problems
from yolc_ros.msg import DetectionArray

RELIABLE = QoSProfile(depth=10)


def detections_2d(message: Any, vision_msgs: Any) -> Any:
    """Convert a DetectionArray to vision_msgs/Detection2DArray: class ids are names, boxes in original pixels.

    vision_msgs: the module vision_msgs.msg.
    """
    return vision_msgs.Detection2DArray(
        header=message.header,
        detections=[
            vision_msgs.Detection2D(
                header=message.header,
                results=[
                    vision_msgs.ObjectHypothesisWithPose(
                        hypothesis=vision_msgs.ObjectHypothesis(class_id=each.class_name, score=each.score)
                    )
                ],
                bbox=vision_msgs.BoundingBox2D(
                    center=vision_msgs.Pose2D(position=vision_msgs.Point2D(x=each.center_x, y=each.center_y)),
                    size_x=each.size_x,
                    size_y=each.size_y,
                ),
            )
            for each in message.detections
        ],
    )


class VisionMsgsBridge(Node):
    """Republishes every DetectionArray as vision_msgs/Detection2DArray."""

    def __init__(self) -> None:
        self._messages = load_messages("vision_msgs.msg", "apt install ros-jazzy-vision-msgs")
        super().__init__("vision_msgs_bridge")
        self._publisher = self.create_publisher(self._messages.Detection2DArray, "yolc/detections_2d", RELIABLE)
        self.create_subscription(DetectionArray, "yolc/detections", self._convert, RELIABLE)
        detections = publisher_of(self, "yolc/detections", "yolc_node (package yolc_ros) or the playback of a bag")
        self._watch = PeerWatch(self, Problems(self.get_logger().warning), (detections,))

    def _convert(self, message: DetectionArray) -> None:
        self._publisher.publish(detections_2d(message, self._messages))


def main(arguments: list[str] | None = None) -> int:
    """Run vision_msgs_bridge."""
    example = "vision_msgs_bridge --ros-args -r yolc/detections_2d:=/detections"
    return run_bridge(VisionMsgsBridge, "Publish detections as vision_msgs/Detection2DArray.", example, arguments)
