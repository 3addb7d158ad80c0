"""The command `make_bag`: a folder of images or a video becomes a rosbag2, with camera, poses and altitude."""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.typesys.store import Typestore
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from perception_common.cli import run
from perception_common.errors import InputError
from replay_ros.bags.calibration import Calibration, fit_to_image, read_calibration, uncalibrated
from replay_ros.bags.ground_truth import (
    ConstantAltitude,
    NamedAltitude,
    NamedPoses,
    StampedAltitude,
    StampedPoses,
    read_altitude,
    read_poses,
)
from replay_ros.bags.messages import (
    COMPRESSED_ENCODINGS,
    ENCODINGS,
    MAX_RANGE,
    camera_info_message,
    image_message,
    pose_message,
    range_message,
)
from replay_ros.bags.sequences import BrokenFrame, Frame, open_sequence
from replay_ros.bags.writer import STORAGES, BagWriter

logger = logging.getLogger(__name__)

WORLD_FRAME = "map"  # REP-105: fixed, z up
POSE_TOPIC = "/ground_truth/pose"
ALTITUDE_TOPIC = "/altitude"

EXAMPLE = """\
example:
  make_bag flight/images flight_bag --camera camera.yaml --rate 2 --poses poses.json --altitude 40

writes <prefix>/image (or <prefix>/image/compressed), <prefix>/camera_info, ground_truth/pose (PoseStamped, pose of the
optical frame in "map") and altitude (sensor_msgs/Range, metres above ground), with the stamp of their image.
"""


@dataclass(frozen=True)
class MakeBagOptions:
    """What goes into a bag and how.

    source: folder of images or video file. out: folder of the bag. pattern: glob that picks images of the folder.
    camera: camera file; None writes an uncalibrated camera_info. camera_number: 1 or 2, of an OpenCV stereo file.
    rate: Hz; None for the stamps in file names, a video's own rate, or 10 Hz. start_ns: first stamp; None for 1 s.
    poses: TUM text or JSON by file name. altitude: metres, or a file. max_side: pixels; larger images are shrunk.
    limit: number of frames; None for all. force: replace a bag that is there.
    """

    source: Path
    out: Path
    pattern: str = "*"
    camera: Path | None = None
    camera_number: int | None = None
    rate: float | None = None
    start_ns: int | None = None
    poses: Path | None = None
    altitude: str | None = None
    topic_prefix: str = "camera"
    frame_id: str = "camera_optical"
    storage: str = "mcap"
    encoding: str = "bgr8"
    max_side: int | None = None
    limit: int | None = None
    force: bool = False


@dataclass(frozen=True)
class BagSummary:
    """What was written.

    timing: where the stamps come from. sizes: (width, height) of the images, the most frequent first.
    counts: messages by topic. broken: names of the frames that could not be read.
    notes: what the user should know, one sentence each.
    """

    path: Path
    frames: int
    timing: str
    duration_s: float
    sizes: tuple[tuple[int, int], ...]
    counts: dict[str, int]
    broken: tuple[str, ...]
    notes: tuple[str, ...]


def make_bag(options: MakeBagOptions) -> BagSummary:
    """Write the bag. Raises InputError, and then leaves nothing behind, when any of the inputs cannot be used."""
    _check(options)
    sequence = open_sequence(options.source, rate=options.rate, start_ns=options.start_ns, pattern=options.pattern)
    inputs = _Inputs(
        calibration=None if options.camera is None else read_calibration(options.camera, options.camera_number),
        poses=None if options.poses is None else read_poses(options.poses),
        altitude=None if options.altitude is None else read_altitude(options.altitude),
    )
    counts: Counter[str] = Counter()
    sizes: Counter[tuple[int, int]] = Counter()
    stamps: list[int] = []
    broken: list[str] = []
    total = len(sequence) if options.limit is None else min(options.limit, len(sequence))
    with (
        BagWriter(options.out, options.storage, force=options.force) as bag,
        logging_redirect_tqdm(),
        tqdm(total=total, unit="frame", desc="make_bag", disable=None) as progress,
    ):
        for frame in itertools.islice(sequence, options.limit):
            progress.update()
            if isinstance(frame, BrokenFrame):
                logger.warning("skipped: %s", frame.reason)
                broken.append(frame.name)
                continue
            image = shrink(frame.image, options.max_side)
            for topic, message in _messages(bag.types, frame, image, inputs, options).items():
                bag.write(topic, message, frame.stamp_ns)
                counts[topic] += 1
            sizes[image.shape[1], image.shape[0]] += 1
            stamps.append(frame.stamp_ns)
        if not stamps:
            raise InputError(f"none of the {len(broken)} frames of {options.source} can be read; see the warnings")
        _check_coverage(inputs, options, counts, stamps)
    return BagSummary(
        path=options.out,
        frames=len(stamps),
        timing=sequence.timing,
        duration_s=(stamps[-1] - stamps[0]) / 1e9,
        sizes=tuple(size for size, _ in sizes.most_common()),
        counts=dict(counts),
        broken=tuple(broken),
        notes=tuple(_notes(inputs, options, counts, sizes)),
    )


