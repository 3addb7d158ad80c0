"""Converts detections to ROS messages: our own, and markers for viewers. For vision_msgs see bridges/vision.py."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import ImageMarker

from yolc_ros.clusters import Region
from yolc_ros.detector import Detections
from yolc_ros.msg import ClusterRegion, Detection, DetectionArray


def region_boxes(regions: Sequence[Region]) -> np.ndarray:
    """Return cluster regions as an array (R, 4) x0, y0, x1, y1, pixels."""
    return np.array([[region.x0, region.y0, region.x1, region.y1] for region in regions]).reshape(-1, 4)


def detections_message(
    header: Header, size: tuple[int, int], detections: Detections, model: str, trained: bool, seconds: float
) -> DetectionArray:
    """Convert the detections of an image of `size` (width, height) to a DetectionArray."""
    boxes = detections.boxes
    centers, sizes = ((boxes[:, :2] + boxes[:, 2:]) / 2).tolist(), (boxes[:, 2:] - boxes[:, :2]).tolist()
    return DetectionArray(
        header=header,
        image_width=size[0],
        image_height=size[1],
        detections=[
            Detection(
                class_id=label,
                class_name=detections.class_names[label],
                score=score,
                center_x=x,
                center_y=y,
                size_x=width,
                size_y=height,
                region=region,
            )
            for label, score, (x, y), (width, height), region in zip(
                detections.labels.tolist(),
                detections.scores.tolist(),
                centers,
                sizes,
                detections.region.tolist(),
                strict=True,
            )
        ],
        regions=[
            ClusterRegion(
                x0=region.x0, y0=region.y0, x1=region.x1, y1=region.y1, expected=region.expected, scale=region.scale
            )
            for region in detections.regions
        ],
        model=model,
        trained=trained,
        inference_seconds=seconds,
    )


def image_marker(header: Header, detections: Detections) -> ImageMarker:
    """Convert all boxes to one line list, for viewers of visualization_msgs/ImageMarker."""
    corners = detections.boxes[:, [[0, 1], [2, 1], [2, 1], [2, 3], [2, 3], [0, 3], [0, 3], [0, 1]]]
    return ImageMarker(
        header=header,
        ns="yolc",
        type=ImageMarker.LINE_LIST,
        action=ImageMarker.ADD,
        scale=1.0,
        outline_color=ColorRGBA(r=1.0, g=0.6, b=0.0, a=1.0),
        points=[Point(x=x, y=y) for x, y in corners.reshape(-1, 2).tolist()],
    )
