"""Converts detections to vision_msgs/Detection2DArray.

yolc_node publishes this message itself if vision_msgs is installed. The node here converts recorded detections, and
those of a yolc_node on a machine without vision_msgs.
"""

from __future__ import annotations

import math
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

from perception_common.node.bridges.peers import publisher_of
from perception_common.node.bridges.report import BridgeReport
from perception_common.node.bridges.running import load_messages, run_bridge
from perception_common.node.bridges.traffic import Traffic
from perception_common.node.problems import Problems
from yolc_ros.msg import DetectionArray, TrackArray

RELIABLE = QoSProfile(depth=10)


def detections_2d(message: Any, vision_msgs: Any, tracks: Any | None = None) -> Any:
    """Convert a DetectionArray to vision_msgs/Detection2DArray: class ids are names, boxes in original pixels.

    vision_msgs: the module vision_msgs.msg. tracks: the TrackArray of the same image, which gives the ids, or None.
    """
    ids = {} if tracks is None else _ids(message, tracks)
    return vision_msgs.Detection2DArray(
        header=message.header,
        detections=[
            vision_msgs.Detection2D(
                header=message.header,
                id=ids.get(index, ""),
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
            for index, each in enumerate(message.detections)
        ],
    )


def _ids(message: Any, tracks: Any) -> dict[int, str]:
    """Return the ids of tracks by the index of their detection, which has the same score and the nearest centre."""
    same_score: dict[float, list[int]] = {}
    for index, each in enumerate(message.detections):
        same_score.setdefault(each.score, []).append(index)
    ids = {}
    for track in tracks.tracks:
        place = track.detection
        candidates = [] if track.status == track.LOST else same_score.get(place.score, [])
        if candidates:
            ids[min(candidates, key=lambda k: _distance(message.detections[k], place))] = str(track.track_id)
    return ids


def _distance(one: Any, other: Any) -> float:
    return math.hypot(one.center_x - other.center_x, one.center_y - other.center_y)


class VisionMsgsBridge(Node):
    """Republishes every DetectionArray as vision_msgs/Detection2DArray, with the ids of the TrackArray of its image."""

    def __init__(self) -> None:
        self._messages = load_messages("vision_msgs.msg", "apt install ros-jazzy-vision-msgs")
        super().__init__("vision_msgs_bridge")
        warn = self.get_logger().warning
        self.problems = Problems(warn)
        self._detections, self._tracks = Traffic("detections", warn), Traffic("tracks", warn)
        self._waiting: TrackArray | None = None
        self._publisher = self.create_publisher(self._messages.Detection2DArray, "yolc/detections_2d", RELIABLE)
        self.create_subscription(TrackArray, "yolc/tracks", self._keep, RELIABLE)
        self.create_subscription(DetectionArray, "yolc/detections", self._convert, RELIABLE)
        detections = publisher_of(self, "yolc/detections", "yolc_node (package yolc_ros) or the playback of a bag")
        self._report = BridgeReport(self, self.problems, (detections,), (self._detections, self._tracks))

    def _keep(self, message: TrackArray) -> None:
        """Keep the tracks of an image: a yolc_node publishes them before its detections."""
        self._tracks.receive()
        self._drop_tracks()
        self._waiting = message

    def _convert(self, message: DetectionArray) -> None:
        self._detections.receive()
        tracks = self._waiting if self._waiting is not None and self._waiting.header == message.header else None
        self._publisher.publish(detections_2d(message, self._messages, tracks))
        self._detections.pass_on()
        if tracks is None:
            self._drop_tracks()
        else:
            self._tracks.pass_on()
            self._waiting = None

    def _drop_tracks(self) -> None:
        if self._waiting is not None:
            self._tracks.refuse("the next detections have another stamp or frame")
            self._waiting = None


def main(arguments: list[str] | None = None) -> int:
    """Run vision_msgs_bridge."""
    example = "vision_msgs_bridge --ros-args -r yolc/detections_2d:=/detections"
    return run_bridge(VisionMsgsBridge, "Publish detections as vision_msgs/Detection2DArray.", example, arguments)
