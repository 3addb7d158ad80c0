"""The one reader of picture files, for making bags, evaluation and training alike.

The policy:
- The picture is turned upright by its EXIF (or TIFF) orientation, as viewers and labelling tools show it.
- Cut and damaged files, and pictures of more than MAX_PIXELS, are refused with the cause. Padding behind the end of the
  data is not looked at.
- Samples of more than 8 bits become 8 bits by an `Intensity`.
- Alpha is left out: the colours are taken as stored. Palettes are resolved. Of an animation the first picture is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from perception_common.errors import InputError
from perception_common.images.intensity import Intensity
from perception_common.images.pictures.decode import MAX_PIXELS, decode_picture
from perception_common.images.pictures.exif import TURNED, turn_upright
from perception_common.images.pictures.header import PictureHeader, read_header

_MAX_BYTES = 8 * MAX_PIXELS  # of a file: 16-bit RGBA without compression
_ADVICE = "copy it again, convert it to PNG or JPEG, or remove it"


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture file. image: (H, W, 3) uint8 BGR, upright. orientation: how it is stored, 1 to 8; 1: upright."""

    image: np.ndarray
    orientation: int


def read_picture(path: Path, intensity: Intensity | None = None, stamp_ns: int = 0) -> Picture:
    """Read a picture of a sequence. Raises InputError that names the file and the cause.

    intensity: that of the sequence; None: one for this picture alone. stamp_ns: of the picture, nanoseconds.
    """
    return _decode_color(_read_bytes(path), str(path), intensity or Intensity(), stamp_ns)


def read_rgb(path: Path) -> np.ndarray:
    """Read a picture as (H, W, 3) uint8 RGB, upright. Raises InputError that names the file and the cause."""
    return cv2.cvtColor(read_picture(path).image, cv2.COLOR_BGR2RGB)


def decode_rgb(data: np.ndarray, name: str) -> np.ndarray:
    """Decode the bytes (N,) uint8 of a picture file as `read_rgb` does. name: for the error's text."""
    return cv2.cvtColor(_decode_color(data.tobytes(), name, Intensity(), 0).image, cv2.COLOR_BGR2RGB)


def read_gray(path: Path, *, upright: bool = True) -> np.ndarray:
    """Read a picture as (H, W) uint8 gray. Raises InputError that names the file and the cause.

    upright: False: the pixels as stored, for tools that do not know the orientation; a TIFF is upright nevertheless.
    """
    pixels, header = _decode(_read_bytes(path), f"{path}:", cv2.IMREAD_GRAYSCALE)
    image = _to_8_bits(pixels, Intensity(), 0, "picture files")
    image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
    return _upright(image, header) if upright else image


def read_size(path: Path) -> tuple[int, int]:
    """Read width and height of a picture, upright, from its header alone: damage behind it is not noticed.

    Raises InputError that names the file and the cause.
    """
    data = _read_bytes(path)
    try:
        header = read_header(data)
    except InputError as error:
        raise InputError(f"{path}: {error}; {_ADVICE}") from error
    return (header.height, header.width) if header.orientation >= TURNED else (header.width, header.height)


def read_depth(path: Path) -> np.ndarray:
    """Read a depth image as (H, W) uint16, pixels as stored. Raises InputError that names the file and the cause."""
    pixels, _ = decode_picture(_read_bytes(path), f"{path}:", cv2.IMREAD_UNCHANGED, _ADVICE)
    if pixels.dtype != np.uint16 or pixels.ndim != 2:
        raise InputError(f"{path}: is no depth image (16 bits, one channel)")
    return pixels


def _read_bytes(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise InputError(f"{path}: is missing or no file, so it cannot be read; check the name and the folder")
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise InputError(f"{path}: is too large: {size} bytes, at most {_MAX_BYTES} are read")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error


def _decode_color(data: bytes, name: str, intensity: Intensity, stamp_ns: int) -> Picture:
    pixels, header = _decode(data, f"{name}:", cv2.IMREAD_COLOR)
    image = _to_8_bits(pixels, intensity, stamp_ns, "picture files")
    image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image
    return Picture(_upright(image, header), header.orientation)


def _upright(image: np.ndarray, header: PictureHeader) -> np.ndarray:
    return image if header.is_decoded_upright else turn_upright(image, header.orientation)


def _decode(data: bytes, name: str, flags: int) -> tuple[np.ndarray, PictureHeader]:
    """Return the pixels as stored, and the header. 8 bits are BGR or gray as the flags say; others may be either."""
    if data.startswith((b"II", b"MM")):  # OpenCV reads TIFFs of floats without conversion only
        pixels, header = decode_picture(data, name, cv2.IMREAD_UNCHANGED, _ADVICE)
        if pixels.dtype != np.uint8:
            return pixels[..., :3] if pixels.ndim == 3 else pixels, header
    return decode_picture(data, name, flags | cv2.IMREAD_ANYDEPTH, _ADVICE)


def _to_8_bits(pixels: np.ndarray, intensity: Intensity, stamp_ns: int, name: str) -> np.ndarray:
    """Convert pixels (H, W) or (H, W, 3) to uint8; where all channels are equal, as gray values."""
    if pixels.dtype == np.uint8:
        return pixels
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    gray = pixels if channels == 1 else pixels[..., 0]  # IMREAD_COLOR repeats a gray channel
    is_gray = all(np.array_equal(pixels[..., index], gray, equal_nan=True) for index in range(1, channels))
    has_gaps = pixels.dtype.kind == "f"
    if not is_gray:
        return intensity.equalize(intensity.to_8_bits(pixels, name, stamp_ns, is_gray=False, has_gaps=has_gaps))
    image = intensity.equalize(intensity.to_8_bits(gray, name, stamp_ns, is_gray=True, has_gaps=has_gaps))
    return image if channels == 1 else np.dstack([image] * 3)
