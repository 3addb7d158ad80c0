"""Photographs in memory: decoded once, gray, as image pyramids."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np

from perception_common.errors import InputError
from perception_common.images.pictures.files import read_gray
from perception_common.paths import inner_path
from perception_common.text.json_files import read_json
from perception_common.training.broken_files import BrokenFiles

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


def list_images(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    """List the image files in folders, sorted, and those that a COCO file (.json) in place of a folder lists.

    The file names in a COCO file are relative to its folder. Raises InputError for a folder that is missing or without
    images.
    """
    paths: list[Path] = []
    for folder in folders:
        if folder.suffix == ".json":
            paths += _listed_images(folder)
            continue
        if not folder.is_dir():
            fault = "is no folder" if folder.exists() else "does not exist"
            raise InputError(f"{folder} {fault}: give a folder of images, or a COCO file (.json) that lists them")
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not found:
            raise InputError(f"there is no image in {folder} ({', '.join(SUFFIXES)})")
        paths += found
    return tuple(paths)


def _listed_images(coco: Path) -> list[Path]:
    content = read_json(coco)
    try:
        found = sorted(inner_path(coco.parent, image["file_name"]) for image in content["images"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{coco}: is no COCO file; a list `images` with `file_name` is expected") from error
    if not found:
        raise InputError(f"{coco}: lists no images")
    return found


class Photographs:
    """Pyramids of gray images at full, half, quarter ... size, read on first use. Thread-safe."""

    def __init__(self, paths: tuple[Path, ...], max_side: int, broken: BrokenFiles) -> None:
        self._paths, self._max_side, self._broken = paths, max_side, broken
        self._pyramids: dict[Path, tuple[np.ndarray, ...] | None] = {}
        self._lock = threading.Lock()

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Sample a pyramid: (H, W) uint8 and its halves, down to 64 pixels. Broken files are recorded and skipped.

        Raises InputError if all files are broken.
        """
        for index in rng.permutation(len(self._paths)):
            pyramid = self._get(self._paths[index])
            if pyramid is not None:
                return pyramid
        raise InputError(f"none of the {len(self._paths)} images can be read, as {self._paths[0]}")

    def _get(self, path: Path) -> tuple[np.ndarray, ...] | None:
        with self._lock:
            if path not in self._pyramids:
                self._pyramids[path] = self._read(path)
            return self._pyramids[path]

    def _read(self, path: Path) -> tuple[np.ndarray, ...] | None:
        try:
            image = read_gray(path)
        except InputError as error:
            self._broken.add(path, str(error))
            return None
        factor = self._max_side / max(image.shape)
        if factor < 1:
            image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        pyramid = [image]
        while min(pyramid[-1].shape) >= 128:
            height, width = pyramid[-1].shape
            pyramid.append(cv2.resize(pyramid[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
        return tuple(pyramid)
