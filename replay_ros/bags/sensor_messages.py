"""ROS messages without ROS: depth, IMU, positions, odometry, static transforms and true detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rosbags.typesys.store import Typestore

from perception_common.geometry import quaternion_from_matrix
from replay_ros.bags.datasets.ground_truth import Pose
from replay_ros.bags.messages import header, new, world_pose_message

NAVSAT_FIX, NAVSAT_GPS = 0, 1  # NavSatStatus.STATUS_FIX and SERVICE_GPS
NAVSAT_APPROXIMATED = 1  # NavSatFix.COVARIANCE_TYPE_APPROXIMATED
UNKNOWN_TWIST = 1e6  # (m/s)^2 and (rad/s)^2: larger than that of any vehicle


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


def attitude_message(
    types: Typestore, rotation: np.ndarray, covariance: np.ndarray, stamp_ns: int, frame_id: str
) -> Any:
    """Make a sensor_msgs/Imu that holds an orientation only; the covariances of the rest begin with -1.

    rotation: R_enu_frame (3, 3), of the frame `frame_id` in east, north, up. covariance: (3, 3), rad^2, about the axes
    of ENU.
    """
    x, y, z, w = quaternion_from_matrix(rotation).tolist()
    unknown = np.zeros(9)
    unknown[0] = -1.0
    zero = _vector(types, (0.0, 0.0, 0.0))
    return new(
        types,
        "sensor_msgs/msg/Imu",
        header=header(types, stamp_ns, frame_id),
        orientation=new(types, "geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w),
        orientation_covariance=np.asarray(covariance, np.float64).ravel(),
        angular_velocity=zero,
        angular_velocity_covariance=unknown,
        linear_acceleration=zero,
        linear_acceleration_covariance=unknown,
    )


def fix_message(
    types: Typestore,
    latitude: float,
    longitude: float,
    altitude: float,
    deviations: Sequence[float],
    stamp_ns: int,
    frame_id: str,
) -> Any:
    """Make a sensor_msgs/NavSatFix. latitude, longitude: degrees. altitude: metres above the ellipsoid, NaN: unknown.

    deviations: standard deviations to the east, to the north and up, metres.
    """
    status = new(types, "sensor_msgs/msg/NavSatStatus", status=NAVSAT_FIX, service=NAVSAT_GPS)
    return new(
        types,
        "sensor_msgs/msg/NavSatFix",
        header=header(types, stamp_ns, frame_id),
        status=status,
        latitude=latitude,
        longitude=longitude,
        altitude=altitude,
        position_covariance=np.diag(np.square(deviations)).astype(np.float64).ravel(),
        position_covariance_type=NAVSAT_APPROXIMATED,
    )


def pose_with_covariance_message(
    types: Typestore, pose: Pose, covariance: np.ndarray, stamp_ns: int, world_frame: str
) -> Any:
    """Make a geometry_msgs/PoseWithCovarianceStamped. covariance: (6, 6), translation first, axes of the world."""
    stamped = world_pose_message(types, pose, stamp_ns, world_frame)
    return new(
        types,
        "geometry_msgs/msg/PoseWithCovarianceStamped",
        header=stamped.header,
        pose=new(
            types,
            "geometry_msgs/msg/PoseWithCovariance",
            pose=stamped.pose,
            covariance=np.asarray(covariance, np.float64).ravel(),
        ),
    )


def text_message(types: Typestore, text: str) -> Any:
    """Make a std_msgs/String."""
    return new(types, "std_msgs/msg/String", data=text)


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


def odometry_message(
    types: Typestore,
    pose: Pose,
    stamp_ns: int,
    frame_id: str,
    child_frame_id: str,
    covariance: np.ndarray | None = None,
) -> Any:
    """Make a nav_msgs/Odometry of the pose of `child_frame_id` in `frame_id`, with a twist of zero.

    covariance: (6, 6) of the pose, translation first; that of the twist, which is unknown, is UNKNOWN_TWIST then. None:
    all covariances are zero.
    """
    of_pose = np.zeros(36) if covariance is None else np.asarray(covariance, np.float64).ravel()
    of_twist = np.zeros(36) if covariance is None else UNKNOWN_TWIST * np.eye(6).ravel()
    zero = _vector(types, (0.0, 0.0, 0.0))
    stamped = world_pose_message(types, pose, stamp_ns, frame_id)
    return new(
        types,
        "nav_msgs/msg/Odometry",
        header=stamped.header,
        child_frame_id=child_frame_id,
        pose=new(types, "geometry_msgs/msg/PoseWithCovariance", pose=stamped.pose, covariance=of_pose),
        twist=new(
            types,
            "geometry_msgs/msg/TwistWithCovariance",
            twist=new(types, "geometry_msgs/msg/Twist", linear=zero, angular=zero),
            covariance=of_twist,
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
