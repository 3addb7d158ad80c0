"""Detections as ROS messages: the one place that says what yolc_node publishes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import Point
from sensor_msgs.msg import Image
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import ImageMarker, MarkerArray

from perception_common.images.conversion import fill_image
from yolc_ros.bridges.vision import detections_2d
from yolc_ros.clusters import Region
from yolc_ros.detector import Detections
from yolc_ros.drawing import draw_detections
from yolc_ros.georeference.objects import GroundObjects
from yolc_ros.msg import ClusterRegion, Detection, DetectionArray, GroundObjectArray
from yolc_ros.ros.ground_messages import ground_objects_message, object_markers

try:
    from vision_msgs import msg as vision_msgs
except ImportError:  # optional: our own messages carry more
    vision_msgs = None

DETECTIONS = "yolc/detections"
DETECTIONS_2D = "yolc/detections_2d"  # only where vision_msgs is installed
MARKERS = "yolc/image_markers"
DEBUG_IMAGE = "yolc/debug_image"
OBJECTS = "yolc/objects"  # this and the next only while georeferencing is on
OBJECT_MARKERS = "yolc/object_markers"

TOPICS: dict[str, type] = {
    DETECTIONS: DetectionArray,
    **({DETECTIONS_2D: vision_msgs.Detection2DArray} if vision_msgs else {}),
    MARKERS: ImageMarker,
    DEBUG_IMAGE: Image,
    OBJECTS: GroundObjectArray,
    OBJECT_MARKERS: MarkerArray,
}
"""What yolc_node publishes, by relative topic name."""

ON_DEMAND = frozenset({DETECTIONS_2D, MARKERS, DEBUG_IMAGE, OBJECT_MARKERS})
"""Made for viewers: published only while somebody subscribes."""

RECORDED = frozenset({DETECTIONS, MARKERS, OBJECTS, OBJECT_MARKERS})
"""What a replay records."""


def frame_messages(
    header: Header,
    image: np.ndarray,
    detections: Detections,
    *,
    model: str,
    trained: bool,
    seconds: float,
    wants: Callable[[str], bool],
    objects: GroundObjects | None = None,
    map_frame: str = "",
) -> Iterator[tuple[str, Any]]:
    """Yield (topic, message) of the detections of an RGB image (H, W, 3) uint8.

    model, trained, seconds: of the detector. wants: whether a topic is wanted; messages of others are not built.
    objects: where the detections stand on the ground, in `map_frame`; None while georeferencing is off.
    """
    size = image.shape[1], image.shape[0]
    if wants(MARKERS):
        yield MARKERS, image_marker(header, detections)
    message = detections_message(header, size, detections, model, trained, seconds)
    if objects is not None:
        located = ground_objects_message(header, map_frame, message.detections, objects, model, trained)
        yield OBJECTS, located
        if wants(OBJECT_MARKERS):
            yield OBJECT_MARKERS, object_markers(located)
    yield DETECTIONS, message
    if DETECTIONS_2D in TOPICS and wants(DETECTIONS_2D):
        yield DETECTIONS_2D, detections_2d(message, vision_msgs)
    if wants(DEBUG_IMAGE):
        yield DEBUG_IMAGE, debug_image_message(header, image, detections, trained)


def debug_image_message(header: Header, image: np.ndarray, detections: Detections, trained: bool) -> Image:
    """Return a picture of the detections."""
    picture = draw_detections(
        image,
        detections.boxes,
        detections.labels,
        detections.scores,
        detections.class_names,
        region_boxes(detections.regions),
        title=f"{len(detections.boxes)} objects, {len(detections.regions)} clusters",
        trained=trained,
    )
    message = Image()
    fill_image(message, picture, header)
    return message


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
