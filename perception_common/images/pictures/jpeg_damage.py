"""Finds JPEGs whose coded data are cut or damaged.

libjpeg decodes them without an error: it makes what is missing gray and shows what is damaged as blocks of random
colours. Where the decoded picture looks like that, its code words are read, which is slow and exact.
"""

from __future__ import annotations

import numpy as np

from perception_common.errors import InputError
from perception_common.images.pictures.jpeg import DQT, RESTART, jpeg_segments, only_scan
from perception_common.images.pictures.jpeg_codes import BlockCodes, code_lengths, count_units

_GRAY = 128  # what libjpeg puts where data are missing, in all channels
# Gray levels, empirical: real images of quality 10 to 98 stay below these limits, damaged ones lie above.
_JUMP, _JUMP_PER_STEP, _JUMP_RATIO = 2.0, 0.5, 1.3
_LEFTOVER = 64  # bytes that belong to no pixel and mean damage; some webcams leave a dozen in every image
_LONGEST = 1 << 22  # bytes of coded data that are read


def check_jpeg_pixels(data: bytes, image: np.ndarray) -> None:
    """Raise InputError, which names the cause and not the picture, where the coded data do not fit the pixels.

    data: for which `check_jpeg` holds. image: decoded from it, (H, W) or (H, W, 3) uint8. Only pictures that look
    damaged are checked, and none that are progressive or have more than 4 MiB of coded data, which would take seconds.
    """
    scan = only_scan(data, jpeg_segments(data))
    if scan is None or len(scan.coded) > _LONGEST:
        return
    # Behind missing data all blocks are gray: up to the next restart, or to the last one.
    is_gray = _has_gray_block(image, only_last=not scan.interval)
    if not is_gray and not _is_blocky(image, _quantisation_step(data)):
        return
    tables: dict[int, np.ndarray] = {}
    for content in scan.tables:
        tables |= code_lengths(content)
    if not tables.keys() >= {table for block in scan.blocks for table in block}:
        return  # some cameras leave out the tables; decoders have them
    codes = {block: BlockCodes(tables[block[0]], tables[block[1]]) for block in set(scan.blocks)}
    blocks = [codes[block] for block in scan.blocks]
    intervals = RESTART.split(scan.coded)[::2] if scan.interval else [scan.coded]
    length = scan.interval or scan.units
    read, leftover = 0, 0
    for index in range(-(-scan.units // length)):
        units = min(length, scan.units - index * length)
        count, unread = count_units(intervals[index], blocks, units)
        read += count
        leftover = max(leftover, unread)
    if read < scan.units:
        share = 100 * (1 - read / scan.units)
        raise InputError(f"is damaged: {share:.1f} % of its pixels have no data or cannot be read")
    if leftover >= _LEFTOVER:
        raise InputError(f"is damaged: {leftover} bytes of its data belong to no pixel")


def _has_gray_block(image: np.ndarray, *, only_last: bool) -> bool:
    """Tell whether a block of 8x8 pixels is as gray as one without data. Its border may take colours of its neighbour.

    only_last: look at the last block only.
    """
    height, width = image.shape[0] // 8, image.shape[1] // 8
    if not height or not width:
        return True
    blocks = image[: 8 * height, : 8 * width].reshape(height, 8, width, 8, -1).swapaxes(1, 2)
    if only_last:
        blocks = blocks[-1:, -1:]
    is_candidate = (blocks[:, :, 3, 3] == _GRAY).all(axis=-1)  # one pixel first, for speed
    return bool((blocks[is_candidate][:, 1:7, 1:7] == _GRAY).all(axis=(1, 2, 3)).any())


def _is_blocky(image: np.ndarray, step: int) -> bool:
    """Tell whether gray values jump at the borders of blocks far more than inside, in a tenth of the rows of blocks.

    step: of the quantisation, which makes jumps in undamaged pictures as well.
    """
    width = image.shape[1] // 8 * 8
    if image.shape[0] < 8 or width < 24:
        return True
    gray = (image if image.ndim == 2 else image[..., 1])[4::8, :width].astype(np.float32)
    slope = np.diff(gray, axis=1)
    at_borders, inside = (
        np.abs(slope[:, 8 + first :: 8] - (slope[:, 7 + first : -1 : 8] + slope[:, 9 + first :: 8]) / 2).mean(axis=1)
        for first in (-1, -5)
    )
    is_large = np.quantile(at_borders - inside, 0.9) > _JUMP + _JUMP_PER_STEP * step
    return bool(is_large and np.quantile((at_borders + 1) / (inside + 1), 0.9) > _JUMP_RATIO)


def _quantisation_step(data: bytes) -> int:
    """Return the step of the mean of a block of the first component, as most encoders write it: in the first table."""
    for segment in jpeg_segments(data):
        if segment.marker == DQT:
            content = data[segment.begin : segment.end]
            return content[1] if content[0] < 16 else int.from_bytes(content[1:3], "big")
    return 1
