"""The command `flight`: a simulated flight becomes a rosbag2 with images, sensors and exact ground truth."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import get_args

from flight_sim.flight import CameraOptions, FlightOptions
from flight_sim.flight_path import FlightKind, FlightPathOptions
from perception_common.cli import number
from perception_common.errors import InputError
from replay_ros.bags.making.flight import FlightBagOptions, write_flight
from replay_ros.bags.messages import ENCODINGS
from replay_ros.bags.writer import STORAGES

NAME = "flight"


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Return the parser of the command line; `prog` is the name that its help shows."""
    default = FlightOptions()
    course, camera = default.path, default.camera
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Make a rosbag2 of a simulated flight, with images, sensors and exact ground truth.",
        epilog=_epilog(prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, help="bag to write")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives another place, course and light")
    parser.add_argument("--kind", choices=get_args(FlightKind), default=course.kind)
    parser.add_argument("--altitude", type=number, default=course.altitude_m, help="metres above ground")
    parser.add_argument("--pitch", type=number, default=course.pitch_deg, help="of the gimbal, degrees; -90 is nadir")
    parser.add_argument("--speed", type=number, default=course.speed_mps, help="metres per second")
    parser.add_argument("--duration", type=number, default=course.duration_s, help="seconds")
    parser.add_argument("--rate", type=number, default=default.frame_rate_hz, help="images per second")
    parser.add_argument("--size", type=int, nargs=2, metavar=("W", "H"), default=(camera.width, camera.height))
    parser.add_argument("--fov", type=number, default=camera.horizontal_fov_deg, help="horizontal, degrees")
    parser.add_argument("--urbanity", type=number, default=-1.0, help="0 farmland to 1 city; negative: by the seed")
    parser.add_argument("--photographs", default="", help="folder of images that become the ground of the lots")
    parser.add_argument("--encoding", choices=ENCODINGS, default="bgr8")
    parser.add_argument("--storage", choices=sorted(STORAGES), default="mcap")
    parser.add_argument("--force", action="store_true", help="replace an existing bag")
    return parser


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Run the command. Raises InputError for a number that must be positive and for a bag that cannot be written."""
    options = _bag_options(build_parser(prog).parse_args(arguments))
    print(f"{options.out}: {write_flight(options)} frames of seed {options.seed}")
    return 0


def _epilog(prog: str) -> str:
    return f"""\
example:
  {prog} city_bag --seed 7 --kind survey --altitude 40 --pitch -75 --duration 30 --rate 2

writes camera/image, camera/camera_info, ground_truth/pose (PoseStamped of the optical frame in "map"),
ground_truth/detections (yolc_ros/DetectionArray), ground_truth/tracks (yolc_ros/TrackArray), ground_truth/objects
(yolc_ros/GroundObjectArray), altitude (sensor_msgs/Range), fix (sensor_msgs/NavSatFix) and imu (sensor_msgs/Imu,
orientation of the camera) with noise, and odometry (nav_msgs/Odometry of base_link in "odom", drifting).
"""


def _bag_options(given: argparse.Namespace) -> FlightBagOptions:
    for name in ("altitude", "speed", "duration", "rate", "fov"):
        if getattr(given, name) <= 0:
            raise InputError(f"--{name} must be positive, not {getattr(given, name):g}")
    default = FlightOptions()
    flight = replace(
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
    )
    return FlightBagOptions(
        out=given.out,
        seed=given.seed,
        flight=flight,
        encoding=given.encoding,
        storage=given.storage,
        force=given.force,
    )
