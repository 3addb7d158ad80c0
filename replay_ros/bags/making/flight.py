"""Write a simulated flight as a bag: images, altitude, attitude, position and odometry with noise, and exact truth."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.typesys.store import Typestore
from tqdm import tqdm

from flight_sim.classes import CLASS_NAMES
from flight_sim.flight import Flight, FlightOptions, SimulatedFrame, start_flight
from flight_sim.truth import TrueBoxes
from perception_common.geometry import so3_exp
from replay_ros.bags.datasets.calibration import Calibration, unrectified_calibration
from replay_ros.bags.datasets.ground_truth import Pose
from replay_ros.bags.datasets.sequences.frames import DEFAULT_START_NS
from replay_ros.bags.messages import (
    COMPRESSED_ENCODINGS,
    camera_info_message,
    image_message,
    range_message,
    world_pose_message,
)
from replay_ros.bags.place_messages import true_objects_message
from replay_ros.bags.sensor_messages import (
    attitude_message,
    detection_message,
    fix_message,
    odometry_message,
    true_detections_message,
    true_tracks_message,
)
from replay_ros.bags.writer import BagWriter
from yolc_ros.georeference.geodesy import LocalFrame, check_geodesy

WORLD_FRAME, ODOMETRY_FRAME, BASE_FRAME, OPTICAL_FRAME = "map", "odom", "base_link", "camera_optical"
ORIGIN = LocalFrame(47.0, 8.0, 450.0)  # of the simulated world on the ellipsoid
_ALTITUDE_STREAM, _ODOMETRY_STREAM, _PLACE_STREAM = (
    11,
    12,
    13,
)  # added to the seed, so that each sensor draws its own noise


@dataclass(frozen=True)
class SensorNoise:
    """Standard deviations of the simulated sensors.

    altitude: as a share of the height. drift, heading_drift: of the odometry, metres and radians per square root of a
    metre flown. attitude: degrees about each axis; position: metres on each axis; half of their variance is the same
    through the flight. The defaults are empirical.
    """

    altitude: float = 0.02
    attitude: float = 1.0
    position: float = 1.5
    drift: float = 0.02
    heading_drift: float = 0.002


@dataclass(frozen=True)
class FlightBagOptions:
    """A flight and how it is written. frames: at most so many; None: all. force: replace an existing bag."""

    out: Path
    seed: int = 0
    flight: FlightOptions = field(default_factory=FlightOptions)
    noise: SensorNoise = field(default_factory=SensorNoise)
    encoding: str = "bgr8"
    storage: str = "mcap"
    frames: int | None = None
    force: bool = False


def write_flight(options: FlightBagOptions) -> int:
    """Simulate the flight, write the bag and return the number of frames. Equal options give equal messages.

    Raises InputError for a bag that cannot be written, and without pymap3d.
    """
    check_geodesy()
    flight = start_flight(options.seed, options.flight)
    count = min(len(flight), options.frames or len(flight))
    camera = flight.camera
    calibration = unrectified_calibration(camera.width, camera.height, camera.matrix, camera.distortion)
    odometry = _drifting_odometry(flight, count, options)
    altitude_rng = np.random.default_rng([options.seed, _ALTITUDE_STREAM])
    place_rng = np.random.default_rng([options.seed, _PLACE_STREAM])
    constant = place_rng.normal(size=6)
    with BagWriter(options.out, options.storage, force=options.force) as bag:
        for index in tqdm(range(count), unit="frame", desc="flight", disable=None):
            frame = flight.frame(index)
            stamp_ns = DEFAULT_START_NS + round(frame.stamp_s * 1e9)
            height = float(frame.truth.T_world_camera[2, 3])
            altitude = height * (1.0 + options.noise.altitude * altitude_rng.normal())
            drawn = math.sqrt(0.5) * (constant + place_rng.normal(size=6))
            for topic, message in _place_messages(bag.types, frame, stamp_ns, options.noise, drawn):
                bag.write(topic, message, stamp_ns)
            for topic, message in _frame_messages(
                bag.types, frame, stamp_ns, calibration, altitude, odometry[index], encoding=options.encoding
            ):
                bag.write(topic, message, stamp_ns)
    return count


def heading(T_world_camera: np.ndarray) -> float:
    """Return the direction over the ground in which the top of the image points, radians from east."""
    forward = -T_world_camera[:2, 1]  # the image's up axis; for a level camera its horizontal part is zero
    if np.linalg.norm(forward) < 1e-6:
        forward = T_world_camera[:2, 2]
    return math.atan2(forward[1], forward[0])


def _frame_messages(
    types: Typestore,
    frame: SimulatedFrame,
    stamp_ns: int,
    calibration: Calibration,
    altitude: float,
    T_odom_base: np.ndarray,
    *,
    encoding: str,
) -> Iterator[tuple[str, Any]]:
    """Yield topics and messages of a frame, the image last, so that its sensor messages precede it in a replay."""
    yield "camera/camera_info", camera_info_message(types, calibration, stamp_ns, OPTICAL_FRAME)
    yield "altitude", range_message(types, altitude, stamp_ns, OPTICAL_FRAME)
    yield "odometry", odometry_message(types, Pose.from_matrix(T_odom_base), stamp_ns, ODOMETRY_FRAME, BASE_FRAME)
    pose = Pose.from_matrix(frame.truth.T_world_camera)
    yield "ground_truth/pose", world_pose_message(types, pose, stamp_ns, WORLD_FRAME)
    height, width = frame.image.shape[:2]
    visible = frame.truth.boxes.clearly_visible()
    boxes, ids = list(_detections(types, visible)), visible.ids.tolist()
    yield "ground_truth/detections", true_detections_message(types, boxes, (width, height), stamp_ns, OPTICAL_FRAME)
    yield "ground_truth/tracks", true_tracks_message(types, boxes, ids, (width, height), stamp_ns, OPTICAL_FRAME)
    image = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
    topic = "camera/image/compressed" if encoding in COMPRESSED_ENCODINGS else "camera/image"
    yield topic, image_message(types, image, encoding, stamp_ns, OPTICAL_FRAME)


def _place_messages(
    types: Typestore, frame: SimulatedFrame, stamp_ns: int, noise: SensorNoise, drawn: np.ndarray
) -> Iterator[tuple[str, Any]]:
    """Yield the measured position and attitude of the camera, and the true objects. drawn: (6,), of unit variance."""
    pose, attitude = frame.truth.T_world_camera, math.radians(noise.attitude)
    latitude, longitude, height = ORIGIN.to_geodetic(pose[:3, 3] + noise.position * drawn[:3])[0].tolist()
    yield "fix", fix_message(types, latitude, longitude, height, (noise.position,) * 3, stamp_ns, OPTICAL_FRAME)
    rotation = pose[:3, :3] @ so3_exp(attitude * drawn[3:])
    yield "imu", attitude_message(types, rotation, attitude**2 * np.eye(3), stamp_ns, OPTICAL_FRAME)
    boxes = frame.truth.boxes.clearly_visible()
    objects = [
        (number, detection, (*place, 0.0), (*velocity, 0.0))
        for number, detection, place, velocity in zip(
            boxes.ids.tolist(),
            _detections(types, boxes),
            boxes.position.tolist(),
            boxes.velocity.tolist(),
            strict=True,
        )
    ]
    origin = (ORIGIN.latitude, ORIGIN.longitude, ORIGIN.height)
    yield "ground_truth/objects", true_objects_message(types, objects, origin, stamp_ns, WORLD_FRAME)


def _detections(types: Typestore, boxes: TrueBoxes) -> Iterator[Any]:
    corners = boxes.xyxy + 0.5  # flight_sim has pixel centres at integers; in a Detection pixel 0 covers 0 to 1
    for (x0, y0, x1, y1), label in zip(corners.tolist(), boxes.class_ids.tolist(), strict=True):
        yield detection_message(
            types,
            class_id=label,
            class_name=CLASS_NAMES[label],
            score=1.0,
            center=((x0 + x1) / 2, (y0 + y1) / 2),
            size=(x1 - x0, y1 - y0),
        )


def _drifting_odometry(flight: Flight, count: int, options: FlightBagOptions) -> list[np.ndarray]:
    """Return T_odom_base (4, 4) of each frame: dead reckoning from the first pose, which drifts from the truth."""
    rng = np.random.default_rng([options.seed, _ODOMETRY_STREAM])
    truth = [flight.path.pose_at(index / flight.frame_rate_hz) for index in range(count)]
    base = [_level_pose(T[:3, 3], heading(T)) for T in truth]
    poses = [np.linalg.inv(base[0]) @ base[0]]
    for before, after in itertools.pairwise(base):
        step = np.linalg.inv(before) @ after
        root_length = math.sqrt(np.linalg.norm(step[:3, 3]))
        shift = rng.normal(scale=options.noise.drift * root_length, size=3)
        turn = rng.normal() * options.noise.heading_drift * root_length
        poses.append(poses[-1] @ step @ _level_pose(shift, turn))
    return poses


def _level_pose(position: np.ndarray, yaw: float) -> np.ndarray:
    T = np.eye(4)
    T[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    T[:3, 3] = position
    return T
