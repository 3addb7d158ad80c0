"""The command `make_bag`: a folder of images, a video or a dataset's sequence becomes a rosbag2, with its truth.

What the datasets hold is read in `datasets/`, what of it goes into the bag stands in `timeline.py`.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from perception_common.cli import run
from perception_common.errors import InputError
from replay_ros.bags.datasets.calibration import read_calibration
from replay_ros.bags.datasets.formats import FORMATS, open_recording
from replay_ros.bags.datasets.ground_truth import read_altitude, read_poses
from replay_ros.bags.datasets.recording import CameraStream, FrameTiming, Recording, choose_cameras
from replay_ros.bags.messages import ENCODINGS
from replay_ros.bags.timeline import ALTITUDE_TOPIC, POSE_TOPIC, Contents, Form, camera_topics, events
from replay_ros.bags.writer import STORAGES, BagWriter

logger = logging.getLogger(__name__)

EXAMPLE = """\
example:
  make_bag flight/images flight_bag --camera camera.yaml --rate 2 --poses poses.json --altitude 40

  make_bag dataset/sequences/00 kitti_bag
  make_bag rgbd_dataset_freiburg2_desk tum_bag --limit 300
  make_bag MH_01_easy euroc_bag --cameras cam0
  make_bag VisDrone2019-VID-val/sequences/uav0000086_00000_v visdrone_bag --rate 24

writes <prefix>/image (or <prefix>/image/compressed), <prefix>/camera_info, ground_truth/pose (PoseStamped, pose of the
optical frame in "map") and altitude (sensor_msgs/Range, metres above ground), with the stamp of their image. Sequences
of KITTI odometry, TUM RGB-D, EuRoC and VisDrone-VID or -MOT are recognised; they bring their own stamps, cameras and
truth, and depth/image, imu, /tf_static or ground_truth/detections where they have them. Further cameras have topics
of their own: <prefix>_<name>/image.
"""


@dataclass(frozen=True)
class MakeBagOptions:
    """What goes into a bag and how.

    source: folder of images, video file or a dataset's sequence. out: folder of the bag. format: one of FORMATS; None
    for the one that the source is recognised as. cameras: names of a dataset's cameras; None for all.
    pattern: glob that picks images of the folder. camera: camera file; None for the dataset's calibration, or an
    uncalibrated camera_info. camera_number: 1 or 2, of an OpenCV stereo file.
    rate: Hz; None for the stamps in file names, a video's own rate, or 10 Hz. start_ns: first stamp; None for 1 s.
    poses: TUM text or JSON by file name. altitude: metres, or a file. encoding: None for bgr8, and mono8 for gray
    cameras of datasets. max_side: pixels; larger images are shrunk. limit: frames of each camera; None for all.
    force: replace a bag that is there.
    """

    source: Path
    out: Path
    format: str | None = None
    cameras: tuple[str, ...] | None = None
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
    encoding: str | None = None
    max_side: int | None = None
    limit: int | None = None
    force: bool = False


@dataclass(frozen=True)
class BagSummary:
    """What was written.

    what: what the source was recognised as. frames, duration_s, sizes: of the first camera. timing: where the stamps
    come from. sizes: (width, height) of the images, the most frequent first. counts: messages by topic. broken: names
    of the frames that could not be read. notes: what the user should know, one sentence each.
    """

    path: Path
    what: str
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
    contents = _contents(options)
    form = Form(
        options.topic_prefix, options.frame_id, options.encoding, max_side=options.max_side, limit=options.limit
    )
    counts: Counter[str] = Counter()
    sizes: Counter[tuple[int, int]] = Counter()
    stamps: list[int] = []
    broken: list[str] = []
    sequences = [camera.sequence for camera in contents.recording.cameras]
    total = sum(len(each) if options.limit is None else min(options.limit, len(each)) for each in sequences)
    with (
        BagWriter(options.out, options.storage, force=options.force) as bag,
        logging_redirect_tqdm(),
        tqdm(total=total, unit="frame", desc="make_bag", disable=None) as progress,
    ):
        for event in events(contents, form, bag.types):
            progress.update(event.camera >= 0)
            if event.broken is not None:
                name, reason = event.broken
                logger.warning("skipped: %s", reason)
                broken.append(name)
            for topic, message in event.messages:
                bag.write(topic, message, event.stamp_ns)
                counts[topic] += 1
            if event.camera == 0 and event.size is not None:
                sizes[event.size] += 1
                stamps.append(event.stamp_ns)
        if not stamps:
            raise InputError(f"none of the {len(broken)} frames of {options.source} can be read; see the warnings")
        _check_coverage(contents, options, counts, stamps)
    return BagSummary(
        path=options.out,
        what=contents.recording.what,
        frames=len(stamps),
        timing=sequences[0].timing,
        duration_s=(stamps[-1] - stamps[0]) / 1e9,
        sizes=tuple(size for size, _ in sizes.most_common()),
        counts=dict(counts),
        broken=tuple(broken),
        notes=tuple(_notes(contents, form, counts, sizes)),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Raises InputError for input that cannot be used."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # quiet: what is wrong with a video, we say ourselves
    summary = make_bag(_parse(argv))
    print(describe(summary))
    return 0


def describe(summary: BagSummary) -> str:
    """Say in a few lines what was written."""
    size = "x".join(str(side) for side in summary.sizes[0])
    lines = [
        f"{summary.path}: {summary.frames} images of {size}, {summary.duration_s:.3f} s ({summary.timing})",
        f"  from {summary.what}",
    ]
    lines += [f"  {topic}: {count}" for topic, count in sorted(summary.counts.items())]
    lines += [f"  {note}" for note in summary.notes]
    if summary.broken:
        lines.append(f"  {len(summary.broken)} broken, skipped: {', '.join(summary.broken)}")
    return "\n".join(lines)


def _contents(options: MakeBagOptions) -> Contents:
    """Open the source and put what was given in the place of what it knows itself."""
    timing = FrameTiming(options.rate, options.start_ns)
    recording = open_recording(options.source, timing, options.format, options.pattern)
    if options.cameras is not None:
        recording = choose_cameras(recording, options.cameras)
    if options.camera is not None:
        recording = _calibrated(recording, options.camera, options.camera_number)
    poses = recording.optical_poses() if options.poses is None else read_poses(options.poses)
    return Contents(recording, poses, None if options.altitude is None else read_altitude(options.altitude))


def _calibrated(recording: Recording, file: Path, number: int | None) -> Recording:
    if len(recording.cameras) > 1:
        names = ", ".join(camera.name for camera in recording.cameras)
        raise InputError(f"{file} is for one camera and {recording.what} has {names}; choose one with --cameras")
    camera = replace(recording.cameras[0], calibration=read_calibration(file, number))
    return replace(recording, cameras=(camera,))


def _check(options: MakeBagOptions) -> None:
    if options.encoding is not None and options.encoding not in ENCODINGS:
        raise InputError(f"unknown encoding {options.encoding!r}; choose one of {', '.join(ENCODINGS)}")
    if not re.fullmatch(r"/?([A-Za-z][A-Za-z0-9_]*/?)+", options.topic_prefix):
        raise InputError(f"the topic prefix {options.topic_prefix!r} is no ROS name; use letters, digits, _ and /")
    if options.camera_number is not None and options.camera is None:
        raise InputError("a camera number needs a camera file; add --camera FILE")
    if options.max_side is not None and options.max_side < 16:
        raise InputError(f"the longer side cannot be {options.max_side} pixels; give at least 16")
    if options.limit is not None and options.limit < 1:
        raise InputError(f"the limit is {options.limit} frames; give at least 1")


def _check_coverage(contents: Contents, options: MakeBagOptions, counts: Counter[str], stamps: list[int]) -> None:
    """Refuse poses or altitudes of which none belongs to any image; a dataset's own truth may lie elsewhere."""
    images = f"the images run from {stamps[0] / 1e9:.3f} s to {stamps[-1] / 1e9:.3f} s"
    advice = "check file names and stamps (--rate, --start-stamp)"
    if options.poses is not None and contents.poses is not None and not counts[POSE_TOPIC]:
        span = contents.poses.span()
        raise InputError(f"no image has a pose: {images}, {options.poses} covers {span}; {advice}")
    if contents.altitude is not None and not counts[ALTITUDE_TOPIC]:
        span = contents.altitude.span()
        raise InputError(f"no image has an altitude: {images}, {options.altitude} covers {span}; {advice}")