def shrink(image: np.ndarray, max_side: int | None) -> np.ndarray:
    """Return the image with its longer side at most max_side pixels; None and small images leave it as it is."""
    height, width = image.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return image
    scale = max_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Raises InputError for input that cannot be used."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # quiet: what is wrong with a video, we say ourselves
    summary = make_bag(_parse(argv))
    print(describe(summary))
    return 0


def describe(summary: BagSummary) -> str:
    """Say in a few lines what was written."""
    size = "x".join(str(side) for side in summary.sizes[0])
    lines = [f"{summary.path}: {summary.frames} images of {size}, {summary.duration_s:.3f} s ({summary.timing})"]
    lines += [f"  {topic}: {count}" for topic, count in sorted(summary.counts.items())]
    lines += [f"  {note}" for note in summary.notes]
    if summary.broken:
        lines.append(f"  {len(summary.broken)} broken, skipped: {', '.join(summary.broken)}")
    return "\n".join(lines)


@dataclass(frozen=True)
class _Inputs:
    """What is known besides the images; None where nothing was given."""

    calibration: Calibration | None
    poses: StampedPoses | NamedPoses | None
    altitude: StampedAltitude | NamedAltitude | ConstantAltitude | None


def _messages(
    types: Typestore, frame: Frame, image: np.ndarray, inputs: _Inputs, options: MakeBagOptions
) -> dict[str, Any]:
    """Return the messages of one frame by topic, the image last: who replays them has the rest by then."""
    stamp = frame.stamp_ns
    image_topic, info_topic = _camera_topics(options)
    info = camera_info_message(types, _calibration(inputs.calibration, frame, image), stamp, options.frame_id)
    messages = {info_topic: info}
    pose = None if inputs.poses is None else inputs.poses.at(frame.name, stamp)
    if pose is not None:
        messages[POSE_TOPIC] = pose_message(types, pose, stamp, WORLD_FRAME)
    metres = None if inputs.altitude is None else inputs.altitude.at(frame.name, stamp)
    if metres is not None and 0.0 <= metres <= MAX_RANGE:
        messages[ALTITUDE_TOPIC] = range_message(types, metres, stamp, options.frame_id)
    messages[image_topic] = image_message(types, image, options.encoding, stamp, options.frame_id)
    return messages


def _camera_topics(options: MakeBagOptions) -> tuple[str, str]:
    """Return the topics of the image and of its camera_info."""
    base = f"/{options.topic_prefix.strip('/')}"
    image = f"{base}/image/compressed" if options.encoding in COMPRESSED_ENCODINGS else f"{base}/image"
    return image, f"{base}/camera_info"


def _calibration(calibration: Calibration | None, frame: Frame, image: np.ndarray) -> Calibration:
    """Return the calibration for the image as it is written; `frame` holds it as it was read."""
    height, width = image.shape[:2]
    if calibration is None:
        return uncalibrated(width, height)
    try:
        as_read = fit_to_image(calibration, frame.image.shape[1], frame.image.shape[0])
    except InputError as error:
        raise InputError(f"{frame.name}: {error}") from error
    return fit_to_image(as_read, width, height)


def _check(options: MakeBagOptions) -> None:
    if options.encoding not in ENCODINGS:
        raise InputError(f"unknown encoding {options.encoding!r}; choose one of {', '.join(ENCODINGS)}")
    if not re.fullmatch(r"/?([A-Za-z][A-Za-z0-9_]*/?)+", options.topic_prefix):
        raise InputError(f"the topic prefix {options.topic_prefix!r} is no ROS name; use letters, digits, _ and /")
    if options.camera_number is not None and options.camera is None:
        raise InputError("a camera number needs a camera file; add --camera FILE")
    if options.max_side is not None and options.max_side < 16:
        raise InputError(f"the longer side cannot be {options.max_side} pixels; give at least 16")
    if options.limit is not None and options.limit < 1:
        raise InputError(f"the limit is {options.limit} frames; give at least 1")


