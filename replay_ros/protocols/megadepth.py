"""MegaDepth-1500: relative poses of tourist photographs of two places, in LoFTR's layout.

FOLDER/Undistorted_SfM/...: images; in the index folder (assets/megadepth_test_1500_scene_info of LoFTR's repository)
five scene files *.npz with "image_paths", "intrinsics" (K of the stored image), "poses" (world to camera) and
"pair_infos" ((i, j), overlap, ...). Images are resized to a long side of 1200 pixels (the paper, section 4.2) or 840
(the released configuration), sides rounded down to multiples of 8; matches go back to the stored images, where
thresholds are measured.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from loftr_ros.datasets.image_pairs import read_gray, resizing
from loftr_ros.datasets.scene_info import read_scene_info
from perception_common.errors import InputError
from replay_ros.protocols.posed_pairs import PosedPair, PosedView

PAIRS = 1500
LONG_SIDES = (840, 1200)
MULTIPLE = 8


def read_pairs(folder: Path, index: Path, limit: int | None = None) -> list[PosedPair]:
    """Read the pairs of all scene files, the first `limit` of them. Raises InputError for broken files and none."""
    pairs: list[PosedPair] = []
    for path in sorted(index.glob("*.npz")):
        info = read_scene_info(path)
        try:
            for (i, j), *_ in info["pair_infos"]:
                (name_a, K_a, T_a), (name_b, K_b, T_b) = (_camera(info, int(k)) for k in (i, j))
                name = f"{path.stem}/{Path(name_a).stem}-{Path(name_b).stem}"
                pairs.append(PosedPair(name, folder / name_a, folder / name_b, K_a, K_b, T_b @ np.linalg.inv(T_a)))
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise InputError(f"{path} is no scene file of MegaDepth ({error!r})") from error
    if not pairs:
        raise InputError(
            f"{index} holds no pairs of MegaDepth-1500; "
            "give LoFTR's assets/megadepth_test_1500_scene_info (*.npz) with --index"
        )
    return pairs[:limit]


def loader(long_side: int) -> Callable[[Path], PosedView]:
    """Return what reads an image with a long side of so many pixels, as the protocol has it."""

    def load(path: Path) -> PosedView:
        image = read_gray(path)
        height, width = image.shape
        factor = long_side / max(height, width)
        size = [max(MULTIPLE, round(side * factor) // MULTIPLE * MULTIPLE) for side in (width, height)]
        gray = cv2.resize(image, size)
        return PosedView(gray, np.linalg.inv(resizing((height, width), gray.shape)), width, height)

    return load


def setting(long_side: int) -> str:
    """Say how images are resized."""
    return f"long side {long_side}"


def _camera(info: dict, index: int) -> tuple[str, np.ndarray, np.ndarray]:
    """Return the image's name, K (3, 3) and world to camera (4, 4). Raises ValueError where it has none."""
    name, K, T = info["image_paths"][index], info["intrinsics"][index], info["poses"][index]
    if name is None or K is None or T is None:
        raise ValueError(f"image {index} of a pair has no path, intrinsics or pose")
    return str(name), np.asarray(K, np.float64).reshape(3, 3), np.asarray(T, np.float64).reshape(4, 4)
