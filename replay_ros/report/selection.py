"""Which frames of a long replay are shown, and their pictures, small enough for a file that can be mailed."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

MAX_PICTURES = 200
PICTURE_BYTES = 13_000_000  # of all pictures together; base64 makes them a third larger
_LADDER = ((1280, 85), (1280, 75), (960, 75), (960, 65), (800, 65), (640, 65), (480, 60))  # long side, JPEG quality


def choose_frames(count: int, worst: Sequence[int], keyframes: Sequence[int], limit: int = MAX_PICTURES) -> list[int]:
    """Return at most `limit` of the frames 0 to count - 1, ascending.

    All when they are few enough; else the worst, then both ends and keyframes for half of the room that is left, and
    the rest evenly.
    """
    if count <= limit:
        return list(range(count))
    chosen = dict.fromkeys(worst[:limit])
    chosen.update(dict.fromkeys(spread([0, *keyframes, count - 1], (limit - len(chosen)) // 2)))
    others = [frame for frame in range(count) if frame not in chosen]
    chosen.update(dict.fromkeys(spread(others, limit - len(chosen))))
    return sorted(chosen)


def describe(chosen: int, count: int) -> str:
    """Say which frames are shown."""
    if chosen == count:
        return f"All {count} frames are shown." if count != 1 else "The only frame is shown."
    return (
        f"{chosen} of {count} frames are shown: the worst, keyframes, and others at even distances. "
        "Figures and plots are of all frames."
    )


def encode_picture(image: np.ndarray, max_bytes: int) -> bytes:
    """Return an image (H, W, 3) RGB as JPEG: as large as fits into `max_bytes`, but not below a readable size."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    data = b""
    for side, quality in _LADDER:
        factor = min(1.0, side / max(image.shape[:2]))
        smaller = cv2.resize(bgr, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) if factor < 1.0 else bgr
        data = cv2.imencode(".jpg", smaller, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) <= max_bytes:
            break
    return data


def spread(items: Sequence[int], limit: int) -> list[int]:
    """Return at most `limit` items, evenly spread over the sequence, both ends among them."""
    if len(items) <= limit:
        return list(items)
    return [items[index] for index in np.linspace(0, len(items) - 1, limit).round().astype(int)]
