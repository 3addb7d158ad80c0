"""Camera images: ROS messages to arrays and back.

Works on any object with the attributes of sensor_msgs/Image or sensor_msgs/CompressedImage, so it needs no ROS.

- Samples of more than 8 bits become 8 bits by an `Intensity`. In encodings without a fixed range (16UC1, 32FC1: depth,
  thermal) a value that is 0, negative or not finite is no measurement; it becomes 0, and the others 1 to 255.
- YUV is video range BT.601 (Y from 16 to 235), as in OpenCV and camera drivers; gray is Y scaled to 0 to 255.
Unnamed colours (8UC3, 8UC4) are in OpenCV's order, BGR. Gray from colour has the weights 0.299, 0.587, 0.114.
"""

from __future__ import annotations

import math
from array import array
from typing import Any

import cv2
import numpy as np

from perception_common.errors import InputError
from perception_common.images.compressed import decode_compressed
from perception_common.images.encodings import ENCODINGS, Encoding
from perception_common.images.intensity import Intensity
from perception_common.images.pictures.decode import check_size
from perception_common.stamps import stamp_ns


def to_rgb(message: Any, intensity: Intensity | None = None) -> np.ndarray:
    """Return the image of a sensor_msgs/Image or CompressedImage as a new (H, W, 3) uint8 RGB array.

    intensity: that of the camera, for images of more than 8 bits; None: one for this image alone. Raises InputError for
    an image that is empty, truncated, too large or undecodable, and for an unknown encoding.
    """
    pixels, encoding = _read(message)
    if encoding is None:
        return pixels
    if not encoding.is_wide:
        return np.array(pixels) if encoding.to_rgb is None else cv2.cvtColor(pixels, encoding.to_rgb)
    intensity = intensity or Intensity()
    pixels = _to_8_bits(pixels, encoding, message, intensity)
    return intensity.equalize(pixels if encoding.to_rgb is None else cv2.cvtColor(pixels, encoding.to_rgb))


def to_gray(message: Any, intensity: Intensity | None = None) -> np.ndarray:
    """Return the image of a sensor_msgs/Image or CompressedImage as a new (H, W) uint8 gray array.

    intensity, errors: as of `to_rgb`.
    """
    pixels, encoding = _read(message)
    if encoding is None:
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    if encoding.is_wide:
        intensity = intensity or Intensity()
        pixels = _to_8_bits(pixels, encoding, message, intensity)
        return intensity.equalize(pixels if encoding.to_gray is None else cv2.cvtColor(pixels, encoding.to_gray))
    gray = np.array(pixels) if encoding.to_gray is None else cv2.cvtColor(pixels, encoding.to_gray)
    return cv2.LUT(gray, _VIDEO_TO_FULL_RANGE) if encoding.video_range else gray


def is_compressed(message: Any) -> bool:
    """Return whether the message is a CompressedImage, which has a `format` instead of an `encoding`."""
    return not hasattr(message, "encoding")


def fill_image(message: Any, image: np.ndarray, header: Any) -> None:
    """Set all fields of a sensor_msgs/Image from `image`: (H, W) uint8 as mono8 or (H, W, 3) uint8 as rgb8.

    Copies the pixels once. Raises InputError for other shapes and types.
    """
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise InputError(f"an image to publish must be (H, W) or (H, W, 3) uint8, not {image.shape} {image.dtype}")
    data = array("B")  # the only type that rclpy accepts without checking every element
    data.frombytes(np.ascontiguousarray(image).data)
    message.header = header
    message.height, message.width = image.shape[:2]
    message.encoding = "mono8" if image.ndim == 2 else "rgb8"
    message.is_bigendian = 0
    message.step = math.prod(image.shape[1:])
    message.data = data


_PAGE = 4096  # bytes; drivers pad the data to whole pages
_VIDEO_TO_FULL_RANGE = np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)


def _read(message: Any) -> tuple[np.ndarray, Encoding | None]:
    """Return the pixels as delivered and their encoding; None: cv_bridge converted them to RGB."""
    if is_compressed(message):
        return decode_compressed(_bytes_of(message), message.format)
    if message.height < 1 or message.width < 1:
        raise InputError(f"image is empty: {message.width}x{message.height}; check the camera driver")
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None:
        return _convert_with_cv_bridge(message), None
    return _view(message, encoding), encoding


