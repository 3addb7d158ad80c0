"""The command `flight`: a simulated flight becomes a rosbag2 with images, sensors and exact truth."""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
from rosbags.typesys.store import Typestore
from tqdm import tqdm

from flight_sim.classes import CLASS_NAMES
from flight_sim.flight import CameraOptions, Flight, FlightOptions, SimulatedFrame, start_flight
from flight_sim.flight_path import FlightKind, FlightPathOptions
from flight_sim.truth import TrueBoxes
from perception_common.errors import InputError
from perception_common.geometry import quaternion_from_matrix
from replay_ros.bags.datasets.calibration import Calibration
from replay_ros.bags.datasets.ground_truth import Pose
from replay_ros.bags.messages import (
    ENCODINGS,
    camera_info_message,
    header,
    image_message,
    new,
    pose_message,
    range_message,
)
from replay_ros.bags.writer import STORAGES, BagWriter

EXAMPLE = """\
example:
  flight city_bag --seed 7 --kind survey --altitude 40 --pitch -75 --duration 30 --rate 2

writes camera/image, camera/camera_info, ground_truth/pose (PoseStamped of the optical frame in "map"),
ground_truth/detections (yolc_ros/DetectionArray), altitude (sensor_msgs/Range with noise) and odometry
(nav_msgs/Odometry of base_link in "odom", drifting).
"""
START_NS = 1_000_000_000


@dataclass(frozen=True)
class SensorNoise:
    """altitude: standard deviation, share of the height. drift, heading_drift: of the odometry, metres and radians that
    it strays (standard deviation) per square root of a metre flown.
    """

    altitude: float = 0.02
    drift: float = 0.02
    heading_drift: float = 0.002


@dataclass(frozen=True)
class FlightBagOptions:
    """What is flown and how it is written. frames: at most so many; None for all."""

    out: Path
    seed: int = 0
    flight: FlightOptions = field(default_factory=FlightOptions)
    noise: SensorNoise = field(default_factory=SensorNoise)
    encoding: str = "bgr8"
    storage: str = "mcap"
    frames: int | None = None
    force: bool = False


def write_flight(options: FlightBagOptions) -> int:
    """Fly and write the bag; returns the number of frames. The same options give the same messages."""
    flight = start_flight(options.seed, options.flight)
    count = min(len(flight), options.frames or len(flight))
    calibration = _calibration(flight)
    odometry = _odometry(flight, count, options)
    rng = np.random.default_rng([options.seed, 11])
    with BagWriter(options.out, options.storage, force=options.force) as bag:
        for index in tqdm(range(count), unit="frame", desc="flight", disable=None):
            frame = flight.frame(index)
            stamp = START_NS + round(frame.stamp_s * 1e9)
            pose = frame.truth.T_world_camera
            height = float(pose[2, 3]) * (1.0 + options.noise.altitude * rng.normal())
            image = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
            image_topic = "camera/image" + ("/compressed" if options.encoding.startswith("compressed") else "")
            messages = {
                "camera/camera_info": camera_info_message(bag.types, calibration, stamp, "camera_optical"),
                "altitude": range_message(bag.types, height, stamp, "camera_optical"),
                "odometry": _odometry_message(bag.types, odometry[index], stamp),
                "ground_truth/pose": pose_message(bag.types, _pose(pose), stamp, "map"),
                "ground_truth/detections": _detections_message(bag.types, frame, stamp),
                image_topic: image_message(bag.types, image, options.encoding, stamp, "camera_optical"),
            }
            for topic, message in messages.items():
                bag.write(topic, message, stamp)
    return count


def heading(T_world_camera: np.ndarray) -> float:
    """Direction in which the top of the image points over the ground, radians from east."""
    forward = -T_world_camera[:2, 1]  # the image's up axis; for a level camera its horizontal part is zero
    if np.linalg.norm(forward) < 1e-6:
        forward = T_world_camera[:2, 2]
    return math.atan2(forward[1], forward[0])


def _calibration(flight: Flight) -> Calibration:
    camera = flight.camera
    P = np.hstack([camera.matrix, np.zeros((3, 1))])
    return Calibration(camera.width, camera.height, "plumb_bob", camera.matrix, camera.distortion, np.eye(3), P)


def _pose(T: np.ndarray) -> Pose:
    return Pose(T[:3, 3], quaternion_from_matrix(T[:3, :3]))


def _odometry(flight: Flight, count: int, options: FlightBagOptions) -> list[np.ndarray]:
    """Return T_odom_base (4, 4) of each frame: dead reckoning from the first pose on, straying from the truth."""
    rng = np.random.default_rng([options.seed, 12])
    truth = [flight.path.pose_at(index / flight.frame_rate_hz) for index in range(count)]
    base = [_level(T[:3, 3], heading(T)) for T in truth]
    poses = [np.linalg.inv(base[0]) @ base[0]]
    for before, after in itertools.pairwise(base):
        step = np.linalg.inv(before) @ after
        length = math.sqrt(np.linalg.norm(step[:3, 3]))
        error = _level(
            rng.normal(scale=options.noise.drift * length, size=3), rng.normal() * options.noise.heading_drift * length
        )
        poses.append(poses[-1] @ step @ error)
    return poses


