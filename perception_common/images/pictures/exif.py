"""The orientation that EXIF and TIFF define, and images turned upright by it."""

from __future__ import annotations

import struct

import numpy as np

UPRIGHT = 1
TURNED = 5  # orientations from here on exchange height and width
_ORIENTATION = 274  # tag
_SHORT, _LONG = 3, 4  # types of a tag's value


def exif_orientation(tiff: bytes) -> int:
    """Return the orientation in an EXIF or TIFF structure, 1 to 8; 1 also where it has none or cannot be read."""
    try:
        orientation = tiff_tags(tiff).get(_ORIENTATION, UPRIGHT)
    except struct.error:
        return UPRIGHT
    return orientation if 1 <= orientation <= 8 else UPRIGHT


def tiff_tags(tiff: bytes) -> dict[int, int]:
    """Return the tags of the first directory that have one integer value. Raises struct.error for a cut structure."""
    order = ">" if tiff.startswith(b"MM") else "<"
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, directory)
    tags = {}
    for index in range(count):
        at = directory + 2 + 12 * index
        tag, kind, length = struct.unpack_from(f"{order}HHI", tiff, at)
        if length == 1 and kind in (_SHORT, _LONG):
            (tags[tag],) = struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", tiff, at + 8)
    return tags


def turn_upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an image (H, W) or (H, W, C) as stored upright; orientations 5 to 8 exchange its height and width."""
    if orientation >= TURNED:
        image = image.swapaxes(0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(image[::rows, ::columns])
