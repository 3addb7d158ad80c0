"""What a replay records of both nodes: their own tables of topics, put together."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray

from loftr_ros.ros import messages as matching
from yolc_ros.ros import messages as detection

DETECTIONS, STATUS = detection.DETECTIONS, matching.STATUS  # the last message of each node for an image
DIAGNOSTICS = "/diagnostics"
NODES = {DETECTIONS: "yolc_node", STATUS: "loftr_node"}
"""Name of each node by the topic of its last message for an image."""

OUTPUTS: dict[str, type] = {
    **{topic: kind for topic, kind in detection.TOPICS.items() if topic in detection.RECORDED},
    **{topic: kind for topic, kind in matching.TOPICS.items() if topic not in matching.ON_DEMAND},
    DIAGNOSTICS: DiagnosticArray,
}
"""Message class by relative topic name."""


def type_name(kind: type) -> str:
    """Return the name of a message class, as "sensor_msgs/msg/Image"."""
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
