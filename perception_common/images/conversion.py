"""Camera images: ROS messages to arrays and back, at the edge of the system.

Works on any object with the attributes of sensor_msgs/Image or sensor_msgs/CompressedImage, so it needs no ROS.

How values become 8 bits: - mono16, rgb16, bgr16, bayer_*16 keep their high byte (value >> 8), in every frame the
same way; - 16UC1 and 32FC1 have no fixed range (depth, thermal): the smallest to the largest valid value of the
frame becomes 1 to 255,
  and 0 stands for no measurement (0 or less in 16UC1, not finite or 0 in 32FC1);
- YUV is video range BT.601 (Y from 16 to 235), as OpenCV and camera drivers have it; gray is Y stretched to 0 to 255.
Unnamed colours (8UC3, 8UC4) are in OpenCV's order, BGR. Gray from colour has the weights 0.299, 0.587, 0.114.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from perception_common.errors import InputError


def to_rgb(message: Any) -> np.ndarray:
    """Return the image of a sensor_msgs/Image or CompressedImage as (H, W, 3) uint8, RGB, in memory of its own.

    Raises InputError for an empty, truncated or undecodable image and for an unknown encoding.
    """
    pixels, encoding = _read(message)
    if encoding is None:
        return pixels
    pixels = _to_8_bits(pixels, encoding)
    return np.array(pixels) if encoding.to_rgb is None else cv2.cvtColor(pixels, encoding.to_rgb)


def to_gray(message: Any) -> np.ndarray:
    """Return the image of a sensor_msgs/Image or CompressedImage as (H, W) uint8 gray, in memory of its own.

    Raises InputError as `to_rgb`.
    """
    pixels, encoding = _read(message)
    if encoding is None:
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    pixels = _to_8_bits(pixels, encoding)
    gray = np.array(pixels) if encoding.to_gray is None else cv2.cvtColor(pixels, encoding.to_gray)
    return cv2.LUT(gray, _VIDEO_TO_FULL_RANGE) if encoding.video_range else gray


def is_compressed(message: Any) -> bool:
    """Say whether the message is a CompressedImage (it has a `format` instead of an `encoding`)."""
    return not hasattr(message, "encoding")


def fill_image(message: Any, image: np.ndarray, header: Any) -> None:
    """Set all fields of a sensor_msgs/Image from `image`: (H, W) uint8 as mono8 or (H, W, 3) uint8 as rgb8.

    One copy of the pixels. Raises InputError for other shapes and types.
    """
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise InputError(f"an image to publish must be (H, W) or (H, W, 3) uint8, not {image.shape} {image.dtype}")
    data = array("B")  # the one type that rclpy takes without looking at every element
    data.frombytes(np.ascontiguousarray(image).data)
    message.header = header
    message.height, message.width = image.shape[:2]
    message.encoding = "mono8" if image.ndim == 2 else "rgb8"
    message.is_bigendian = 0
    message.step = math.prod(image.shape[1:])
    message.data = data


@dataclass(frozen=True)
class _Encoding:
    """How pixels lie in memory, and the OpenCV conversions that make RGB and gray of them (None: they are that)."""

    to_rgb: int | None
    to_gray: int | None
    channels: int = 1  # samples per pixel
    sample: str = "u1"  # numpy's name of the type of a sample, without byte order
    multiple: tuple[int, int] = (1, 1)  # height and width are multiples of these
    chroma_rows: bool = False  # half as many rows follow with the chroma of 2x2 pixels
    video_range: bool = False  # gray runs from 16 to 235
    stretched: bool = False  # values without a fixed range


_UYVY = _Encoding(cv2.COLOR_YUV2RGB_UYVY, cv2.COLOR_YUV2GRAY_UYVY, 2, multiple=(1, 2), video_range=True)
_YUYV = _Encoding(cv2.COLOR_YUV2RGB_YUYV, cv2.COLOR_YUV2GRAY_YUYV, 2, multiple=(1, 2), video_range=True)
_NV12 = _Encoding(cv2.COLOR_YUV2RGB_NV12, cv2.COLOR_YUV2GRAY_420, multiple=(2, 2), chroma_rows=True, video_range=True)
_NV21 = _Encoding(cv2.COLOR_YUV2RGB_NV21, cv2.COLOR_YUV2GRAY_420, multiple=(2, 2), chroma_rows=True, video_range=True)

_ENCODINGS = {
    "mono8": _Encoding(cv2.COLOR_GRAY2RGB, None),
    "8UC1": _Encoding(cv2.COLOR_GRAY2RGB, None),
    "mono16": _Encoding(cv2.COLOR_GRAY2RGB, None, sample="u2"),
    "16UC1": _Encoding(cv2.COLOR_GRAY2RGB, None, sample="u2", stretched=True),
    "32FC1": _Encoding(cv2.COLOR_GRAY2RGB, None, sample="f4", stretched=True),
    "rgb8": _Encoding(None, cv2.COLOR_RGB2GRAY, 3),
    "bgr8": _Encoding(cv2.COLOR_BGR2RGB, cv2.COLOR_BGR2GRAY, 3),
    "8UC3": _Encoding(cv2.COLOR_BGR2RGB, cv2.COLOR_BGR2GRAY, 3),
    "rgba8": _Encoding(cv2.COLOR_RGBA2RGB, cv2.COLOR_RGBA2GRAY, 4),
    "bgra8": _Encoding(cv2.COLOR_BGRA2RGB, cv2.COLOR_BGRA2GRAY, 4),
    "8UC4": _Encoding(cv2.COLOR_BGRA2RGB, cv2.COLOR_BGRA2GRAY, 4),
    "rgb16": _Encoding(None, cv2.COLOR_RGB2GRAY, 3, "u2"),
    "bgr16": _Encoding(cv2.COLOR_BGR2RGB, cv2.COLOR_BGR2GRAY, 3, "u2"),
    "bgra16": _Encoding(cv2.COLOR_BGRA2RGB, cv2.COLOR_BGRA2GRAY, 4, "u2"),
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": _NV12,
    "nv21": _NV21,
    # ROS names a mosaic by its first two rows, OpenCV by the 2x2 pixels that lie one row and one column further.
    "bayer_rggb8": _Encoding(cv2.COLOR_BayerBG2RGB, cv2.COLOR_BayerBG2GRAY),
    "bayer_bggr8": _Encoding(cv2.COLOR_BayerRG2RGB, cv2.COLOR_BayerRG2GRAY),
    "bayer_gbrg8": _Encoding(cv2.COLOR_BayerGR2RGB, cv2.COLOR_BayerGR2GRAY),
    "bayer_grbg8": _Encoding(cv2.COLOR_BayerGB2RGB, cv2.COLOR_BayerGB2GRAY),
    "bayer_rggb16": _Encoding(cv2.COLOR_BayerBG2RGB, cv2.COLOR_BayerBG2GRAY, sample="u2"),
    "bayer_bggr16": _Encoding(cv2.COLOR_BayerRG2RGB, cv2.COLOR_BayerRG2GRAY, sample="u2"),
    "bayer_gbrg16": _Encoding(cv2.COLOR_BayerGR2RGB, cv2.COLOR_BayerGR2GRAY, sample="u2"),
    "bayer_grbg16": _Encoding(cv2.COLOR_BayerGB2RGB, cv2.COLOR_BayerGB2GRAY, sample="u2"),
}

_VIDEO_TO_FULL_RANGE = np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)


def _read(message: Any) -> tuple[np.ndarray, _Encoding | None]:
    """Return the pixels as they came and their encoding; None: already RGB, by cv_bridge."""
    if is_compressed(message):
        return _decode(message)
    if message.height < 1 or message.width < 1:
        raise InputError(f"image is empty: {message.width}x{message.height}; check the camera driver")
    encoding = _ENCODINGS.get(message.encoding)
    if encoding is None:
        return _convert_with_cv_bridge(message), None
    return _view(message, encoding), encoding


def _view(message: Any, encoding: _Encoding) -> np.ndarray:
    """Return the pixels as a view of message.data: (rows, W) or (rows, W, channels), rows `step` bytes apart."""
    height, width, step = int(message.height), int(message.width), int(message.step)
    name = f"{message.encoding} image of {width}x{height}"
    if height % encoding.multiple[0] or width % encoding.multiple[1]:
        raise InputError(f"{name}: this encoding needs an even width{' and height' * (encoding.multiple[0] > 1)}")
    sample = np.dtype((">" if message.is_bigendian else "<") + encoding.sample)
    row = width * encoding.channels * sample.itemsize
    if step < row:
        raise InputError(f"{name}: step is {step} bytes, at least {row} expected; check the camera driver")
    rows = height * 3 // 2 if encoding.chroma_rows else height
    data = _bytes_of(message)
    if data.size < (rows - 1) * step + row:  # the padding of the last row may be left out
        raise InputError(f"{name} is truncated: {data.size} bytes of data, {rows * step} expected (step {step})")
    shape: tuple[int, ...] = (rows, width, encoding.channels)
    strides: tuple[int, ...] = (step, encoding.channels * sample.itemsize, sample.itemsize)
    if encoding.channels == 1:
        shape, strides = shape[:2], strides[:2]
    return np.ndarray(shape, sample, buffer=data, strides=strides)


def _decode(message: Any) -> tuple[np.ndarray, _Encoding]:
    """Decode a CompressedImage.

    image_transport writes `format` as "<encoding of the source>; <codec> compressed <encoding that was compressed>".
    """
    data, source = _bytes_of(message), message.format.split(";")[0].strip()
    name = f"compressed image (format {message.format!r})"
    if "compressedDepth" in message.format:
        raise InputError(f"{name}: compressedDepth is not read; subscribe to the raw depth topic")
    if data.size == 0:
        raise InputError(f"{name} is empty; check the camera driver")
    _check_complete(data, name)
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise InputError(f"{name} cannot be decoded: {error.err}") from error
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{name} of {data.size} bytes cannot be decoded; JPEG and PNG are read")
    depth = "8" if pixels.dtype == np.uint8 else "16"
    if pixels.ndim == 2:
        is_raw = source == f"{depth}UC1" or (source.startswith("bayer_") and source.endswith(depth))
        return pixels, _ENCODINGS[source if is_raw and source in _ENCODINGS else f"mono{depth}"]
    if pixels.shape[2] == 4:
        return pixels, _ENCODINGS[f"bgra{depth}"]
    return pixels, _ENCODINGS[("rgb" if "compressed rgb" in message.format else "bgr") + depth]


def _check_complete(data: np.ndarray, name: str) -> None:
    """Refuse a JPEG or PNG without its end mark: the decoders fill the rest with gray and say nothing."""
    head, tail = data[:8].tobytes(), data[-1024:].tobytes()
    if (head.startswith(b"\xff\xd8") and b"\xff\xd9" not in tail) or (
        head.startswith(b"\x89PNG") and b"IEND" not in tail
    ):
        raise InputError(f"{name} is truncated: {data.size} bytes without an end mark; check the link to the camera")


def _to_8_bits(pixels: np.ndarray, encoding: _Encoding) -> np.ndarray:
    if encoding.stretched:
        return _stretch(pixels)
    if pixels.dtype.itemsize == 1:
        return pixels
    high = 0 if pixels.dtype.str.startswith(">") else 1
    return pixels[..., np.newaxis].view(np.uint8)[..., high]


def _stretch(values: np.ndarray) -> np.ndarray:
    """Spread the valid values, positive and finite, over 1 to 255; 0 elsewhere."""
    values = values.astype(np.float32)
    valid = np.isfinite(values) & (values > 0)
    if not valid.any():
        return np.zeros(values.shape, np.uint8)
    low, high = values[valid].min(), values[valid].max()
    scale = 254 / (high - low) if high > low else 0.0
    return np.where(valid, np.rint((np.where(valid, values, low) - low) * scale) + 1, 0).astype(np.uint8)


def _bytes_of(message: Any) -> np.ndarray:
    """Return message.data (array.array, bytes, numpy array) as (N,) uint8 without a copy."""
    data = message.data
    if len(data) == 0:
        return np.empty(0, np.uint8)
    return np.frombuffer(data, np.uint8)


def _convert_with_cv_bridge(message: Any) -> np.ndarray:
    known = ", ".join(sorted(_ENCODINGS))
    try:
        from cv_bridge import CvBridge
    except ImportError:
        raise InputError(f"unknown image encoding {message.encoding!r}; known are {known}") from None
    try:
        return np.array(CvBridge().imgmsg_to_cv2(message, "rgb8"))
    except Exception as error:  # it raises what it likes
        raise InputError(f"image encoding {message.encoding!r}: {error}; known are {known} and cv_bridge's") from error
