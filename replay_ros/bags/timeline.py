"""What of a recording goes into a bag, and when: frames of its cameras, depth and IMU samples in the order of time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from rosbags.typesys.store import Typestore

from perception_common.errors import InputError
from replay_ros.bags.datasets.calibration import Calibration, fit_to_image, uncalibrated
from replay_ros.bags.datasets.ground_truth import (
    ConstantAltitude,
    NamedAltitude,
    NamedPoses,
    StampedAltitude,
    StampedPoses,
)
from replay_ros.bags.datasets.recording import CameraStream, Recording
from replay_ros.bags.datasets.sequences import BrokenFrame, Frame, ImageFolder
from replay_ros.bags.messages import (
    COMPRESSED_ENCODINGS,
    MAX_RANGE,
    camera_info_message,
    image_message,
    pose_message,
    range_message,
)
from replay_ros.bags.sensor_messages import depth_message, imu_message, transforms_message, true_detections_message

WORLD_FRAME = "map"  # REP-105: fixed, z up
POSE_TOPIC = "/ground_truth/pose"
DETECTIONS_TOPIC = "/ground_truth/detections"
ALTITUDE_TOPIC = "/altitude"
DEPTH_TOPIC = "/depth/image"
IMU_TOPIC = "/imu"
IMU_FRAME = "imu_link"


@dataclass(frozen=True)
class Form:
    """How a recording is written.

    topic_prefix, frame_id: of the first camera; another one has its name behind them. encoding: None for bgr8, and
    mono8 for gray cameras. max_side: pixels; larger images are shrunk. limit: frames of each camera; None for all.
    """

    topic_prefix: str = "camera"
    frame_id: str = "camera_optical"
    encoding: str | None = None
    max_side: int | None = None
    limit: int | None = None


@dataclass(frozen=True, eq=False)
class Contents:
    """A recording with what was given beside it; None where nothing is known."""

    recording: Recording
    poses: StampedPoses | NamedPoses | None
    altitude: StampedAltitude | NamedAltitude | ConstantAltitude | None


@dataclass(frozen=True)
class Event:
    """What is written at one time. size: (width, height) of a camera's image; camera: its place among the cameras, -1
    for other sensors. broken: name and reason of what could not be read; there are no messages then.
    """

    stamp_ns: int
    messages: tuple[tuple[str, Any], ...]
    camera: int = -1
    size: tuple[int, int] | None = None
    broken: tuple[str, str] | None = None


def events(contents: Contents, form: Form, types: Typestore) -> Iterator[Event]:
    """Yield all events in the order of their stamps; at one stamp sensors come before images, cameras in their order.

    Depth and IMU end with the images. Raises InputError for a calibration that does not fit.
    """
    recording = contents.recording
    cameras = [_camera_events(contents, index, camera, form, types) for index, camera in enumerate(recording.cameras)]
    end_ns = _end(recording, form.limit)
    sources = [_depth_events(recording, form, types, end_ns), _imu_events(recording, types, end_ns), *cameras]
    merged = heapq.merge(*sources, key=lambda event: event.stamp_ns)
    first = next(merged, None)
    if first is None:
        return
    if recording.base_frame:
        yield Event(first.stamp_ns, (("/tf_static", _transforms(recording, form, types, first.stamp_ns)),))
    yield first
    yield from merged


def camera_topics(contents: Contents, index: int, form: Form) -> tuple[str, str]:
    """Return the topics of the images of a camera and of its camera_info."""
    camera = contents.recording.cameras[index]
    base = f"/{form.topic_prefix.strip('/')}" + (f"_{camera.name}" if index else "")
    compressed = encoding_of(camera, form) in COMPRESSED_ENCODINGS
    return f"{base}/image/compressed" if compressed else f"{base}/image", f"{base}/camera_info"


def encoding_of(camera: CameraStream, form: Form) -> str:
    """Return the encoding of a camera's images."""
    return form.encoding or ("mono8" if camera.is_gray else "bgr8")


def shrink(image: np.ndarray, max_side: int | None) -> np.ndarray:
    """Return the image with its longer side at most max_side pixels; None and small images leave it as it is.

    Depths (float32) are not mixed: each keeps that of the nearest pixel.
    """
    height, width = image.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return image
    scale = max_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_NEAREST if image.dtype == np.float32 else cv2.INTER_AREA)