def _view(message: Any, encoding: Encoding) -> np.ndarray:
    """Return message.data as an array (rows, W) or (rows, W, channels) without a copy; rows are `step` bytes apart."""
    height, width, step = int(message.height), int(message.width), int(message.step)
    name = f"{message.encoding} image of {width}x{height}"
    try:
        check_size(width, height)
    except InputError as error:
        raise InputError(f"the image {error}; check the camera driver") from error
    if height % encoding.multiple[0] or width % encoding.multiple[1]:
        raise InputError(f"{name}: this encoding needs an even width{' and height' * (encoding.multiple[0] > 1)}")
    sample = np.dtype((">" if message.is_bigendian else "<") + encoding.sample)
    row = width * encoding.channels * sample.itemsize
    if step < row:
        raise InputError(f"{name}: step is {step} bytes, at least {row} expected; check the camera driver")
    rows = height + int(height * encoding.chroma_rows)
    data = _bytes_of(message)
    if data.size < (rows - 1) * step + row:  # the padding of the last row may be missing
        raise InputError(f"{name} is truncated: {data.size} bytes of data, {rows * step} expected (step {step})")
    if data.size >= (rows + 1) * step + _PAGE:
        raise InputError(
            f"{name} has {data.size} bytes of data, {rows * step} expected (step {step}): check the driver"
        )
    shape: tuple[int, ...] = (rows, width, encoding.channels)
    strides: tuple[int, ...] = (step, encoding.channels * sample.itemsize, sample.itemsize)
    if encoding.channels == 1:
        shape, strides = shape[:2], strides[:2]
    pixels: np.ndarray = np.ndarray(shape, sample, buffer=data, strides=strides)
    return _pack_nv24(pixels, height) if message.encoding == "nv24" else pixels


def _pack_nv24(pixels: np.ndarray, height: int) -> np.ndarray:
    """Return NV24 (3 H, W) as YUYV (H, W, 2): the chroma of two neighbours is averaged."""
    luma, chroma = pixels[:height], pixels[height:].reshape(height, -1, 2, 2)  # pairs of neighbours, each Cb and Cr
    return np.dstack([luma, chroma.mean(axis=2).round().reshape(height, -1)]).astype(np.uint8)


def _to_8_bits(pixels: np.ndarray, encoding: Encoding, message: Any, intensity: Intensity) -> np.ndarray:
    header = getattr(message, "header", None)
    return intensity.to_8_bits(
        pixels,
        _name(message),
        0 if header is None else stamp_ns(header),
        is_gray=encoding.is_gray,
        has_gaps=encoding.stretched,
    )


def _name(message: Any) -> str:
    return f"{message.format or 'compressed'} images" if is_compressed(message) else f"{message.encoding} images"


def _bytes_of(message: Any) -> np.ndarray:
    """Return message.data (array.array, bytes, numpy array) as (N,) uint8 without a copy."""
    data = message.data
    if len(data) == 0:
        return np.empty(0, np.uint8)
    return np.frombuffer(data, np.uint8)


def _convert_with_cv_bridge(message: Any) -> np.ndarray:
    """Return the (H, W, 3) uint8 RGB image that cv_bridge, where it is installed, makes of another encoding."""
    known = ", ".join(sorted(ENCODINGS))
    try:
        from cv_bridge import CvBridge
    except ModuleNotFoundError:
        raise InputError(f"unknown image encoding {message.encoding!r}; known are {known}") from None
    except Exception as error:  # built for another numpy, for example
        raise InputError(f"image encoding {message.encoding!r} needs cv_bridge, which fails: {error}") from error
    try:
        image = np.array(CvBridge().imgmsg_to_cv2(message, "rgb8"))
    except Exception as error:  # cv_bridge documents no exception types
        cause = " ".join(str(error).split())
        raise InputError(f"image encoding {message.encoding!r}: {cause}; known are {known} and cv_bridge's") from error
    if image.shape != (message.height, message.width, 3) or image.dtype != np.uint8:
        raise InputError(
            f"image encoding {message.encoding!r}: cv_bridge makes {image.shape} {image.dtype} of it, no RGB image"
        )
    return image
