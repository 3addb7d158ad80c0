"""The command `make_bag`: a folder of images, a video or a dataset's sequence becomes a rosbag2 with ground truth."""

from __future__ import annotations

import argparse
import os
from dataclasses import MISSING, fields
from decimal import Decimal, InvalidOperation
from pathlib import Path

from perception_common.cli import number
from perception_common.images.intensity import INTENSITIES
from replay_ros.bags.datasets.formats import FORMATS
from replay_ros.bags.making.make_bag import MakeBagOptions, make_bag
from replay_ros.bags.making.summary import describe_summary
from replay_ros.bags.messages import ENCODINGS
from replay_ros.bags.writer import STORAGES

NAME = "make_bag"


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Return the parser of the command line; `prog` is the name that its help shows.

    The defaults are those of MakeBagOptions, and the destinations are its fields.
    """
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Make a rosbag2 of a folder of images, a video, or a sequence of a public dataset.",
        epilog=_epilog(prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_source_options(parser)
    _add_output_options(parser)
    parser.set_defaults(
        **{option.name: option.default for option in fields(MakeBagOptions) if option.default is not MISSING}
    )
    return parser


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Run the command. Raises InputError for input that cannot be used."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # quiet: InputError reports what is wrong with a video
    summary = make_bag(MakeBagOptions(**vars(build_parser(prog).parse_args(arguments))))
    print(describe_summary(summary))
    return 0


def _epilog(prog: str) -> str:
    return f"""\
example:
  {prog} flight/images flight_bag --camera camera.yaml --rate 2 --poses poses.json --altitude 40

  {prog} dataset/sequences/00 kitti_bag
  {prog} rgbd_dataset_freiburg2_desk tum_bag --limit 300
  {prog} MH_01_easy euroc_bag --cameras cam0
  {prog} VisDrone2019-VID-val/sequences/uav0000086_00000_v visdrone_bag --rate 24
  {prog} card/DCIM/100MEDIA photo_bag

writes <prefix>/image (or <prefix>/image/compressed), <prefix>/camera_info, ground_truth/pose (PoseStamped, pose of the
optical frame in "map") and altitude (sensor_msgs/Range, metres above ground), with the stamp of their image. Sequences
of KITTI odometry, TUM RGB-D, EuRoC and VisDrone-VID or -MOT are recognised; they bring their own stamps, cameras and
truth, and depth/image, imu, /tf_static or ground_truth/detections and ground_truth/tracks where they have them. Further
cameras have topics of their own: <prefix>_<name>/image. Photographs of drones (EXIF and XMP) bring their own times, an
approximate camera, fix, altitude, imu (attitude of the camera), odometry and ground_truth/approximate_pose, and
parameters.yaml in the bag, by which `yolc replay` uses them.
"""


def _add_source_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", type=Path, metavar="SOURCE", help="folder of images, video file, or a dataset's sequence"
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the bag")
    parser.add_argument("--format", choices=FORMATS, help="what the source is (recognised by its content)")
    parser.add_argument(
        "--cameras", type=_names, metavar="NAMES", help="which cameras of a dataset, the first one with the truth (all)"
    )
    parser.add_argument("--pattern", metavar="GLOB", help="which images of the folder, as 'left*.jpg' (all)")
    parser.add_argument(
        "--camera",
        type=Path,
        metavar="FILE",
        help="camera file: ROS camera_calibration YAML, OpenCV FileStorage, YAML {K, D, model, width, height}, JSON",
    )
    parser.add_argument("--camera-number", type=int, choices=(1, 2), help="which camera of an OpenCV stereo file")
    parser.add_argument("--intensity", choices=INTENSITIES, help="how images of more than 8 bits become 8 (percentile)")
    parser.add_argument(
        "--rate", type=number, metavar="HZ", help="frame rate (stamps in file names, times of the video, or 10 Hz)"
    )
    parser.add_argument(
        "--start-stamp", dest="start_ns", type=_nanoseconds, metavar="S", help="stamp of the first frame, seconds (1)"
    )
    parser.add_argument(
        "--no-telemetry",
        dest="telemetry",
        action="store_false",
        help="leave EXIF and XMP of photographs unread",
    )
    parser.add_argument(
        "--poses", type=Path, metavar="FILE", help="camera poses: TUM text, or JSON with T_enu_cam by file name"
    )
    parser.add_argument(
        "--altitude",
        metavar="FILE|METRES",
        help="height above ground: a number, text with stamp and altitude, or JSON with exif.RelativeAltitude",
    )


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--topic-prefix", metavar="NAME", help="namespace of image and camera_info (camera)")
    parser.add_argument("--frame-id", metavar="NAME", help="frame of the camera (camera_optical)")
    parser.add_argument("--storage", choices=tuple(STORAGES), help="(mcap)")
    parser.add_argument("--encoding", choices=ENCODINGS, help="(bgr8; mono8 for gray cameras of datasets)")
    parser.add_argument("--max-side", type=int, metavar="N", help="shrink images to this longer side, in pixels")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N frames")
    parser.add_argument("--force", action="store_true", help="replace an existing bag")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _nanoseconds(text: str) -> int:
    try:
        return int(Decimal(text).scaleb(9).to_integral_value())
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from error
