"""The messages of a recording in the order of their stamps: frames of all cameras, depth, IMU and ground truth."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from rosbags.typesys.store import Typestore

from perception_common.errors import InputError
from replay_ros.bags.datasets.calibration import Calibration, fit_to_image, uncalibrated
from replay_ros.bags.datasets.ground_truth import Altitude, Poses
from replay_ros.bags.datasets.recording import CameraStream, Recording, TrueBox
from replay_ros.bags.datasets.sequences.frames import BrokenFrame, Frame
from replay_ros.bags.datasets.sequences.images import ImageFolder
from replay_ros.bags.making.telemetry_messages import NOTES_TOPIC, telemetry_messages
from replay_ros.bags.messages import (
    COMPRESSED_ENCODINGS,
    MAX_RANGE,
    camera_info_message,
    image_message,
    range_message,
    world_pose_message,
)
from replay_ros.bags.sensor_messages import (
    depth_message,
    detection_message,
    imu_message,
    text_message,
    transforms_message,
    true_detections_message,
    true_tracks_message,
)
from replay_ros.bags.telemetry.flight import FrameTelemetry, TelemetrySource
from replay_ros.bags.telemetry.lens import calibration_of

WORLD_FRAME = "map"  # REP-105: fixed, z up
POSE_TOPIC = "/ground_truth/pose"
DETECTIONS_TOPIC = "/ground_truth/detections"
TRACKS_TOPIC = "/ground_truth/tracks"
ALTITUDE_TOPIC = "/altitude"
DEPTH_TOPIC = "/depth/image"
IMU_TOPIC = "/imu"
IMU_FRAME = "imu_link"


@dataclass(frozen=True)
class BagLayout:
    """How a recording is written.

    topic_prefix, frame_id: of the first camera; the name of any other camera is appended. encoding: None: bgr8, and
    mono8 for gray cameras. max_side: pixels; larger images are shrunk. limit: frames of each camera; None: all.
    """

    topic_prefix: str = "camera"
    frame_id: str = "camera_optical"
    encoding: str | None = None
    max_side: int | None = None
    limit: int | None = None


@dataclass(frozen=True, eq=False)
class BagContent:
    """A recording with the poses and altitude of its images, and what a drone says of them; None: unknown."""

    recording: Recording
    poses: Poses | None
    altitude: Altitude | None
    telemetry: TelemetrySource | None = None


@dataclass(frozen=True)
class Event:
    """The messages of one sensor at one time: (topic, message) pairs in the order of writing.

    camera: index of the camera; -1 for other sensors. frame, size: name of the camera's image, and its (width, height).
    is_turned: whether it was turned upright. broken: name of a frame that cannot be read, and the reason; there are no
    messages then.
    """

    stamp_ns: int
    messages: tuple[tuple[str, Any], ...]
    camera: int = -1
    frame: str = ""
    size: tuple[int, int] | None = None
    is_turned: bool = False
    broken: tuple[str, str] | None = None


def timed_events(content: BagContent, layout: BagLayout, types: Typestore) -> Iterator[Event]:
    """Yield all events in the order of their stamps; at equal stamps sensors precede images, cameras keep their order.

    Depth and IMU end with the images. Raises InputError for a calibration that does not fit its images.
    """
    recording = content.recording
    end_ns = _last_image_stamp(recording, layout.limit)
    merged = heapq.merge(
        _depth_events(recording, layout, types, end_ns),
        _imu_events(recording, types, end_ns),
        *(_camera_events(content, index, layout, types) for index in range(len(recording.cameras))),
        key=lambda event: event.stamp_ns,
    )
    first = next(merged, None)
    if first is None:
        return
    if recording.base_frame:
        transforms = _static_transforms(recording, layout, types, first.stamp_ns)
        yield Event(first.stamp_ns, messages=(("/tf_static", transforms),))
    if content.telemetry is not None:
        notes = text_message(types, "\n".join(recording.notes))
        yield Event(first.stamp_ns, messages=((NOTES_TOPIC, notes),))
    yield first
    yield from merged


def camera_topics(recording: Recording, index: int, layout: BagLayout) -> tuple[str, str]:
    """Return the image topic and the camera_info topic of a camera."""
    camera = recording.cameras[index]
    base = f"/{layout.topic_prefix.strip('/')}" + (f"_{camera.name}" if index else "")
    compressed = _encoding(camera, layout) in COMPRESSED_ENCODINGS
    return f"{base}/image/compressed" if compressed else f"{base}/image", f"{base}/camera_info"


def limit_long_side(image: np.ndarray, max_side: int | None) -> np.ndarray:
    """Return the image shrunk to a longer side of max_side pixels; None and smaller images: unchanged.

    Depth (float32) is not averaged: a pixel takes the depth of the nearest one.
    """
    height, width = image.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return image
    scale = max_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_NEAREST if image.dtype == np.float32 else cv2.INTER_AREA)


def _camera_events(content: BagContent, index: int, layout: BagLayout, types: Typestore) -> Iterator[Event]:
    sequence = content.recording.cameras[index].sequence
    for frame in itertools.islice(sequence, layout.limit):
        if isinstance(frame, BrokenFrame):
            yield Event(frame.stamp_ns, messages=(), camera=index, broken=(frame.name, frame.reason))
            continue
        image = limit_long_side(frame.image, layout.max_side)
        messages = tuple(_frame_messages(content, index, frame, image, layout, types))
        yield Event(
            frame.stamp_ns,
            messages,
            camera=index,
            frame=frame.name,
            size=(image.shape[1], image.shape[0]),
            is_turned=bool(frame.orientation),
        )


def _frame_messages(
    content: BagContent, index: int, frame: Frame, image: np.ndarray, layout: BagLayout, types: Typestore
) -> Iterator[tuple[str, Any]]:
    """Yield topics and messages of a frame, the image last, so that its camera_info precedes it in a replay.

    image: that of the frame as it is written, (H, W, 3) uint8 BGR.
    """
    recording = content.recording
    camera = recording.cameras[index]
    frame_id = _frame_id(recording, index, layout)
    image_topic, info_topic = camera_topics(recording, index, layout)
    known = _telemetry_of(content.telemetry, frame)
    calibration = _fitted_calibration(camera.calibration, known, frame, image)
    yield info_topic, camera_info_message(types, calibration, frame.stamp_ns, frame_id)
    if index == 0:
        is_truth = content.poses is None
        yield from telemetry_messages(types, known, frame.stamp_ns, frame_id, WORLD_FRAME, is_truth=is_truth)
        yield from _truth_messages(content, known, frame, image, frame_id, types)
    yield image_topic, image_message(types, image, _encoding(camera, layout), frame.stamp_ns, frame_id)


def _telemetry_of(telemetry: TelemetrySource | None, frame: Frame) -> FrameTelemetry:
    """Return what the drone says of a frame. That of a picture that was turned upright is of the stored pixels."""
    known = None if telemetry is None else telemetry.at(frame.name, frame.stamp_ns)
    if known is None:
        return FrameTelemetry()
    if not frame.orientation:
        return known
    lens = None if known.lens is None else replace(known.lens, offset=(0.0, 0.0), distortion=())
    return replace(known, rotation=None, rotation_covariance=None, lens=lens)


def _truth_messages(
    content: BagContent, known: FrameTelemetry, frame: Frame, image: np.ndarray, frame_id: str, types: Typestore
) -> Iterator[tuple[str, Any]]:
    stamp_ns, objects = frame.stamp_ns, content.recording.objects
    pose = None if content.poses is None else content.poses.at(frame.name, stamp_ns)
    if pose is not None:
        yield POSE_TOPIC, world_pose_message(types, pose, stamp_ns, WORLD_FRAME)
    metres = None if content.altitude is None else content.altitude.at(frame.name, stamp_ns)
    deviation = None
    if content.altitude is None:
        metres, deviation = known.height, known.height_deviation
        metres = None if metres is None or metres <= 0.0 else metres  # on the ground, or below the take-off
    if metres is not None and 0.0 <= metres <= MAX_RANGE:
        yield ALTITUDE_TOPIC, range_message(types, metres, stamp_ns, frame_id, deviation)
    if objects is not None:
        (height, width), (original_height, original_width) = image.shape[:2], frame.image.shape[:2]
        scale = (width / original_width, height / original_height)
        # Objects that are not scored, as ignored regions, come last.
        boxes = sorted(objects.get(frame.name, ()), key=lambda box: not box.is_scored)
        detections = [_detection(types, box, scale) for box in boxes]
        yield DETECTIONS_TOPIC, true_detections_message(types, detections, (width, height), stamp_ns, frame_id)
        ids = [box.track_id for box in boxes]
        yield TRACKS_TOPIC, true_tracks_message(types, detections, ids, (width, height), stamp_ns, frame_id)


def _detection(types: Typestore, box: TrueBox, scale: tuple[float, float]) -> Any:
    """Return a detection with score 1, or 0 if it is not scored. scale: x and y, written pixels per stored pixel."""
    left, top, width, height = box.corner_and_size
    return detection_message(
        types,
        class_id=box.class_id,
        class_name=box.class_name,
        score=float(box.is_scored),
        center=((left + width / 2) * scale[0], (top + height / 2) * scale[1]),
        size=(width * scale[0], height * scale[1]),
    )


def _fitted_calibration(
    calibration: Calibration | None, known: FrameTelemetry, frame: Frame, image: np.ndarray
) -> Calibration:
    """Return the calibration of the image as it is written; `frame` holds the image as it was read.

    Without a calibration the lens of the telemetry makes an approximate one.
    """
    height, width = image.shape[:2]
    if calibration is None:
        return uncalibrated(width, height) if known.lens is None else calibration_of(known.lens, width, height)
    if frame.orientation:
        raise InputError(
            f"{frame.name}: is turned upright ({frame.orientation}), but the calibration is for the pixels as stored; "
            "remove the orientation (exiftool -Orientation= FILE), or turn image and calibration together"
        )
    try:
        as_read = fit_to_image(calibration, width=frame.image.shape[1], height=frame.image.shape[0])
    except InputError as error:
        raise InputError(f"{frame.name}: {error}") from error
    return fit_to_image(as_read, width, height)


def _depth_events(recording: Recording, layout: BagLayout, types: Typestore, end_ns: int | None) -> Iterator[Event]:
    depth = recording.depth
    if depth is None:
        return
    for file, stamp_ns in zip(depth.files, depth.stamps_ns, strict=True):
        if end_ns is not None and stamp_ns > end_ns:
            return
        try:
            metres = limit_long_side(depth.read(file), layout.max_side)
        except InputError as error:
            yield Event(stamp_ns, messages=(), broken=(file.name, str(error)))
            continue
        yield Event(stamp_ns, messages=((DEPTH_TOPIC, depth_message(types, metres, stamp_ns, layout.frame_id)),))


def _imu_events(recording: Recording, types: Typestore, end_ns: int | None) -> Iterator[Event]:
    imu = recording.imu
    if imu is None:
        return
    for stamp_ns, rates, accelerations in zip(imu.stamps_ns.tolist(), imu.rates, imu.accelerations, strict=True):
        if end_ns is not None and stamp_ns > end_ns:
            return
        yield Event(stamp_ns, messages=((IMU_TOPIC, imu_message(types, rates, accelerations, stamp_ns, IMU_FRAME)),))


def _static_transforms(recording: Recording, layout: BagLayout, types: Typestore, stamp_ns: int) -> Any:
    poses = {_frame_id(recording, index, layout): each.T_base_optical for index, each in enumerate(recording.cameras)}
    if recording.imu is not None:
        poses[IMU_FRAME] = recording.imu.T_base_imu
    return transforms_message(types, recording.base_frame, poses, stamp_ns)


def _encoding(camera: CameraStream, layout: BagLayout) -> str:
    return layout.encoding or ("mono8" if camera.is_gray else "bgr8")


def _frame_id(recording: Recording, index: int, layout: BagLayout) -> str:
    return f"{layout.frame_id}_{recording.cameras[index].name}" if index else layout.frame_id


def _last_image_stamp(recording: Recording, limit: int | None) -> int | None:
    """Return the stamp of the last image to write, nanoseconds; None when it is unknown in advance (a video)."""
    sequences = [camera.sequence for camera in recording.cameras]
    return max((each.stamps_ns[:limit][-1] for each in sequences if isinstance(each, ImageFolder)), default=None)
