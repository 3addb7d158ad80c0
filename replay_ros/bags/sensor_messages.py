"""Messages for what datasets hold besides images and poses: depth, IMU, static transforms and true detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rosbags.typesys.store import Typestore

from perception_common.geometry import quaternion_from_matrix
from replay_ros.bags.datasets.recording import TrueBox
from replay_ros.bags.messages import header, new


def depth_message(types: Typestore, metres: np.ndarray, stamp_ns: int, frame_id: str) -> Any:
    """Make a sensor_msgs/Image of depths, (H, W) float32 metres, NaN where unknown (32FC1, as REP-118 has it)."""
    height, width = metres.shape
    return new(
        types,
        "sensor_msgs/msg/Image",
        header=header(types, stamp_ns, frame_id),
        height=height,
        width=width,
        encoding="32FC1",
        is_bigendian=0,
        step=4 * width,
        data=np.ascontiguousarray(metres, "<f4").view(np.uint8).ravel(),
    )


def imu_message(
    types: Typestore, rates: Sequence[float], accelerations: Sequence[float], stamp_ns: int, frame_id: str
) -> Any:
    """Make a sensor_msgs/Imu without orientation (its covariance begins with -1); rad/s and m/s^2 in its own frame."""
    unknown = np.zeros(9)
    no_orientation = unknown.copy()
    no_orientation[0] = -1.0
    return new(
        types,
        "sensor_msgs/msg/Imu",
        header=header(types, stamp_ns, frame_id),
        orientation=new(types, "geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
        orientation_covariance=no_orientation,
        angular_velocity=_vector(types, rates),
        angular_velocity_covariance=unknown,
        linear_acceleration=_vector(types, accelerations),
        linear_acceleration_covariance=unknown,
    )


def transforms_message(types: Typestore, parent: str, poses: Mapping[str, np.ndarray], stamp_ns: int) -> Any:
    """Make a tf2_msgs/TFMessage for /tf_static of poses (4, 4) of frames in `parent`, by the frames' names."""
    transforms = []
    for child, T in poses.items():
        x, y, z, w = quaternion_from_matrix(T[:3, :3]).tolist()
        transforms.append(
            new(
                types,
                "geometry_msgs/msg/TransformStamped",
                header=header(types, stamp_ns, parent),
                child_frame_id=child,
                transform=new(
                    types,
                    "geometry_msgs/msg/Transform",
                    translation=_vector(types, T[:3, 3].tolist()),
                    rotation=new(types, "geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w),
                ),
            )
        )
    return new(types, "tf2_msgs/msg/TFMessage", transforms=transforms)


def true_detections_message(
    types: Typestore,
    objects: Sequence[TrueBox],
    scale: tuple[float, float],
    size: tuple[int, int],
    stamp_ns: int,
    frame_id: str,
) -> Any:
    """Make a yolc_ros/DetectionArray of labelled objects.

    scale: of x and y, from the pixels of the objects to those of the image as it is written, size (width, height). An
    object that is scored has score 1; one that is not, as an ignored region, has score 0 and comes last.
    """
    ordered = sorted(objects, key=lambda each: not each.is_scored)
    return new(
        types,
        "yolc_ros/msg/DetectionArray",
        header=header(types, stamp_ns, frame_id),
        image_width=size[0],
        image_height=size[1],
        detections=[_detection(types, each, scale) for each in ordered],
        regions=[],
        model="ground truth",
        trained=True,
        inference_seconds=0.0,
    )


def _detection(types: Typestore, each: TrueBox, scale: tuple[float, float]) -> Any:
    left, top, width, height = each.corner_and_size
    return new(
        types,
        "yolc_ros/msg/Detection",
        class_id=each.label,
        class_name=each.name,
        score=float(each.is_scored),
        center_x=(left + width / 2) * scale[0],
        center_y=(top + height / 2) * scale[1],
        size_x=width * scale[0],
        size_y=height * scale[1],
        region=-1,
    )


def _vector(types: Typestore, values: Sequence[float]) -> Any:
    x, y, z = (float(value) for value in values)
    return new(types, "geometry_msgs/msg/Vector3", x=x, y=y, z=z)
