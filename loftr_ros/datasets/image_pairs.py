"""Image pairs of known geometry from a pairs.json, and their images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perception_common.errors import InputError
from perception_common.text.json_files import read_json


@dataclass(frozen=True, eq=False)
class ImagePair:
    """Two images and their true geometry: either a relative pose or a homography.

    name_a, name_b: file names as in pairs.json; path_a, path_b: the files. K_a, K_b: (3, 3), pixels of the upright
    images. T_ab: (4, 4), points of camera a to camera b. H_ab: (3, 3), pixels of image a to image b. A pair has K_a,
    K_b and T_ab, or H_ab; the others are None.
    """

    name_a: str
    name_b: str
    path_a: Path
    path_b: Path
    K_a: np.ndarray | None
    K_b: np.ndarray | None
    T_ab: np.ndarray | None
    H_ab: np.ndarray | None


def read_pairs(path: Path) -> tuple[ImagePair, ...]:
    """Read a pairs.json; file names in it are relative to its folder. Raises InputError, also for a file without pairs.

    Format: {"pairs": [{"a", "b", "K_a", "K_b", "T_ab"} or {"a", "b", "H_ab"}, ...]}, matrices as nested lists.
    """
    content = read_json(path)
    if not isinstance(content, dict) or "pairs" not in content:
        raise InputError(f"{path}: is no pairs.json; a JSON object with a list `pairs` is expected")
    entries = content["pairs"]
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: holds no pairs")
    return tuple(_read_pair(entry, f"{path}, pair {number}", path.parent) for number, entry in enumerate(entries))


def _read_pair(entry: Any, where: str, folder: Path) -> ImagePair:
    try:
        name_a, name_b = str(entry["a"]), str(entry["b"])
        is_posed = "T_ab" in entry
        needed = {"K_a": (3, 3), "K_b": (3, 3), "T_ab": (4, 4)} if is_posed else {"H_ab": (3, 3)}
        values = {key: np.array(entry[key], np.float64) for key in needed}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{where}: needs a, b and either K_a, K_b and T_ab or H_ab ({error!r})") from error
    for key, shape in needed.items():
        if values[key].shape != shape or not np.isfinite(values[key]).all():
            raise InputError(f"{where}: {key} must be {shape[0]}x{shape[1]} finite numbers")
    geometry = {key: values.get(key) for key in ("K_a", "K_b", "T_ab", "H_ab")}
    return ImagePair(name_a, name_b, path_a=folder / name_a, path_b=folder / name_b, **geometry)


def resizing(old: tuple[int, int], new: tuple[int, int]) -> np.ndarray:
    """Return the matrix (3, 3) from pixels of an image to pixels of the resized image; sizes are shapes (H, W).

    Pixel centres are at integers, so the corner of an image is at (-0.5, -0.5).
    """
    y, x = new[0] / old[0], new[1] / old[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