def _check_coverage(inputs: _Inputs, options: MakeBagOptions, counts: Counter[str], stamps: list[int]) -> None:
    """Refuse poses or altitudes of which none belongs to any image."""
    images = f"the images run from {stamps[0] / 1e9:.3f} s to {stamps[-1] / 1e9:.3f} s"
    advice = "check file names and stamps (--rate, --start-stamp)"
    if inputs.poses is not None and not counts[POSE_TOPIC]:
        raise InputError(f"no image has a pose: {images}, {options.poses} covers {inputs.poses.span()}; {advice}")
    if inputs.altitude is not None and not counts[ALTITUDE_TOPIC]:
        span = inputs.altitude.span()
        raise InputError(f"no image has an altitude: {images}, {options.altitude} covers {span}; {advice}")


def _notes(
    inputs: _Inputs, options: MakeBagOptions, counts: Counter[str], sizes: Counter[tuple[int, int]]
) -> Iterator[str]:
    frames = sum(sizes.values())
    calibration = inputs.calibration
    if calibration is None:
        yield "no camera file: camera_info is uncalibrated, so there will be no relative poses"
    elif calibration.width:
        for width, height in sizes:
            if (width, height) != (calibration.width, calibration.height):
                yield f"camera scaled from {calibration.width}x{calibration.height} to {width}x{height}"
    if len(sizes) > 1:
        yield f"the images have different sizes: {', '.join(f'{width}x{height}' for width, height in sizes)}"
    for values, topic in ((inputs.poses, POSE_TOPIC), (inputs.altitude, ALTITUDE_TOPIC)):
        if values is not None and counts[topic] < frames:
            yield f"{frames - counts[topic]} of {frames} images have no message on {topic}"


def _parse(argv: Sequence[str] | None) -> MakeBagOptions:
    defaults = {option.name: option.default for option in fields(MakeBagOptions)}
    parser = argparse.ArgumentParser(
        prog="make_bag",
        description="Make a rosbag2 of a folder of images or a video.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder of images, or a video file")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the bag")
    parser.add_argument("--pattern", metavar="GLOB", help="which images of the folder, as 'left*.jpg' (all)")
    parser.add_argument(
        "--camera",
        type=Path,
        metavar="FILE",
        help="camera file: ROS camera_calibration YAML, OpenCV FileStorage, YAML {K, D, model, width, height}, JSON",
    )
    parser.add_argument("--camera-number", type=int, choices=(1, 2), help="which camera of an OpenCV stereo file")
    parser.add_argument(
        "--rate", type=float, metavar="HZ", help="frame rate (stamps in file names, that of the video, or 10)"
    )
    parser.add_argument(
        "--start-stamp", dest="start_ns", type=_nanoseconds, metavar="S", help="stamp of the first frame, seconds (1)"
    )
    parser.add_argument(
        "--poses", type=Path, metavar="FILE", help="camera poses: TUM text, or JSON with T_enu_cam by file name"
    )
    parser.add_argument(
        "--altitude",
        metavar="FILE|METRES",
        help="height above ground: a number, text with stamp and altitude, or JSON with exif.RelativeAltitude",
    )
    parser.add_argument("--topic-prefix", metavar="NAME", help="namespace of image and camera_info (camera)")
    parser.add_argument("--frame-id", metavar="NAME", help="frame of the camera (camera_optical)")
    parser.add_argument("--storage", choices=tuple(STORAGES), help="(mcap)")
    parser.add_argument("--encoding", choices=ENCODINGS, help="(bgr8)")
    parser.add_argument("--max-side", type=int, metavar="N", help="shrink images to this longer side, in pixels")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N frames")
    parser.add_argument("--force", action="store_true", help="replace the bag if it is there")
    parser.set_defaults(**{name: value for name, value in defaults.items() if value is not MISSING})
    return MakeBagOptions(**vars(parser.parse_args(argv)))


def _nanoseconds(text: str) -> int:
    try:
        return int(Decimal(text).scaleb(9).to_integral_value())
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds") from error


if __name__ == "__main__":
    run(main)
