"""Make a bag of a folder of images, a video or a dataset's sequence, with its ground truth.

`datasets/` reads the source, `timeline.py` turns it into stamped messages.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from perception_common.errors import InputError
from perception_common.images.intensity import INTENSITIES
from replay_ros.bags.datasets.camera_files import read_calibration
from replay_ros.bags.datasets.formats import open_recording
from replay_ros.bags.datasets.ground_truth import read_altitude, read_poses
from replay_ros.bags.datasets.recording import CameraStream, FrameTiming, Recording, choose_cameras
from replay_ros.bags.datasets.sequences.video import Video
from replay_ros.bags.making.summary import BagSummary
from replay_ros.bags.making.telemetry import sensor_parameters, telemetry_notes, with_telemetry
from replay_ros.bags.making.timeline import (
    ALTITUDE_TOPIC,
    POSE_TOPIC,
    BagContent,
    BagLayout,
    camera_topics,
    timed_events,
)
from replay_ros.bags.messages import ENCODINGS
from replay_ros.bags.own_parameters import FILE_NAME
from replay_ros.bags.writer import BagWriter

logger = logging.getLogger(__name__)

MIN_SIDE = 16  # pixels; empirical: smaller images are a mistake


@dataclass(frozen=True)
class MakeBagOptions:
    """What goes into a bag and how.

    source: folder of images, video file or a dataset's sequence. out: folder of the bag. format: one of FORMATS; None:
    the recognised one. cameras: names of a dataset's cameras; None: all. pattern: glob that selects images of a folder.
    intensity: how images of more than 8 bits become 8 bits, one of INTENSITIES.
    camera: camera file; None: the dataset's calibration, or an uncalibrated camera_info. camera_number: 1 or 2, of an
    OpenCV stereo file.
    rate: Hz; None: the stamps in file names, the times of the video, or 10 Hz. start_ns: first stamp; None: 1 s.
    telemetry: read what the drone wrote into its photographs or beside its video. poses: TUM text, or JSON by file
    name. altitude: metres, or a file. encoding: None: bgr8, and mono8 for gray cameras of datasets. max_side: pixels;
    larger images are shrunk. limit: frames of each camera; None: all.
    force: replace an existing bag.
    """

    source: Path
    out: Path
    format: str | None = None
    cameras: tuple[str, ...] | None = None
    pattern: str = "*"
    intensity: str = INTENSITIES[0]
    camera: Path | None = None
    camera_number: int | None = None
    rate: float | None = None
    start_ns: int | None = None
    telemetry: bool = True
    poses: Path | None = None
    altitude: str | None = None
    topic_prefix: str = "camera"
    frame_id: str = "camera_optical"
    storage: str = "mcap"
    encoding: str | None = None
    max_side: int | None = None
    limit: int | None = None
    force: bool = False


@dataclass(frozen=True, eq=False)
class _Written:
    """What was written. counts: messages by topic. The rest is of the first camera.

    sizes: (width, height), with their numbers of images. first_names: the first image of each size. turned: the images
    that were turned upright. stamps_ns: of all.
    """

    counts: Counter[str]
    sizes: Counter[tuple[int, int]]
    first_names: dict[tuple[int, int], str]
    turned: list[str]
    stamps_ns: list[int]
    broken: list[str]


def make_bag(options: MakeBagOptions) -> BagSummary:
    """Write the bag. Raises InputError, and leaves no bag behind, when an input cannot be used."""
    _check_options(options)
    content = _open_content(options)
    layout = BagLayout(
        topic_prefix=options.topic_prefix,
        frame_id=options.frame_id,
        encoding=options.encoding,
        max_side=options.max_side,
        limit=options.limit,
    )
    with BagWriter(options.out, options.storage, force=options.force) as bag:
        written = _write_messages(bag, content, layout)
        parameters = "" if content.telemetry is None else sensor_parameters(written.counts, layout.frame_id)
        if parameters:
            bag.add_file(FILE_NAME, parameters)
        if not written.stamps_ns:
            raise InputError(
                f"none of the {len(written.broken)} frames of {options.source} can be read; see the warnings"
            )
        _check_ground_truth(content, options, written)
    stamps_ns = written.stamps_ns
    return BagSummary(
        path=options.out,
        what=content.recording.what,
        frames=len(stamps_ns),
        timing=content.recording.cameras[0].sequence.timing,
        duration_s=(stamps_ns[-1] - stamps_ns[0]) / 1e9,
        sizes=tuple(size for size, _ in written.sizes.most_common()),
        counts=dict(written.counts),
        broken=tuple(written.broken),
        notes=tuple(_notes(content, layout, written)),
    )


def _write_messages(bag: BagWriter, content: BagContent, layout: BagLayout) -> _Written:
    counts: Counter[str] = Counter()
    sizes: Counter[tuple[int, int]] = Counter()
    first_names: dict[tuple[int, int], str] = {}
    turned: list[str] = []
    stamps_ns: list[int] = []
    broken: list[str] = []
    lengths = [len(camera.sequence) for camera in content.recording.cameras]
    total = sum(length if layout.limit is None else min(layout.limit, length) for length in lengths)
    with logging_redirect_tqdm(), tqdm(total=total, unit="frame", desc="make_bag", disable=None) as progress:
        for event in timed_events(content, layout, bag.types):
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
                turned += [event.frame] * event.is_turned
                first_names.setdefault(event.size, event.frame)
                stamps_ns.append(event.stamp_ns)
    return _Written(counts, sizes, first_names, turned, stamps_ns, broken)


def _check_options(options: MakeBagOptions) -> None:
    if options.encoding is not None and options.encoding not in ENCODINGS:
        raise InputError(f"unknown encoding {options.encoding!r}; choose one of {', '.join(ENCODINGS)}")
    if not re.fullmatch(r"/?([A-Za-z][A-Za-z0-9_]*/?)+", options.topic_prefix):
        raise InputError(f"the topic prefix {options.topic_prefix!r} is not a ROS name; use letters, digits, _ and /")
    if options.camera_number is not None and options.camera is None:
        raise InputError("a camera number needs a camera file; add --camera FILE")
    if options.max_side is not None and options.max_side < MIN_SIDE:
        raise InputError(f"the longer side cannot be {options.max_side} pixels; give at least {MIN_SIDE}")
    if options.limit is not None and options.limit < 1:
        raise InputError(f"the limit is {options.limit} frames; give at least 1")


def _open_content(options: MakeBagOptions) -> BagContent:
    """Open the source. A given camera file and given poses override its own."""
    timing = FrameTiming(rate=options.rate, start_ns=options.start_ns)
    recording = open_recording(options.source, timing, options.format, options.pattern)
    if options.cameras is not None:
        recording = choose_cameras(recording, options.cameras)
    recording = replace(
        recording, cameras=tuple(_with_intensity(each, options.intensity) for each in recording.cameras)
    )
    telemetry = None
    if options.telemetry:
        has_camera = options.camera is not None
        recording, telemetry = with_telemetry(recording, has_camera=has_camera, limit=options.limit)
    if options.camera is not None:
        recording = _with_calibration(recording, options.camera, options.camera_number)
    return BagContent(
        recording=recording,
        poses=recording.optical_poses() if options.poses is None else read_poses(options.poses),
        altitude=None if options.altitude is None else read_altitude(options.altitude),
        telemetry=telemetry,
    )


def _with_intensity(camera: CameraStream, intensity: str) -> CameraStream:
    """Return the camera with this way to 8 bits. Frames of videos have 8 bits already."""
    if isinstance(camera.sequence, Video):
        return camera
    return replace(camera, sequence=replace(camera.sequence, intensity=intensity))


def _with_calibration(recording: Recording, file: Path, number: int | None) -> Recording:
    if len(recording.cameras) > 1:
        names = ", ".join(camera.name for camera in recording.cameras)
        raise InputError(f"{file} is for one camera and {recording.what} has {names}; choose one with --cameras")
    camera = replace(recording.cameras[0], calibration=read_calibration(file, number))
    return replace(recording, cameras=(camera,))


def _check_ground_truth(content: BagContent, options: MakeBagOptions, written: _Written) -> None:
    """Raise InputError when no image has a pose or an altitude although a file was given."""
    first, last = written.stamps_ns[0], written.stamps_ns[-1]
    images = f"the images run from {first / 1e9:.3f} s to {last / 1e9:.3f} s"
    advice = "check file names and stamps (--rate, --start-stamp)"
    # The poses of the dataset itself may cover other images than the chosen ones.
    if options.poses is not None and content.poses is not None and not written.counts[POSE_TOPIC]:
        span = content.poses.span()
        raise InputError(f"no image has a pose: {images}, {options.poses} covers {span}; {advice}")
    if content.altitude is not None and not written.counts[ALTITUDE_TOPIC]:
        span = content.altitude.span()
        raise InputError(f"no image has an altitude: {images}, {options.altitude} covers {span}; {advice}")


def _notes(content: BagContent, layout: BagLayout, written: _Written) -> Iterator[str]:
    recording = content.recording
    yield from recording.notes
    for camera in recording.cameras:
        yield from camera.sequence.notes
    if len(recording.cameras) > 1:
        topics = [camera_topics(recording, index, layout)[0] for index in range(len(recording.cameras))]
        yield f"images are on {', '.join(topics)}: choose with --image-topic, or here with --cameras"
    if content.telemetry is None:
        yield from _camera_notes(recording.cameras[0], written.sizes)
    else:
        yield from telemetry_notes(written.counts, len(written.stamps_ns), len(written.turned))
    if len(written.sizes) > 1:
        sizes = ", ".join(
            f"{count} of {size[0]}x{size[1]} (first: {written.first_names[size]})"
            for size, count in written.sizes.most_common()
        )
        yield f"the images have different sizes: {sizes}"
    frames = len(written.stamps_ns)
    if written.turned:
        yield f"{len(written.turned)} of {frames} images are turned upright as their files say, as {written.turned[0]}"
    for values, topic in ((content.poses, POSE_TOPIC), (content.altitude, ALTITUDE_TOPIC)):
        if values is not None and written.counts[topic] < frames:
            yield f"{frames - written.counts[topic]} of {frames} images have no message on {topic}"


def _camera_notes(camera: CameraStream, sizes: Counter[tuple[int, int]]) -> Iterator[str]:
    calibration = camera.calibration
    if calibration is None:
        yield "no camera file: camera_info is uncalibrated, so there will be no relative poses"
    elif calibration.width:
        for width, height in sizes:
            if (width, height) != (calibration.width, calibration.height):
                yield f"camera scaled from {calibration.width}x{calibration.height} to {width}x{height}"
