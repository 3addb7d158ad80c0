"""Where the detections of an image stand, for the node and the offline replay alike."""

from __future__ import annotations

import numpy as np
from std_msgs.msg import Header

from perception_common.cameras.camera_info import CameraInfoBuffer
from perception_common.stamps import stamp_ns
from yolc_ros.detector import Detections
from yolc_ros.georeference.georeferencer import Georeferencer
from yolc_ros.georeference.objects import GroundObjects
from yolc_ros.tracking.tracks import Tracks


def locate_detections(
    georeferencer: Georeferencer,
    cameras: CameraInfoBuffer,
    header: Header,
    image: np.ndarray,
    detections: Detections,
    tracks: Tracks | None,
) -> GroundObjects:
    """Return where the detections of an image (H, W, 3) stand; `problem` of the georeferencer says why one does not.

    tracks: after this image, None where there is no tracking.
    """
    stamp = stamp_ns(header)
    return georeferencer.locate(
        stamp,
        header.frame_id,
        lambda: cameras.camera(stamp, image.shape[1], image.shape[0]),
        detections.boxes,
        [detections.class_names[label] for label in detections.labels],
        None if tracks is None else tracks.ids_by_detection(len(detections.labels)),
    )
