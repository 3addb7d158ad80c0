"""Image pairs of known geometry from a pairs.json, and their images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.geometry import rigid_fault
from perception_common.paths import inner_path
from perception_common.text.json_files import read_json

SINGULAR = 1e-12  # smallest over largest singular value; homographies of images of 10,000 pixels stay above 1e-9


@dataclass(frozen=True, eq=False)
class ImagePair:
    """Two images and their true geometry: either a relative pose or a homography.

    name_a, name_b: file names as in pairs.json; path_a, path_b: the files. K_a, K_b: (3, 3), pixels of the upright
    images. T_ab: (4, 4), points of camera a to camera b. H_ab: (3, 3), pixels of image a to image b. A pair has K_a,
    K_b and T_ab, or H_ab; the others are None. truth_degrees: standard deviation of the rotation of T_ab and of
    the direction of its translation, as far as it is known; else 0.
    """

    name_a: str
    name_b: str
    path_a: Path
    path_b: Path
    K_a: np.ndarray | None
    K_b: np.ndarray | None
    T_ab: np.ndarray | None
    H_ab: np.ndarray | None
    truth_degrees: float = 0.0


@dataclass(frozen=True)
class PairList:
    """The pairs of a file. problems: one line for each entry that was left out, with its number and the cause."""

    pairs: tuple[ImagePair, ...]
    problems: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[ImagePair]:
        return iter(self.pairs)


def read_pairs(path: Path) -> PairList:
    """Read a pairs.json; file names in it are relative to its folder, and stay below it.

    Format: {"pairs": [{"a", "b", "K_a", "K_b", "T_ab"} or {"a", "b", "H_ab"}, ...]}, matrices as nested lists, and
    optionally "ref_unc_deg", the standard deviation of T_ab in degrees. A broken entry and one whose geometry is
    impossible are left out and listed. Raises InputError when no pair is left.
    """
    content = read_json(path)
    if not isinstance(content, dict) or "pairs" not in content:
        raise InputError(f"{path}: is no pairs.json; a JSON object with a list `pairs` is expected")
    entries = content["pairs"]
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: holds no pairs")
    pairs, problems = [], []
    for number, entry in enumerate(entries):
        try:
            pairs.append(_read_pair(entry, path.parent))
        except InputError as error:
            problems.append(f"pair {number}: {error}")
    if not pairs:
        raise InputError(f"{path}: none of its {len(entries)} pairs can be used; {problems[0]}")
    return PairList(tuple(pairs), tuple(problems))


def _read_pair(entry: Any, folder: Path) -> ImagePair:
    try:
        name_a, name_b = entry["a"], entry["b"]
        needed = {"K_a": (3, 3), "K_b": (3, 3), "T_ab": (4, 4)} if "T_ab" in entry else {"H_ab": (3, 3)}
        values = {key: np.array(entry[key], np.float64) for key in needed}
        truth_degrees = float(entry.get("ref_unc_deg", 0.0))
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise InputError(f"needs a, b and either K_a, K_b and T_ab or H_ab ({error!r})") from error
    for key, shape in needed.items():
        if values[key].shape != shape or not np.isfinite(values[key]).all():
            raise InputError(f"{key} must be {shape[0]}x{shape[1]} finite numbers")
        if fault := _FAULTS[key](values[key]):
            raise InputError(f"{key} {fault}")
    if not 0.0 <= truth_degrees < np.inf:
        raise InputError(f"ref_unc_deg must be a finite number of degrees from 0, got {truth_degrees:g}")
    geometry = {key: values.get(key) for key in ("K_a", "K_b", "T_ab", "H_ab")}
    path_a, path_b = inner_path(folder, name_a), inner_path(folder, name_b)
    return ImagePair(name_a, name_b, path_a=path_a, path_b=path_b, **geometry, truth_degrees=truth_degrees)


def homography_fault(H: np.ndarray) -> str:
    """Return what keeps H (3, 3) from being a homography; empty for one."""
    largest, _, smallest = np.linalg.svd(H, compute_uv=False)
    return "" if smallest > SINGULAR * largest else "has no inverse, so it is no homography"


def _matrix_fault(K: np.ndarray) -> str:
    """Return what keeps K (3, 3) from being a camera matrix; empty for one."""
    try:
        Camera.from_matrix(K, 1, 1)
    except InputError as error:
        return f"cannot be used: {error}"
    return ""


_FAULTS: dict[str, Callable[[np.ndarray], str]] = {
    "K_a": _matrix_fault,
    "K_b": _matrix_fault,
    "T_ab": rigid_fault,
    "H_ab": homography_fault,
}


def resizing(old: tuple[int, int], new: tuple[int, int]) -> np.ndarray:
    """Return the matrix (3, 3) from pixels of an image to pixels of the resized image; sizes are shapes (H, W).

    Pixel centres are at integers, so the corner of an image is at (-0.5, -0.5).
    """
    y, x = new[0] / old[0], new[1] / old[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
