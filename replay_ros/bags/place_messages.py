"""ROS messages without ROS: true objects on the ground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rosbags.typesys.store import Typestore

from replay_ros.bags.messages import header, new


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
