"""ROS messages without ROS: positions, orientations and objects on the ground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rosbags.typesys.store import Typestore

from perception_common.geometry import quaternion_from_matrix
from replay_ros.bags.messages import header, new

_DIAGONAL_KNOWN = 2  # NavSatFix.COVARIANCE_TYPE_DIAGONAL_KNOWN


def fix_message(types: Typestore, place: Sequence[float], deviation: float, stamp_ns: int, frame_id: str) -> Any:
    """Make a sensor_msgs/NavSatFix.

    place: latitude, longitude (degrees), height above the ellipsoid (metres). deviation: of each axis, metres.
    """
    latitude, longitude, height = (float(value) for value in place)
    return new(
        types,
        "sensor_msgs/msg/NavSatFix",
        header=header(types, stamp_ns, frame_id),
        status=new(types, "sensor_msgs/msg/NavSatStatus", status=0, service=1),
        latitude=latitude,
        longitude=longitude,
        altitude=height,
        position_covariance=(deviation**2 * np.eye(3)).ravel(),
        position_covariance_type=_DIAGONAL_KNOWN,
    )


def orientation_message(types: Typestore, rotation: np.ndarray, deviation: float, stamp_ns: int, frame_id: str) -> Any:
    """Make a sensor_msgs/Imu with an orientation alone.

    rotation: (3, 3), world (east, north, up) from `frame_id`. deviation: about each axis, radians.
    """
    x, y, z, w = quaternion_from_matrix(rotation).tolist()
    zero, unknown = new(types, "geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=0.0), np.zeros(9)
    unknown[0] = -1.0
    return new(
        types,
        "sensor_msgs/msg/Imu",
        header=header(types, stamp_ns, frame_id),
        orientation=new(types, "geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w),
        orientation_covariance=(deviation**2 * np.eye(3)).ravel(),
        angular_velocity=zero,
        angular_velocity_covariance=unknown,
        linear_acceleration=zero,
        linear_acceleration_covariance=unknown,
    )


def true_objects_message(
    types: Typestore,
    objects: Sequence[tuple[int, Any, Sequence[float], Sequence[float]]],
    origin: Sequence[float],
    stamp_ns: int,
    frame_id: str,
) -> Any:
    """Make a yolc_ros/GroundObjectArray of ground truth.

    objects: id, yolc_ros/Detection, place (3,), metres, and velocity (3,), m/s, of each. origin: latitude, longitude
    (degrees) and height (metres) of the local frame.
    """
    latitude, longitude, height = (float(value) for value in origin)
    exact = np.zeros(9)
    return new(
        types,
        "yolc_ros/msg/GroundObjectArray",
        header=header(types, stamp_ns, frame_id),
        origin_latitude=latitude,
        origin_longitude=longitude,
        origin_height=height,
        objects=[
            new(
                types,
                "yolc_ros/msg/GroundObject",
                track_id=int(number),
                status=0,
                reason="",
                detection=detection,
                position=_xyz(types, "geometry_msgs/msg/Point", place),
                covariance=exact,
                latitude=np.nan,
                longitude=np.nan,
                height=np.nan,
                observations=1,
                moving=bool(np.any(velocity)),
                velocity=_xyz(types, "geometry_msgs/msg/Vector3", velocity),
                velocity_covariance=exact,
            )
            for number, detection, place, velocity in objects
        ],
        model="ground truth",
        trained=True,
    )


def _xyz(types: Typestore, name: str, values: Sequence[float]) -> Any:
    x, y, z = (float(value) for value in values)
    return new(types, name, x=x, y=y, z=z)
