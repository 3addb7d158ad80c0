"""What both nodes publish, by relative topic name."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from visualization_msgs.msg import ImageMarker

from yolc_ros.msg import Correspondences, DetectionArray, Keyframe, MatchingStatus, RelativePose

DETECTIONS, STATUS = "yolc/detections", "loftr/status"  # the last answer of each node to an image
MARKERS = "yolc/image_markers"  # the boxes, for viewers
DIAGNOSTICS = "/diagnostics"
OUTPUTS: dict[str, type] = {
    MARKERS: ImageMarker,
    DETECTIONS: DetectionArray,
    "loftr/keyframe": Keyframe,
    "loftr/correspondences": Correspondences,
    "loftr/relative_pose": RelativePose,
    "loftr/relative_pose_base": RelativePose,
    "loftr/pose": PoseStamped,
    STATUS: MatchingStatus,
    DIAGNOSTICS: DiagnosticArray,
}


def type_name(kind: type) -> str:
    """Return the name of a message class, as "sensor_msgs/msg/Image"."""
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
