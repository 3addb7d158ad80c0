"""ROS messages without ROS: the types of the `rosbags` package and our own; images, cameras, poses and ranges."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from perception_common.errors import InputError
from perception_common.resources import find_share
from perception_common.stamps import ROS_LIMIT, stamp_ns
from replay_ros.bags.cdr import CdrError, Decoder
from replay_ros.bags.datasets.calibration import Calibration
from replay_ros.bags.datasets.ground_truth import Pose

PACKAGE = "yolc_ros"
RAW_ENCODINGS = ("bgr8", "rgb8", "mono8", "bayer_rggb8")
COMPRESSED_ENCODINGS = ("compressed-jpeg", "compressed-png")
ENCODINGS = RAW_ENCODINGS + COMPRESSED_ENCODINGS
JPEG_QUALITY = 95  # OpenCV's default
RANGE_INFRARED = 1  # sensor_msgs/Range.INFRARED: a narrow beam
MAX_RANGE = 10_000.0  # metres, max_range of sensor_msgs/Range; above any drone's altitude


class MessageTypes(Typestore):
    """Message types that decode the messages of every middleware; see `cdr`."""

    def deserialize_cdr(self, rawdata: bytes | memoryview, typename: str) -> Any:
        """Decode a message. Raises SerdeError when the bytes do not fit the type."""
        try:
            return Decoder(self).decode(rawdata, typename)
        except CdrError as error:
            raise SerdeError(str(error)) from error


def load_types(definitions: Path | None = None) -> Typestore:
    """Return the message types of ROS 2 Jazzy and our own.

    definitions: folder of our .msg files; None: those that come with the package. Raises InputError when the folder
    has none, or when one cannot be parsed.
    """
    folder = find_share() / "msg" if definitions is None else definitions
    types = _parsed_types(folder)
    store = MessageTypes()
    jazzy = get_typestore(Stores.ROS2_JAZZY)
    store.fielddefs |= jazzy.fielddefs
    store.types |= jazzy.types
    store.register(types)
    return store


@cache  # parsing takes most of the time of opening a small bag
def _parsed_types(folder: Path) -> dict[str, Any]:
    """Return constants and fields of the .msg files in a folder, by type. Raises InputError."""
    files = sorted(folder.glob("*.msg"))
    if not files:
        raise InputError(f"there are no message definitions in {folder}; build the package with `make`")
    types: dict[str, Any] = {}
    for file in files:
        try:
            types.update(get_types_from_msg(file.read_text(encoding="utf-8"), f"{PACKAGE}/msg/{file.stem}"))
        except (TypesysError, UnicodeDecodeError) as error:
            raise InputError(f"{file} is not a message definition: {error}") from error
    return types


def new(types: Typestore, type_name: str, **fields: Any) -> Any:
    """Make a message of a type, such as "std_msgs/msg/Header". fields: all of them; there are no defaults."""
    return types.types[type_name](**fields)


def header(types: Typestore, stamp_ns: int, frame_id: str) -> Any:
    """Make a std_msgs/Header. stamp_ns: nanoseconds. Raises InputError for a stamp that ROS cannot hold."""
    if not -ROS_LIMIT <= stamp_ns < ROS_LIMIT:
        raise InputError(
            f"the stamp {stamp_ns / 1e9:.3f} s does not fit a ROS header, which holds less than 2**31 s (until 2038); "
            "give another rate, start stamp or names of the images"
        )
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    stamp = new(types, "builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)
    return new(types, "std_msgs/msg/Header", stamp=stamp, frame_id=frame_id)


def stamp_of(message: Any) -> int | None:
    """Return the header stamp of a message in nanoseconds, or None for a type without a header."""
    message_header = getattr(message, "header", None)
    if message_header is None:
        return None
    return stamp_ns(message_header)


def image_message(types: Typestore, image: np.ndarray, encoding: str, stamp_ns: int, frame_id: str) -> Any:
    """Make a sensor_msgs/Image or CompressedImage of an image (H, W, 3) uint8 BGR; `encoding` is one of ENCODINGS."""
    head = header(types, stamp_ns, frame_id)
    if encoding in COMPRESSED_ENCODINGS:
        suffix = encoding.removeprefix("compressed-")
        settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix == "jpeg" else []
        data = cv2.imencode(f".{suffix}", image, settings)[1]
        return new(
            types,
            "sensor_msgs/msg/CompressedImage",
            header=head,
            format=f"bgr8; {suffix} compressed bgr8",
            data=data.ravel(),
        )
    pixels = np.ascontiguousarray(encode_pixels(image, encoding))
    return new(
        types,
        "sensor_msgs/msg/Image",
        header=head,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels.nbytes // pixels.shape[0],
        data=pixels.ravel(),
    )


def encode_pixels(image: np.ndarray, encoding: str) -> np.ndarray:
    """Convert an image (H, W, 3) uint8 BGR to a raw encoding: (H, W, 3) or (H, W) uint8.

    Raises InputError for an unknown encoding.
    """
    if encoding == "bgr8":
        return image
    if encoding == "rgb8":
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    if encoding == "mono8":
        return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    if encoding == "bayer_rggb8":
        mosaic = image[:, :, 1].copy()
        mosaic[0::2, 0::2] = image[0::2, 0::2, 2]
        mosaic[1::2, 1::2] = image[1::2, 1::2, 0]
        return mosaic
    raise InputError(f"unknown encoding {encoding!r}; choose one of {', '.join(ENCODINGS)}")


def camera_info_message(types: Typestore, calibration: Calibration, stamp_ns: int, frame_id: str) -> Any:
    """Make a sensor_msgs/CameraInfo of the whole image (no binning, no ROI)."""
    region = new(types, "sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return new(
        types,
        "sensor_msgs/msg/CameraInfo",
        header=header(types, stamp_ns, frame_id),
        height=calibration.height,
        width=calibration.width,
        distortion_model=calibration.model,
        d=np.array(calibration.D, np.float64),
        k=calibration.K.ravel().astype(np.float64),
        r=calibration.R.ravel().astype(np.float64),
        p=calibration.P.ravel().astype(np.float64),
        binning_x=0,
        binning_y=0,
        roi=region,
    )


def world_pose_message(types: Typestore, pose: Pose, stamp_ns: int, world_frame: str) -> Any:
    """Make a geometry_msgs/PoseStamped of a pose in the frame `world_frame`."""
    x, y, z = (float(value) for value in pose.position)
    qx, qy, qz, qw = (float(value) for value in pose.orientation)
    return new(
        types,
        "geometry_msgs/msg/PoseStamped",
        header=header(types, stamp_ns, world_frame),
        pose=new(
            types,
            "geometry_msgs/msg/Pose",
            position=new(types, "geometry_msgs/msg/Point", x=x, y=y, z=z),
            orientation=new(types, "geometry_msgs/msg/Quaternion", x=qx, y=qy, z=qz, w=qw),
        ),
    )


def range_message(types: Typestore, metres: float, stamp_ns: int, frame_id: str, deviation: float | None = None) -> Any:
    """Make a sensor_msgs/Range of a height above ground, valid from 0 to MAX_RANGE metres.

    deviation: standard deviation, metres; None: unknown, which Range defines as a variance of 0. Not a
    std_msgs/Float64, which has no stamp.
    """
    return new(
        types,
        "sensor_msgs/msg/Range",
        header=header(types, stamp_ns, frame_id),
        radiation_type=RANGE_INFRARED,
        field_of_view=0.0,
        min_range=0.0,
        max_range=MAX_RANGE,
        range=metres,
        variance=0.0 if deviation is None else deviation**2,
    )
