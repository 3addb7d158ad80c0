"""Objects on the ground as ROS messages: GroundObjectArray, and markers and fixes for viewers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from sensor_msgs.msg import NavSatFix, NavSatStatus
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from perception_common.geometry import quaternion_from_matrix
from yolc_ros.classes import class_color
from yolc_ros.georeference.objects import GroundObjects
from yolc_ros.georeference.projection import Status
from yolc_ros.msg import Detection, GroundObject, GroundObjectArray

_SIGMAS = 2.0  # half axes of the ellipsoid of a marker, in standard deviations
_TEXT_M = 2.0  # height of the letters of a marker, and of them above the place, metres


def ground_objects_message(
    header: Header,
    map_frame: str,
    detections: Sequence[Detection],
    objects: GroundObjects,
    model: str,
    trained: bool,
) -> GroundObjectArray:
    """Convert objects on the ground, those of `detections` in this order, to a message with the stamp of the image."""
    origin = objects.frame
    unknown = math.nan
    return GroundObjectArray(
        header=Header(stamp=header.stamp, frame_id=map_frame),
        origin_latitude=unknown if origin is None else origin.latitude,
        origin_longitude=unknown if origin is None else origin.longitude,
        origin_height=unknown if origin is None else origin.height,
        objects=[_object(detection, objects, k) for k, detection in enumerate(detections)],
        model=model,
        trained=trained,
    )


def object_fixes(located: GroundObjectArray) -> Iterator[NavSatFix]:
    """Yield latitude, longitude, height and covariance (ENU) of each object that has them, for maps of viewers."""
    for each in located.objects:
        if each.status == Status.LOCATED and math.isfinite(each.latitude):
            yield NavSatFix(
                header=located.header,
                status=NavSatStatus(status=NavSatStatus.STATUS_FIX),
                latitude=each.latitude,
                longitude=each.longitude,
                altitude=each.height,
                position_covariance=each.covariance,
                position_covariance_type=NavSatFix.COVARIANCE_TYPE_KNOWN,
            )


def object_markers(located: GroundObjectArray) -> MarkerArray:
    """Return an ellipsoid of two standard deviations and a text for each place, and an arrow for each velocity.

    The first marker deletes those of the image before.
    """
    header = located.header
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for number, each in enumerate(located.objects):
        if each.status not in (Status.LOCATED, Status.POSITION_UNKNOWN):
            continue
        red, green, blue = (value / 255 for value in class_color(each.detection.class_id))
        color = ColorRGBA(r=red, g=green, b=blue, a=0.6)
        place = each.position
        axes, turn = _ellipsoid(np.array(each.covariance).reshape(3, 3))
        x, y, z, w = quaternion_from_matrix(turn).tolist()
        markers.append(
            Marker(
                header=header,
                ns="places",
                id=number,
                type=Marker.SPHERE,
                pose=Pose(position=place, orientation=Quaternion(x=x, y=y, z=z, w=w)),
                scale=Vector3(x=axes[0], y=axes[1], z=axes[2]),
                color=color,
            )
        )
        name = each.detection.class_name
        markers.append(
            Marker(
                header=header,
                ns="names",
                id=number,
                type=Marker.TEXT_VIEW_FACING,
                pose=Pose(position=Point(x=place.x, y=place.y, z=place.z + _TEXT_M)),
                scale=Vector3(z=_TEXT_M),
                color=ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0),
                text=f"{name} {each.track_id}" if each.track_id else name,
            )
        )
        if each.moving:
            end = Point(x=place.x + each.velocity.x, y=place.y + each.velocity.y, z=place.z + each.velocity.z)
            markers.append(
                Marker(
                    header=header,
                    ns="velocities",
                    id=number,
                    type=Marker.ARROW,
                    scale=Vector3(x=0.3, y=0.8, z=0.8),
                    color=color,
                    points=[place, end],
                )
            )
    return MarkerArray(markers=markers)


def _object(detection: Detection, objects: GroundObjects, k: int) -> GroundObject:
    x, y, z = objects.places[k].tolist()
    latitude, longitude, height = objects.geodetic[k].tolist()
    u, v, w = objects.velocities[k].tolist()
    return GroundObject(
        track_id=int(objects.ids[k]),
        status=int(objects.status[k]),
        reason=objects.reasons[k],
        detection=detection,
        position=Point(x=x, y=y, z=z),
        covariance=objects.covariances[k].ravel(),
        latitude=latitude,
        longitude=longitude,
        height=height,
        observations=int(objects.observations[k]),
        moving=bool(objects.moving[k]),
        velocity=Vector3(x=u, y=v, z=w),
        velocity_covariance=objects.velocity_covariances[k].ravel(),
    )


def _ellipsoid(covariance: np.ndarray) -> tuple[list[float], np.ndarray]:
    """Return the axes (3,), metres, and the rotation (3, 3) of the ellipsoid of a covariance (3, 3)."""
    values, vectors = np.linalg.eigh(covariance)
    if np.linalg.det(vectors) < 0:
        vectors[:, 0] *= -1
    return (2 * _SIGMAS * np.sqrt(np.maximum(values, 1e-4))).tolist(), vectors