def _level(position: np.ndarray, yaw: float) -> np.ndarray:
    T = np.eye(4)
    T[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    T[:3, 3] = position
    return T


def _odometry_message(types: Typestore, T: np.ndarray, stamp_ns: int) -> Any:
    pose = pose_message(types, _pose(T), stamp_ns, "odom")
    unknown = np.zeros(36)
    zero = new(types, "geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=0.0)
    return new(
        types,
        "nav_msgs/msg/Odometry",
        header=pose.header,
        child_frame_id="base_link",
        pose=new(types, "geometry_msgs/msg/PoseWithCovariance", pose=pose.pose, covariance=unknown),
        twist=new(
            types,
            "geometry_msgs/msg/TwistWithCovariance",
            twist=new(types, "geometry_msgs/msg/Twist", linear=zero, angular=zero),
            covariance=unknown,
        ),
    )


def _detections_message(types: Typestore, frame: SimulatedFrame, stamp_ns: int) -> Any:
    boxes = frame.truth.boxes.clearly_visible()
    height, width = frame.image.shape[:2]
    return new(
        types,
        "yolc_ros/msg/DetectionArray",
        header=header(types, stamp_ns, "camera_optical"),
        image_width=width,
        image_height=height,
        detections=list(_detections(types, boxes)),
        regions=[],
        model="ground truth",
        trained=True,
        inference_seconds=0.0,
    )


def _detections(types: Typestore, boxes: TrueBoxes) -> Iterator[Any]:
    corners = boxes.xyxy + 0.5  # from pixel centres to pixels that cover 0 to 1
    for (x0, y0, x1, y1), label in zip(corners.tolist(), boxes.class_ids.tolist(), strict=True):
        yield new(
            types,
            "yolc_ros/msg/Detection",
            class_id=label,
            class_name=CLASS_NAMES[label],
            score=1.0,
            center_x=(x0 + x1) / 2,
            center_y=(y0 + y1) / 2,
            size_x=x1 - x0,
            size_y=y1 - y0,
            region=-1,
        )


def _parse(arguments: list[str] | None) -> FlightBagOptions:
    parser = argparse.ArgumentParser(
        prog="flight", description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = FlightOptions()
    course, camera = default.path, default.camera
    parser.add_argument("out", type=Path, help="bag to write")
    parser.add_argument("--seed", type=int, default=0, help="another seed is another place, course and light")
    parser.add_argument("--kind", choices=get_args(FlightKind), default=course.kind)
    parser.add_argument("--altitude", type=float, default=course.altitude_m, help="metres above ground")
    parser.add_argument("--pitch", type=float, default=course.pitch_deg, help="of the gimbal, degrees; -90 is nadir")
    parser.add_argument("--speed", type=float, default=course.speed_mps, help="metres per second")
    parser.add_argument("--duration", type=float, default=course.duration_s, help="seconds")
    parser.add_argument("--rate", type=float, default=default.frame_rate_hz, help="images per second")
    parser.add_argument("--size", type=int, nargs=2, metavar=("W", "H"), default=(camera.width, camera.height))
    parser.add_argument("--fov", type=float, default=camera.horizontal_fov_deg, help="horizontal, degrees")
    parser.add_argument("--urbanity", type=float, default=-1.0, help="0 farmland to 1 city; negative: by the seed")
    parser.add_argument("--photographs", default="", help="folder of images that become the ground of the lots")
    parser.add_argument("--encoding", choices=ENCODINGS, default="bgr8")
    parser.add_argument("--storage", choices=sorted(STORAGES), default="mcap")
    parser.add_argument("--force", action="store_true", help="replace a bag that is there")
    given = parser.parse_args(arguments)
    for name in ("altitude", "speed", "duration", "rate", "fov"):
        if getattr(given, name) <= 0:
            raise InputError(f"--{name} must be positive, not {getattr(given, name):g}")
    return FlightBagOptions(
        out=given.out,
        seed=given.seed,
        flight=replace(
            default,
            scene=replace(default.scene, urbanity=given.urbanity, photographs=given.photographs),
            path=FlightPathOptions(
                kind=given.kind,
                duration_s=given.duration,
                altitude_m=given.altitude,
                speed_mps=given.speed,
                pitch_deg=given.pitch,
            ),
            camera=CameraOptions(width=given.size[0], height=given.size[1], horizontal_fov_deg=given.fov),
            frame_rate_hz=given.rate,
        ),
        encoding=given.encoding,
        storage=given.storage,
        force=given.force,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    options = _parse(arguments)
    print(f"{options.out}: {write_flight(options)} frames of seed {options.seed}")
    return 0
