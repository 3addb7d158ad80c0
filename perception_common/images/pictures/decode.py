"""Decodes an encoded picture: size checked first, cut and damaged data refused with the cause."""

from __future__ import annotations

import struct

import cv2
import numpy as np

from perception_common.errors import InputError
from perception_common.images.pictures.header import PictureHeader, read_header
from perception_common.images.pictures.jpeg import check_jpeg
from perception_common.images.pictures.jpeg_damage import check_jpeg_pixels
from perception_common.images.pictures.png import check_png

MAX_PIXELS = 160_000_000
"""Largest picture that is decoded. The largest aerial camera has 151 megapixels (Phase One iXM-RS150F); as RGB with
8 bits this takes 0.5 GB."""
_PIXELS_PER_BYTE = {
    "JPEG": 512,  # a block of 64 pixels takes at least one bit
    "PNG": 8 * 1032,  # deflate compresses at most 1032 to 1, and a pixel takes at least one bit
}


def check_size(width: int, height: int) -> None:
    """Raise InputError, which names the cause and not the picture, for a picture that is too large."""
    if width * height > MAX_PIXELS:
        limit = f"at most {MAX_PIXELS / 1e6:.0f} megapixels are read"
        raise InputError(f"is too large: {width}x{height} pixels, {limit}")


def decode_picture(data: bytes | np.ndarray, name: str, flags: int, advice: str) -> tuple[np.ndarray, PictureHeader]:
    """Decode an encoded picture to the pixels as stored, upright for a TIFF; return them and the header.

    data: bytes, or (N,) uint8. flags: of cv2.imdecode. name, advice: begin and end of an error's text.

    Raises InputError for data that are empty, cut, damaged, too large, or no picture.
    """
    content = data if isinstance(data, bytes) else data.tobytes()
    if not content:
        raise InputError(f"{name} is empty; {advice}")
    try:
        return _decode(content, flags)
    except InputError as error:
        raise InputError(f"{name} {error}; {advice}") from error


def _decode(data: bytes, flags: int) -> tuple[np.ndarray, PictureHeader]:
    header = read_header(data)
    check_size(header.width, header.height)
    if header.width * header.height > len(data) * _PIXELS_PER_BYTE.get(header.format, MAX_PIXELS):
        raise InputError(f"is truncated: {len(data)} bytes cannot hold {header.width}x{header.height} pixels")
    try:
        if header.format == "PNG":
            check_png(data)
        elif header.format == "JPEG":
            check_jpeg(data)
    except (struct.error, IndexError, KeyError, ZeroDivisionError):
        raise InputError(f"is damaged: one of its {header.format} headers is wrong or incomplete") from None
    flags = flags if flags == cv2.IMREAD_UNCHANGED else flags | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise InputError(f"cannot be decoded ({error.err})") from error
    if image is None:
        raise InputError(f"cannot be decoded: its {len(data)} bytes of {header.format} are cut or damaged")
    if header.format == "JPEG":
        check_jpeg_pixels(data, image)
    return image, header
