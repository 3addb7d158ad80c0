"""Chooses the frames of a long replay that get a picture, and encodes the pictures so that the file can be mailed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import cv2
import numpy as np

from perception_common.errors import InputError
from perception_common.images.conversion import to_rgb
from replay_ros.bags.reader import Bag

MAX_PICTURES = 200
PICTURE_BYTES = 13_000_000  # all pictures together; base64 adds a third
_ENCODINGS = ((1280, 85), (1280, 75), (960, 75), (960, 65), (800, 65), (640, 65), (480, 60))  # long side, JPEG quality


def choose_frames(
    count: int, to_check: Sequence[int], keyframes: Sequence[int], limit: int = MAX_PICTURES
) -> list[int]:
    """Return at most `limit` of the frames 0 to count - 1, ascending.

    All frames if there are at most `limit`. Otherwise the frames to check; half of the remaining number are keyframes
    with the first and the last frame; the rest are spread evenly over the other frames.
    """
    if count <= limit:
        return list(range(count))
    chosen = dict.fromkeys(to_check[:limit])
    chosen.update(dict.fromkeys(spread_evenly([0, *keyframes, count - 1], (limit - len(chosen)) // 2)))
    others = [frame for frame in range(count) if frame not in chosen]
    chosen.update(dict.fromkeys(spread_evenly(others, limit - len(chosen))))
    return sorted(chosen)


def describe_choice(chosen: int, count: int) -> str:
    """Return a sentence that tells how many of the frames have pictures."""
    if chosen == count:
        return f"All {count} frames are shown." if count != 1 else "The only frame is shown."
    return (
        f"{chosen} of {count} frames are shown: the frames to check, keyframes, and others at even intervals. "
        "Metrics and plots cover all frames."
    )


def read_pictures(bag: Bag, image_topic: str, chosen: Collection[int]) -> dict[int, bytes]:
    """Return the images at these positions in the bag as JPEG, by position; damaged images are left out."""
    pictures: dict[int, bytes] = {}
    if not chosen:
        return pictures
    max_bytes = PICTURE_BYTES // len(chosen)
    for position, raw in enumerate(bag.raw_messages([image_topic])):
        if position in chosen:
            try:
                pictures[position] = encode_picture(to_rgb(bag.deserialize(raw)), max_bytes)
            except InputError:
                continue  # the nodes reported the damaged image already
    return pictures


def encode_picture(image: np.ndarray, max_bytes: int) -> bytes:
    """Return an image (H, W, 3) uint8 RGB as JPEG, as large as fits into `max_bytes`.

    The smallest encoding is used even if it exceeds `max_bytes`, so that pictures stay readable.
    """
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    data = b""
    for side, quality in _ENCODINGS:
        factor = min(1.0, side / max(image.shape[:2]))
        smaller = cv2.resize(bgr, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) if factor < 1.0 else bgr
        data = cv2.imencode(".jpg", smaller, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) <= max_bytes:
            break
    return data


def spread_evenly(items: Sequence[int], limit: int) -> list[int]:
    """Return at most `limit` items, evenly spaced over the sequence, including the first and the last."""
    if len(items) <= limit:
        return list(items)
    return [items[index] for index in np.linspace(0, len(items) - 1, limit).round().astype(int)]
