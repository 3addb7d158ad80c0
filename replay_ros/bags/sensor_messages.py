"""ROS messages without ROS: depth, IMU, odometry, static transforms and true detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rosbags.typesys.store import Typestore

from perception_common.geometry import quaternion_from_matrix
from replay_ros.bags.datasets.ground_truth import Pose
from replay_ros.bags.messages import header, new, world_pose_message


def depth_message(types: Typestore, metres: np.ndarray, stamp_ns: int, frame_id: str) -> Any:
    """Make a sensor_msgs/Image of depths, (H, W) float32 metres, NaN where unknown (32FC1, REP-118)."""
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
    """Make a sensor_msgs/Imu without orientation (its covariance begins with -1).

    rates: rad/s. accelerations: m/s^2. Both x, y, z in the frame of the IMU.
    """
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
    """Make a tf2_msgs/TFMessage for /tf_static. poses: T_parent_child (4, 4) by the name of the child frame."""
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


def odometry_message(types: Typestore, pose: Pose, stamp_ns: int, frame_id: str, child_frame_id: str) -> Any:
    """Make a nav_msgs/Odometry of the pose of `child_frame_id` in `frame_id`; covariances and twist are zero."""
    unknown = np.zeros(36)
    zero = _vector(types, (0.0, 0.0, 0.0))
    stamped = world_pose_message(types, pose, stamp_ns, frame_id)
    return new(
        types,
        "nav_msgs/msg/Odometry",
        header=stamped.header,
        child_frame_id=child_frame_id,
        pose=new(types, "geometry_msgs/msg/PoseWithCovariance", pose=stamped.pose, covariance=unknown),
        twist=new(
            types,
            "geometry_msgs/msg/TwistWithCovariance",
            twist=new(types, "geometry_msgs/msg/Twist", linear=zero, angular=zero),
            covariance=unknown,
        ),
    )


def true_detections_message(
    types: Typestore, detections: Sequence[Any], image_size: tuple[int, int], stamp_ns: int, frame_id: str
) -> Any:
    """Make a yolc_ros/DetectionArray of ground truth.

    detections: yolc_ros/Detection, as `detection_message` makes them. image_size: (width, height), pixels.
    """
    return new(
        types,
        "yolc_ros/msg/DetectionArray",
        header=header(types, stamp_ns, frame_id),
        image_width=image_size[0],
        image_height=image_size[1],
        detections=list(detections),
        regions=[],
        model="ground truth",
        trained=True,
        inference_seconds=0.0,
    )


def true_tracks_message(
    types: Typestore,
    detections: Sequence[Any],
    ids: Sequence[int],
    image_size: tuple[int, int],
    stamp_ns: int,
    frame_id: str,
) -> Any:
    """Make a yolc_ros/TrackArray of ground truth, whose tracks have no history: no hits, age or velocity.

    detections: as in `true_detections_message`. ids: of the objects, parallel to them.
    """
    tracks = [
        new(
            types,
            "yolc_ros/msg/Track",
            track_id=track_id,
            status=1,  # TRACKED
            confirmed=True,
            detection=detection,
            hits=0,
            age=0.0,
            unseen=0.0,
            velocity_x=0.0,
            velocity_y=0.0,
        )
        for track_id, detection in zip(ids, detections, strict=True)
    ]
    return new(
        types,
        "yolc_ros/msg/TrackArray",
        header=header(types, stamp_ns, frame_id),
        image_width=image_size[0],
        image_height=image_size[1],
        tracks=tracks,
        camera_known=True,
        model="ground truth",
        trained=True,
    )


def detection_message(
    types: Typestore,
    *,
    class_id: int,
    class_name: str,
    score: float,
    center: tuple[float, float],
    size: tuple[float, float],
) -> Any:
    """Make a yolc_ros/Detection outside of any cluster region. center, size: x and y, pixels."""
    return new(
        types,
        "yolc_ros/msg/Detection",
        class_id=class_id,
        class_name=class_name,
        score=score,
        center_x=center[0],
        center_y=center[1],
        size_x=size[0],
        size_y=size[1],
        region=-1,
    )


def _vector(types: Typestore, values: Sequence[float]) -> Any:
    x, y, z = (float(value) for value in values)
    return new(types, "geometry_msgs/msg/Vector3", x=x, y=y, z=z)
