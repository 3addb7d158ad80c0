"""MegaDepth-1500: relative poses of tourist photographs of two places, in LoFTR's layout.

FOLDER/Undistorted_SfM/... holds the images. The index folder (assets/megadepth_test_1500_scene_info of LoFTR's
repository) holds five scene files *.npz with "image_paths", "intrinsics" (K of the stored image), "poses" (world to
camera) and "pair_infos" ((i, j), overlap, ...). Images are resized to a long side of 1200 pixels (LoFTR, section 4.2)
or 840 (its released configuration), with sides rounded down to multiples of 8. Matches are mapped back to the stored
images; thresholds are in their pixels.

Images are matched at their own size. LoFTR's released test pads both to squares, masks the padding, and in optimal
transport leaves its mass to the padded cells, which gives other matches; `--padding release` does the same.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np

from loftr_ros.datasets.image_pairs import resizing
from loftr_ros.datasets.scene_info import read_scene_info
from loftr_ros.image_matcher import Padding
from perception_common.errors import InputError
from perception_common.geometry import inverse, rigid_fault
from perception_common.images.pictures.files import read_gray
from perception_common.paths import inner_path
from replay_ros.protocols.posed_pairs import ImageSetting, PairView, PosedPair

PAIRS = 1500
LONG_SIDES = (840, 1200)
MULTIPLE = 8  # of both sides of the resized image


def read_pairs(folder: Path, index: Path, limit: int | None = None) -> list[PosedPair]:
    """Read the pairs of all scene files, the first `limit` of them. Raises InputError for broken and missing files."""
    pairs: list[PosedPair] = []
    for path in sorted(index.glob("*.npz")):
        info = read_scene_info(path)
        try:
            for (i, j), *_ in info["pair_infos"]:
                (name_a, K_a, T_a), (name_b, K_b, T_b) = (_camera(info, int(k)) for k in (i, j))
                name = f"{path.stem}/{Path(name_a).stem}-{Path(name_b).stem}"
                paths = inner_path(folder, name_a), inner_path(folder, name_b)
                pairs.append(PosedPair(name, *paths, K_a, K_b, T_b @ inverse(T_a)))
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise InputError(f"{path} is not a scene file of MegaDepth ({error!r})") from error
    if not pairs:
        raise InputError(
            f"{index} holds no pairs of MegaDepth-1500; "
            "give LoFTR's assets/megadepth_test_1500_scene_info (*.npz) with --index"
        )
    return pairs[:limit]


def read_view(path: Path, long_side: int) -> PairView:
    """Read an image and resize it to a long side of about `long_side` pixels."""
    image = read_gray(path)
    height, width = image.shape
    factor = long_side / max(height, width)
    size = [max(MULTIPLE, round(side * factor) // MULTIPLE * MULTIPLE) for side in (width, height)]
    gray = cv2.resize(image, size)
    return PairView(gray, np.linalg.inv(resizing((height, width), gray.shape)), width, height)


def setting(long_side: int, padding: Padding = "none") -> ImageSetting:
    """Return the setting of images with a long side of about so many pixels. padding: names the result."""
    name = f"long side {long_side}" + (", padded" if padding == "release" else "")
    return ImageSetting(name, partial(read_view, long_side=long_side))


def _camera(info: dict, index: int) -> tuple[str, np.ndarray, np.ndarray]:
    """Return the image's name, K (3, 3) and world to camera (4, 4). Raises ValueError where one is missing."""
    name, K, T = info["image_paths"][index], info["intrinsics"][index], info["poses"][index]
    if name is None or K is None or T is None:
        raise ValueError(f"image {index} of a pair has no path, intrinsics or pose")
    pose = np.asarray(T, np.float64)
    if fault := rigid_fault(pose):
        raise ValueError(f"the pose of image {index} {fault}")
    return str(name), np.asarray(K, np.float64).reshape(3, 3), pose
