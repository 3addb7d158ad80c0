"""The expected rotation between two images, and the quarter turns of the newer image that follow from it.

A rotation here is that of the newer camera in the older one (3, 3): p_older = R p_newer.
"""

from __future__ import annotations

import numpy as np

from loftr_ros.results import KeyframeInfo
from loftr_ros.sensors.settings import DEFAULT_SENSORS, SensorSettings
from loftr_ros.sensors.suite import FrameReadings

# Least cosine of half the angle between the optical axes. Below it one image hardly shows what the other does, and the
# rotation in the image plane is badly defined.
_MIN_FACING = 0.3
_MAX_YAW_DEVIATION = np.pi / 6  # radians; a heading less certain than this does not choose a right angle
_KEPT_REACH = np.radians(60.0)  # kept features serve up to this angle; see `expected_turns`


def in_plane_angle(rotation: np.ndarray) -> float | None:
    """Angle, radians, of a rotation (3, 3) about the optical axis: its twist in the swing-twist decomposition.

    It is the angle that brings the x and y axes of both images closest together. None where the cameras look in
    opposite directions, which leaves it undefined.
    """
    cosine, sine = rotation[0, 0] + rotation[1, 1], rotation[1, 0] - rotation[0, 1]
    if np.hypot(cosine, sine) / 2 < _MIN_FACING**2:  # (1 + R[2, 2]) / 2, cosine of half the angle of the swing, squared
        return None
    return float(np.arctan2(sine, cosine))


def nearest_turns(angle: float) -> int:
    """Return the quarter turns, 0 to 3, of the newer image that undo its angle (radians) in the older one best."""
    return round(-angle / (np.pi / 2)) % 4


def expected_turns(rotation: np.ndarray | None, *, kept: int | None = None, default: int | None = None) -> int | None:
    """Return the quarter turns of the newer image that an expected rotation (3, 3) asks for.

    kept: turns with which kept features match; they are preferred where they are nearly as good as the nearest right
    angle. default: the result without a rotation.
    """
    angle = None if rotation is None else in_plane_angle(rotation)
    if angle is None:
        return default
    if kept is not None and abs(_wrapped(angle + kept * np.pi / 2)) <= _KEPT_REACH:
        return kept
    return nearest_turns(angle)


def _wrapped(angle: float) -> float:
    return (angle + np.pi) % (2 * np.pi) - np.pi


def sensed_rotation(
    older: KeyframeInfo,
    newer: KeyframeInfo,
    readings0: FrameReadings,
    readings1: FrameReadings,
    gimbal_pitch: float | None = None,
    settings: SensorSettings = DEFAULT_SENSORS,
) -> np.ndarray | None:
    """Return the rotation (3, 3) between two images from odometry, else from the orientation; None without either.

    The camera sits in the frame of the sensor as its transform says at the time of each image; where the transform of
    the newer image is not known yet, that of the older one serves. Without transforms the gimbal's pitch (degrees above
    the horizon, see PairSettings) tells it, for a camera that looks ahead of the vehicle.
    """
    mount0, mount1 = older.T_base_camera, newer.T_base_camera
    mounts = mount0, mount0 if mount1 is None else mount1
    for sensed in (_odometry(readings0, readings1, settings), _orientations(readings0, readings1, settings)):
        if sensed is None:
            continue
        frame, *in_world = sensed
        if frame and frame == older.frame_id == newer.frame_id:
            return in_world[0].T @ in_world[1]
        in_body = [_rotation_in_body(mount, gimbal_pitch) for mount in mounts]
        if in_body[0] is not None and in_body[1] is not None:
            return (in_world[0] @ in_body[0]).T @ in_world[1] @ in_body[1]
    return None


def _odometry(
    older: FrameReadings, newer: FrameReadings, settings: SensorSettings
) -> tuple[str, np.ndarray, np.ndarray] | None:
    """Return the frame that odometry reports and its rotations (3, 3) in the world at both images."""
    if older.odometry is None or newer.odometry is None:
        return None
    pose0, pose1 = older.odometry.value, newer.odometry.value
    is_old = max(older.odometry.age, newer.odometry.age) > settings.limits.max_age
    if is_old or (pose0.frame, pose0.child_frame) != (pose1.frame, pose1.child_frame):
        return None
    return pose0.child_frame, pose0.T[:3, :3], pose1.T[:3, :3]


def _orientations(
    older: FrameReadings, newer: FrameReadings, settings: SensorSettings
) -> tuple[str, np.ndarray, np.ndarray] | None:
    """Return the frame of the orientation and its rotations (3, 3) in the world at both images."""
    if older.orientation is None or newer.orientation is None:
        return None
    before, after = older.orientation.value, newer.orientation.value
    is_old = max(older.orientation.age, newer.orientation.age) > settings.limits.max_age
    yaw_variance = max(before.covariance[2, 2], after.covariance[2, 2])  # 0: not reported
    if is_old or before.frame != after.frame or yaw_variance > _MAX_YAW_DEVIATION**2:
        return None
    return before.frame, before.rotation, after.rotation


def _rotation_in_body(T_base_camera: np.ndarray | None, gimbal_pitch: float | None) -> np.ndarray | None:
    """Return the rotation (3, 3) of the optical frame in the vehicle (x ahead, z up; REP-103); None: unknown."""
    if T_base_camera is not None:
        return T_base_camera[:3, :3]
    if gimbal_pitch is None:
        return None
    cosine, sine = np.cos(np.radians(gimbal_pitch)), np.sin(np.radians(gimbal_pitch))
    right, down, ahead = (0, -1, 0), (sine, 0, -cosine), (cosine, 0, sine)
    return np.column_stack([right, down, ahead])
