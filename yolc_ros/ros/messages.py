"""Detections as ROS messages: the one place that says what yolc_node publishes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import Point
from sensor_msgs.msg import Image, NavSatFix
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import ImageMarker, MarkerArray

from perception_common.images.conversion import fill_image
from yolc_ros.bridges.vision import detections_2d
from yolc_ros.clusters import Region
from yolc_ros.detector import Detections
from yolc_ros.drawing import draw_detections, draw_tracks
from yolc_ros.georeference.objects import GroundObjects
from yolc_ros.msg import ClusterRegion, Detection, DetectionArray, GroundObjectArray, Track, TrackArray
from yolc_ros.ros.ground_messages import ground_objects_message, object_fixes, object_markers
from yolc_ros.tracking.tracks import Tracks

try:
    from vision_msgs import msg as vision_msgs
except ImportError:  # optional: our own messages carry more
    vision_msgs = None

DETECTIONS = "yolc/detections"
TRACKS = "yolc/tracks"
DETECTIONS_2D = "yolc/detections_2d"  # only where vision_msgs is installed
MARKERS = "yolc/image_markers"
DEBUG_IMAGE = "yolc/debug_image"
OBJECTS = "yolc/objects"  # this and the next two only while georeferencing is on
OBJECT_MARKERS = "yolc/object_markers"
OBJECT_FIX = "yolc/object_fix"

TOPICS: dict[str, type] = {
    DETECTIONS: DetectionArray,
    TRACKS: TrackArray,
    **({DETECTIONS_2D: vision_msgs.Detection2DArray} if vision_msgs else {}),
    MARKERS: ImageMarker,
    DEBUG_IMAGE: Image,
    OBJECTS: GroundObjectArray,
    OBJECT_MARKERS: MarkerArray,
    OBJECT_FIX: NavSatFix,
}
"""What yolc_node publishes, by relative topic name."""

ON_DEMAND = frozenset({DETECTIONS_2D, MARKERS, DEBUG_IMAGE, OBJECT_MARKERS, OBJECT_FIX})
"""Made for viewers: published only while somebody subscribes."""

DEPTHS = {OBJECT_FIX: 500}
"""Queues of the topics that may get several messages for an image; the others have that of `RESULT_QOS`."""

RECORDED = frozenset({DETECTIONS, TRACKS, MARKERS, OBJECTS, OBJECT_MARKERS})
"""What a replay records."""


def frame_messages(
    header: Header,
    image: np.ndarray,
    detections: Detections,
    tracks: Tracks | None = None,
    *,
    model: str,
    trained: bool,
    seconds: float,
    wants: Callable[[str], bool],
    objects: GroundObjects | None = None,
    map_frame: str = "",
) -> Iterator[tuple[str, Any]]:
    """Yield (topic, message) of the detections of an RGB image (H, W, 3) uint8.

    tracks: after this image, None where there is no tracking. model, trained, seconds: of the detector. wants:
    whether a topic is wanted; messages of others are not built. objects: where the detections stand on the ground, in
    `map_frame`; None while georeferencing is off.
    """
    size = image.shape[1], image.shape[0]
    if wants(MARKERS):
        yield MARKERS, image_marker(header, detections, tracks)
    message, tracked = detections_message(header, size, detections, model, trained, seconds), None
    if tracks is not None:  # before the detections, which are the last message that a replay waits for
        tracked = tracks_message(message, tracks, detections.class_names)
        yield TRACKS, tracked
    if objects is not None:
        located = ground_objects_message(header, map_frame, message.detections, objects, model, trained)
        yield OBJECTS, located
        if wants(OBJECT_MARKERS):
            yield OBJECT_MARKERS, object_markers(located)
        if wants(OBJECT_FIX):
            yield from ((OBJECT_FIX, fix) for fix in object_fixes(located))
    yield DETECTIONS, message
    if DETECTIONS_2D in TOPICS and wants(DETECTIONS_2D):
        yield DETECTIONS_2D, detections_2d(message, vision_msgs, tracked)
    if wants(DEBUG_IMAGE):
        yield DEBUG_IMAGE, debug_image_message(header, image, detections, tracks, trained)


def debug_image_message(
    header: Header, image: np.ndarray, detections: Detections, tracks: Tracks | None, trained: bool
) -> Image:
    """Return a picture of the detections, with trails and ids of the tracks."""
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
    if tracks is not None:
        draw_tracks(picture, tracks)
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


def tracks_message(detections: DetectionArray, tracks: Tracks, class_names: Sequence[str]) -> TrackArray:
    """Convert the tracks after an image to a TrackArray; detections: of the same image."""
    corners = tracks.boxes
    centers, sizes = ((corners[:, :2] + corners[:, 2:]) / 2).tolist(), (corners[:, 2:] - corners[:, :2]).tolist()
    return TrackArray(
        header=detections.header,
        image_width=detections.image_width,
        image_height=detections.image_height,
        tracks=[
            Track(
                track_id=int(tracks.ids[k]),
                status=int(tracks.statuses[k]),
                confirmed=bool(tracks.confirmed[k]),
                detection=Detection(
                    class_id=int(tracks.labels[k]),
                    class_name=class_names[tracks.labels[k]],
                    score=float(tracks.scores[k]),
                    center_x=centers[k][0],
                    center_y=centers[k][1],
                    size_x=sizes[k][0],
                    size_y=sizes[k][1],
                    region=detections.detections[index].region if (index := int(tracks.detections[k])) >= 0 else -1,
                ),
                hits=int(tracks.hits[k]),
                age=float(tracks.ages[k]),
                unseen=float(tracks.unseen[k]),
                velocity_x=float(tracks.velocities[k, 0]),
                velocity_y=float(tracks.velocities[k, 1]),
            )
            for k in range(len(tracks))
        ],
        camera_known=tracks.camera_known,
        model=detections.model,
        trained=detections.trained,
    )


def image_marker(header: Header, detections: Detections, tracks: Tracks | None = None) -> ImageMarker:
    """Convert all boxes and the trails of confirmed tracks to one line list, for viewers of ImageMarker."""
    corners = detections.boxes[:, [[0, 1], [2, 1], [2, 1], [2, 3], [2, 3], [0, 3], [0, 3], [0, 1]]]
    ends = corners.reshape(-1, 2).tolist() + ([] if tracks is None else _trail_lines(tracks).tolist())
    return ImageMarker(
        header=header,
        ns="yolc",
        type=ImageMarker.LINE_LIST,
        action=ImageMarker.ADD,
        scale=1.0,
        outline_color=ColorRGBA(r=1.0, g=0.6, b=0.0, a=1.0),
        points=[Point(x=x, y=y) for x, y in ends],
    )


def _trail_lines(tracks: Tracks) -> np.ndarray:
    """Ends (2 L, 2) of the lines of the trails of confirmed tracks, pixels."""
    trails = tracks.trails[tracks.confirmed]
    lines = np.stack([trails[:, :-1], trails[:, 1:]], axis=2).reshape(-1, 2, 2)
    return lines[np.isfinite(lines).all(axis=(1, 2))].reshape(-1, 2)