def _camera_events(
    contents: Contents, index: int, camera: CameraStream, form: Form, types: Typestore
) -> Iterator[Event]:
    for frame in itertools.islice(camera.sequence, form.limit):
        if isinstance(frame, BrokenFrame):
            yield Event(frame.stamp_ns, (), index, broken=(frame.name, frame.reason))
            continue
        image = shrink(frame.image, form.max_side)
        messages = tuple(_frame_messages(contents, index, frame, image, form, types))
        yield Event(frame.stamp_ns, messages, index, (image.shape[1], image.shape[0]))


def _frame_messages(
    contents: Contents, index: int, frame: Frame, image: np.ndarray, form: Form, types: Typestore
) -> Iterator[tuple[str, Any]]:
    """Yield topics and messages of one frame, the image last: who replays them has the rest by then."""
    camera, stamp, frame_id = (
        contents.recording.cameras[index],
        frame.stamp_ns,
        _frame_id(contents.recording, index, form),
    )
    image_topic, info_topic = camera_topics(contents, index, form)
    yield info_topic, camera_info_message(types, _calibration(camera.calibration, frame, image), stamp, frame_id)
    if index == 0:
        yield from _truth_messages(contents, frame, image, frame_id, types)
    yield image_topic, image_message(types, image, encoding_of(camera, form), stamp, frame_id)


def _truth_messages(
    contents: Contents, frame: Frame, image: np.ndarray, frame_id: str, types: Typestore
) -> Iterator[tuple[str, Any]]:
    stamp, objects = frame.stamp_ns, contents.recording.objects
    pose = None if contents.poses is None else contents.poses.at(frame.name, stamp)
    if pose is not None:
        yield POSE_TOPIC, pose_message(types, pose, stamp, WORLD_FRAME)
    metres = None if contents.altitude is None else contents.altitude.at(frame.name, stamp)
    if metres is not None and 0.0 <= metres <= MAX_RANGE:
        yield ALTITUDE_TOPIC, range_message(types, metres, stamp, frame_id)
    if objects is not None:
        (height, width), (original_height, original_width) = image.shape[:2], frame.image.shape[:2]
        scale = (width / original_width, height / original_height)
        found = objects.get(frame.name, ())
        message = true_detections_message(types, found, scale, (width, height), stamp, frame_id)
        yield DETECTIONS_TOPIC, message


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


def _depth_events(recording: Recording, form: Form, types: Typestore, end_ns: int | None) -> Iterator[Event]:
    depth = recording.depth
    if depth is None:
        return
    for file, stamp in zip(depth.files, depth.stamps_ns, strict=True):
        if end_ns is not None and stamp > end_ns:
            return
        try:
            metres = shrink(depth.read(file), form.max_side)
        except InputError as error:
            yield Event(stamp, (), broken=(file.name, str(error)))
            continue
        yield Event(stamp, ((DEPTH_TOPIC, depth_message(types, metres, stamp, form.frame_id)),))


def _imu_events(recording: Recording, types: Typestore, end_ns: int | None) -> Iterator[Event]:
    imu = recording.imu
    if imu is None:
        return
    for stamp, rates, accelerations in zip(imu.stamps_ns.tolist(), imu.rates, imu.accelerations, strict=True):
        if end_ns is not None and stamp > end_ns:
            return
        yield Event(stamp, ((IMU_TOPIC, imu_message(types, rates, accelerations, stamp, IMU_FRAME)),))


def _transforms(recording: Recording, form: Form, types: Typestore, stamp_ns: int) -> Any:
    poses = {_frame_id(recording, index, form): each.T_base_optical for index, each in enumerate(recording.cameras)}
    if recording.imu is not None:
        poses[IMU_FRAME] = recording.imu.T_base_imu
    return transforms_message(types, recording.base_frame, poses, stamp_ns)


def _frame_id(recording: Recording, index: int, form: Form) -> str:
    return f"{form.frame_id}_{recording.cameras[index].name}" if index else form.frame_id


def _end(recording: Recording, limit: int | None) -> int | None:
    """Return the stamp of the last image that is written, or None where it is not known (a video)."""
    sequences = [camera.sequence for camera in recording.cameras]
    return max((each.stamps_ns[:limit][-1] for each in sequences if isinstance(each, ImageFolder)), default=None)