def _notes(contents: Contents, form: Form, counts: Counter[str], sizes: Counter[tuple[int, int]]) -> Iterator[str]:
    frames = sum(sizes.values())
    recording = contents.recording
    yield from recording.notes
    if len(recording.cameras) > 1:
        first, *others = (camera_topics(contents, index, form)[0] for index in range(len(recording.cameras)))
        yield f"images are on {', '.join([first, *others])}: choose with --image-topic, or here with --cameras"
    yield from _camera_notes(recording.cameras[0], sizes)
    if len(sizes) > 1:
        yield f"the images have different sizes: {', '.join(f'{width}x{height}' for width, height in sizes)}"
    for values, topic in ((contents.poses, POSE_TOPIC), (contents.altitude, ALTITUDE_TOPIC)):
        if values is not None and counts[topic] < frames:
            yield f"{frames - counts[topic]} of {frames} images have no message on {topic}"


def _camera_notes(camera: CameraStream, sizes: Counter[tuple[int, int]]) -> Iterator[str]:
    calibration = camera.calibration
    if calibration is None:
        yield "no camera file: camera_info is uncalibrated, so there will be no relative poses"
    elif calibration.width:
        for width, height in sizes:
            if (width, height) != (calibration.width, calibration.height):
                yield f"camera scaled from {calibration.width}x{calibration.height} to {width}x{height}"


def _parse(argv: Sequence[str] | None) -> MakeBagOptions:
    defaults = {option.name: option.default for option in fields(MakeBagOptions)}
    parser = argparse.ArgumentParser(
        prog="make_bag",
        description="Make a rosbag2 of a folder of images, a video, or a sequence of a public dataset.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source", type=Path, metavar="SOURCE", help="folder of images, video file, or a dataset's sequence"
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the bag")
    parser.add_argument("--format", choices=FORMATS, help="what the source is (recognised by what is in it)")
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
    parser.add_argument("--encoding", choices=ENCODINGS, help="(bgr8; mono8 for gray cameras of datasets)")
    parser.add_argument("--max-side", type=int, metavar="N", help="shrink images to this longer side, in pixels")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N frames")
    parser.add_argument("--force", action="store_true", help="replace the bag if it is there")
    parser.set_defaults(**{name: value for name, value in defaults.items() if value is not MISSING})
    return MakeBagOptions(**vars(parser.parse_args(argv)))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _nanoseconds(text: str) -> int:
    try:
        return int(Decimal(text).scaleb(9).to_integral_value())
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds") from error


if __name__ == "__main__":
    run(main)
