"""Matches of loftr_node as the tracker takes them: the topic, and the reader of its messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from perception_common.sensors.topics import SensorTopic
from perception_common.stamps import stamp_ns
from yolc_ros.tracking.camera_motion import MatchedImages

if TYPE_CHECKING:  # importing it needs ROS
    from yolc_ros.parameters import YolcParameters


def matched_images(message: Any) -> MatchedImages | None:
    """Read a yolc_ros/Correspondences, without matches on objects; None where the matcher is untrained."""
    if not message.trained:
        return None
    points = np.stack([message.x0, message.y0, message.x1, message.y1], axis=1).astype(np.float64)
    points = points[np.asarray(message.dynamic, np.uint8) == 0]
    older, newer = stamp_ns(message.older.header), stamp_ns(message.newer.header)
    return MatchedImages(older, newer, points[:, :2], points[:, 2:])


def _add(tracker: Any, message: Any, _: int) -> bool:
    matches = matched_images(message)
    if matches is not None:
        tracker.add_matches(matches)
    return matches is not None


CORRESPONDENCES = SensorTopic("loftr/correspondences", "yolc_ros/msg/Correspondences", _add, 10)


def match_topics(parameters: YolcParameters) -> tuple[SensorTopic, ...]:
    """Return the topic where the parameters switch it on."""
    return (CORRESPONDENCES,) if parameters.tracking and parameters.track_matches else ()
