"""Ground made of photographs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from flight_sim.textures.noise import to_uint8

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
_SEAM_SHARE = 6  # neighbours overlap by the shorter side over this


def photo_mosaic(
    rng: np.random.Generator, folder: Path | str, side_px: int, metres_per_pixel: float, photo_metres_per_pixel: float
) -> np.ndarray:
    """Ground (side_px, side_px, 3) uint8 RGB of the photographs in a folder.

    Photographs have `photo_metres_per_pixel`; each is rotated by a random multiple of 90 degrees, and neighbours are
    blended over a seam. One quarter of the ground is mirrored to the others, so that it is periodic.
    Raises ValueError when the folder holds no image, or one that cannot be read.
    """
    paths = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise ValueError(f"no image in {folder}: give a folder with {', '.join(IMAGE_SUFFIXES)} files")
    half = side_px // 2
    quarter = np.zeros((half, half, 3), np.float32)
    weight = np.full((half, half, 1), 1e-6, np.float32)
    y = 0
    while y < half:
        x = 0
        row_height = half
        while x < half:
            path = paths[rng.integers(len(paths))]
            photo = np.rot90(_read_scaled(path, photo_metres_per_pixel / metres_per_pixel), int(rng.integers(4)))
            height, width = min(photo.shape[0], half - y), min(photo.shape[1], half - x)
            seam = min(photo.shape[0], photo.shape[1]) // _SEAM_SHARE
            rows, columns = _fade(photo.shape[0], seam)[:height], _fade(photo.shape[1], seam)[:width]
            fade = np.minimum.outer(rows, columns)[..., None]
            quarter[y : y + height, x : x + width] += photo[:height, :width] * fade
            weight[y : y + height, x : x + width] += fade
            x += max(photo.shape[1] - seam, 8)
            row_height = min(row_height, max(photo.shape[0] - seam, 8))
        y += row_height
    image = to_uint8(quarter / weight)
    image = np.concatenate([image, image[:, ::-1]], axis=1)
    return np.concatenate([image, image[::-1]], axis=0)


def _read_scaled(path: Path, scale: float) -> np.ndarray:
    """The photograph, RGB, resized by a factor."""
    photo = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if photo is None:
        raise ValueError(f"cannot read the photograph {path}: remove or replace it")
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.cvtColor(cv2.resize(photo, None, fx=scale, fy=scale, interpolation=interpolation), cv2.COLOR_BGR2RGB)


def _fade(length: int, ramp: int) -> np.ndarray:
    """Weights (length,) float32 that rise over `ramp` samples at both ends and never reach zero."""
    distance = np.minimum(np.arange(length), np.arange(length)[::-1]) + 1.0
    return np.clip(distance / max(ramp, 1), 0.0, 1.0).astype(np.float32)
