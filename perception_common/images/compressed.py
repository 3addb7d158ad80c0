"""Decodes the JPEG, PNG or other data of sensor_msgs/CompressedImage."""

from __future__ import annotations

import cv2
import numpy as np

from perception_common.errors import InputError
from perception_common.images.encodings import ENCODINGS, Encoding
from perception_common.images.pictures.decode import decode_picture


def decode_compressed(data: np.ndarray, format: str) -> tuple[np.ndarray, Encoding]:
    """Decode the data (N,) uint8 and `format` of a CompressedImage; return the pixels and their encoding.

    image_transport writes `format` as "<encoding of the source>; <codec> compressed <encoding that was compressed>".
    An orientation in the data is not applied, since camera_info belongs to the pixels as stored. Raises InputError for
    data that are empty, cut, damaged, too large, or no picture.
    """
    source = format.split(";")[0].strip()
    name = f"compressed image (format {format!r})"
    if "compressedDepth" in format:
        raise InputError(f"{name}: compressedDepth is not supported; subscribe to the raw depth topic")
    pixels, _ = decode_picture(data, name, cv2.IMREAD_UNCHANGED, "check the driver and the link to the camera")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{name} holds {pixels.dtype}; 8 and 16 bits are supported")
    depth = "8" if pixels.dtype == np.uint8 else "16"
    if pixels.ndim == 2:
        is_raw = source == f"{depth}UC1" or (source.startswith("bayer_") and source.endswith(depth))
        return pixels, ENCODINGS[source if is_raw and source in ENCODINGS else f"mono{depth}"]
    if pixels.shape[2] == 4:
        return pixels, ENCODINGS[f"bgra{depth}"]
    return pixels, ENCODINGS[("rgb" if "compressed rgb" in format else "bgr") + depth]
