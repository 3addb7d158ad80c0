"""Targets: picture files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from perception_common.images.pictures.files import read_gray, read_rgb
from replay_ros.reliability.fuzz.target import Target

_SUFFIXES = (".jpg", ".png", ".bmp", ".tiff", ".webp")


def targets() -> list[Target]:
    """Return the targets of this module."""
    return [Target("picture file", _seeds, _read, cost=2)]


def _seeds() -> list[bytes]:
    rng = np.random.default_rng(0)
    colour = cv2.resize(rng.integers(0, 256, (4, 4, 3), np.uint8), (32, 24))
    deep = colour.astype(np.uint16) << 4
    files = [cv2.imencode(suffix, colour)[1] for suffix in _SUFFIXES]
    return [file.tobytes() for file in (*files, cv2.imencode(".png", deep)[1], cv2.imencode(".tiff", deep)[1])]


def _read(data: bytes, folder: Path) -> object:
    path = folder / "picture.jpg"
    path.write_bytes(data)
    return read_gray(path).shape, read_rgb(path).shape
