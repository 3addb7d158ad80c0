"""Targets: messages as a node gets them. The input is a serialised message (CDR), so the types of its fields hold."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.typesys.store import Typestore

from loftr_ros.sensors.settings import SensorSettings
from loftr_ros.sensors.suite import Sensors
from loftr_ros.sensors.topics import DEPTH, ODOMETRY
from perception_common.cameras.camera_info import CameraInfoBuffer
from perception_common.errors import InputError
from perception_common.images.conversion import to_gray, to_rgb
from perception_common.images.encodings import ENCODINGS
from perception_common.sensors.topics import ALTITUDES, IMU, SensorTopic
from replay_ros.bags.datasets.calibration import Calibration
from replay_ros.bags.datasets.ground_truth import Pose
from replay_ros.bags.messages import camera_info_message, header, image_message, load_types, new, range_message
from replay_ros.bags.sensor_messages import depth_message, imu_message, odometry_message
from replay_ros.reliability.fuzz.target import Target

IMAGE, COMPRESSED, INFO = (f"sensor_msgs/msg/{name}" for name in ("Image", "CompressedImage", "CameraInfo"))
_SIZE = (16, 12)  # of the images, pixels


def targets() -> list[Target]:
    """Return the targets of this module."""
    sensors = (*ALTITUDES.values(), DEPTH, ODOMETRY, IMU)
    return [
        Target("image message", _image_seeds, partial(_read, IMAGE, _convert)),
        Target("compressed image", _compressed_seeds, partial(_read, COMPRESSED, _convert), cost=2),
        Target("camera_info", _camera_info_seeds, partial(_read, INFO, _calibrate)),
        *(
            Target(topic.type, partial(_sensor_seeds, topic), partial(_read, topic.type, partial(_add_reading, topic)))
            for topic in sensors
        ),
    ]


@cache
def _types() -> Typestore:
    return load_types()


def _read(kind: str, use: Callable[[Any], object], data: bytes, folder: Path) -> object:
    try:
        message = _types().deserialize_cdr(data, kind)
    except Exception as error:  # the middleware refuses these bytes before they reach a node
        raise InputError(f"these bytes are no {kind}") from error
    return use(message)


def _serialise(message: Any) -> bytes:
    return bytes(_types().serialize_cdr(message, message.__msgtype__))


def _picture() -> np.ndarray:
    rng = np.random.default_rng(0)
    return cv2.resize(rng.integers(0, 256, (4, 4, 3), np.uint8), _SIZE)


def _convert(message: Any) -> object:
    return to_rgb(message).shape, to_gray(message).shape


def _image_seeds() -> list[bytes]:
    rng = np.random.default_rng(0)
    seeds = []
    for name, encoding in ENCODINGS.items():
        step = 8 * encoding.channels * np.dtype(encoding.sample).itemsize
        message = new(
            _types(),
            IMAGE,
            header=header(_types(), 10**9, "camera"),
            height=8,
            width=8,
            encoding=name,
            is_bigendian=0,
            step=step,
            data=rng.integers(0, 256, step * round(8 * (1 + encoding.chroma_rows)), np.uint8),
        )
        seeds.append(_serialise(message))
    return seeds


def _compressed_seeds() -> list[bytes]:
    messages = [
        image_message(_types(), _picture(), form, 10**9, "camera") for form in ("compressed-jpeg", "compressed-png")
    ]
    contents = {suffix: cv2.imencode(suffix, _picture())[1] for suffix in (".bmp", ".webp", ".tiff")}
    contents["16UC1; png compressed"] = cv2.imencode(".png", _picture()[..., 0].astype(np.uint16) << 8)[1]
    for form, data in contents.items():
        head = header(_types(), 10**9, "camera")
        messages.append(new(_types(), COMPRESSED, header=head, format=form.strip("."), data=data.ravel()))
    return [_serialise(message) for message in messages]


def _camera_info_seeds() -> list[bytes]:
    K, identity = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), np.eye(3)
    P = np.hstack([K, np.zeros((3, 1))])
    models = {"plumb_bob": (0.1, 0, 0, 0, 0), "equidistant": (0.1, 0, 0, 0), "rational_polynomial": (0.0,) * 8}
    return [
        _serialise(
            camera_info_message(
                _types(),
                Calibration(width=640, height=480, model=model, D=tuple(map(float, D)), K=K, R=identity, P=P),
                10**9,
                "camera",
            )
        )
        for model, D in models.items()
    ]


def _calibrate(message: Any) -> object:
    buffer = CameraInfoBuffer("camera_info")
    buffer.add(message)
    camera = buffer.camera(10**9, 640, 480)
    return camera.undistort(np.array([[0.0, 0.0], [320.0, 240.0], [640.0, 480.0]]))


def _sensor_seeds(topic: SensorTopic) -> list[bytes]:
    types, stamp = _types(), 10**9
    pose = Pose(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.0, 0.0, 1.0]))
    makers: dict[str, Callable[[], Any]] = {
        "sensor_msgs/msg/Range": lambda: range_message(types, 50.0, stamp, "altimeter"),
        "std_msgs/msg/Float64": lambda: new(types, "std_msgs/msg/Float64", data=50.0),
        "sensor_msgs/msg/NavSatFix": lambda: new(
            types,
            "sensor_msgs/msg/NavSatFix",
            header=header(types, stamp, "gps"),
            status=new(types, "sensor_msgs/msg/NavSatStatus", status=0, service=1),
            latitude=47.0,
            longitude=8.0,
            altitude=500.0,
            position_covariance=np.ones(9),
            position_covariance_type=2,
        ),
        "sensor_msgs/msg/Image": lambda: depth_message(types, np.ones(_SIZE[::-1], np.float32), stamp, "camera"),
        "nav_msgs/msg/Odometry": lambda: odometry_message(types, pose, stamp, "map", "camera"),
        "sensor_msgs/msg/Imu": lambda: imu_message(types, [0.0] * 3, [1.0] * 3, stamp, "imu"),
    }
    return [_serialise(makers[topic.type]())]


def _add_reading(topic: SensorTopic, message: Any) -> object:
    return topic.add(Sensors(SensorSettings()), message, 10**9)
