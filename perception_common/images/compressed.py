"""Decodes the JPEG or PNG data of sensor_msgs/CompressedImage."""

from __future__ import annotations

import cv2
import numpy as np

from perception_common.errors import InputError
from perception_common.images.encodings import ENCODINGS, Encoding

_TAIL = 1024  # bytes at the end that are searched for the end mark, which padding may follow; empirical


def decode_compressed(data: np.ndarray, format: str) -> tuple[np.ndarray, Encoding]:
    """Decode the data (N,) uint8 and `format` of a CompressedImage; return the pixels and their encoding.

    image_transport writes `format` as "<encoding of the source>; <codec> compressed <encoding that was compressed>".
    Raises InputError for empty, truncated or undecodable data.
    """
    source = format.split(";")[0].strip()
    name = f"compressed image (format {format!r})"
    if "compressedDepth" in format:
        raise InputError(f"{name}: compressedDepth is not supported; subscribe to the raw depth topic")
    if data.size == 0:
        raise InputError(f"{name} is empty; check the camera driver")
    _check_complete(data, name)
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise InputError(f"{name} cannot be decoded: {error.err}") from error
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{name} of {data.size} bytes cannot be decoded; JPEG and PNG are supported")
    depth = "8" if pixels.dtype == np.uint8 else "16"
    if pixels.ndim == 2:
        is_raw = source == f"{depth}UC1" or (source.startswith("bayer_") and source.endswith(depth))
        return pixels, ENCODINGS[source if is_raw and source in ENCODINGS else f"mono{depth}"]
    if pixels.shape[2] == 4:
        return pixels, ENCODINGS[f"bgra{depth}"]
    return pixels, ENCODINGS[("rgb" if "compressed rgb" in format else "bgr") + depth]


def _check_complete(data: np.ndarray, name: str) -> None:
    """Raise InputError for a JPEG or PNG without its end mark: decoders fill the missing part with gray silently."""
    head, tail = data[:8].tobytes(), data[-_TAIL:].tobytes()
    if (head.startswith(b"\xff\xd8") and b"\xff\xd9" not in tail) or (
        head.startswith(b"\x89PNG") and b"IEND" not in tail
    ):
        raise InputError(f"{name} is truncated: {data.size} bytes without an end mark; check the link to the camera")
