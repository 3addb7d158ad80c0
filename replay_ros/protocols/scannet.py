"""ScanNet-1500: relative poses of indoor pairs with wide baselines (the test pairs of SuperGlue), in LoFTR's layout.

FOLDER/sceneXXXX_YY/color/ID.jpg and pose/ID.txt (camera to world, 4x4). The index folder (assets/scannet_test_1500 of
LoFTR's repository) holds test.npz with "name" (N, 4) integers scene, part, ID, ID and intrinsics.npz with K (3, 3) at
640 x 480 by scene. Images are resized to 640 x 480; thresholds are in pixels of this size (LoFTR, section 4.2).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from loftr_ros.datasets.scannet import read_pose
from loftr_ros.datasets.scene_info import read_scene_info
from perception_common.errors import InputError
from perception_common.geometry import inverse
from perception_common.images.pictures.files import read_gray
from replay_ros.protocols.posed_pairs import ImageSetting, PairView, PosedPair

PAIRS = 1500
WIDTH, HEIGHT = 640, 480


def read_pairs(folder: Path, index: Path, limit: int | None = None) -> list[PosedPair]:
    """Read the pairs of the index, the first `limit` of them. Raises InputError for missing or broken files."""
    try:
        names = read_scene_info(index / "test.npz")["name"].astype(np.int64).reshape(-1, 4)[:limit].tolist()
        found = read_scene_info(index / "intrinsics.npz")
        intrinsics = {scene: np.asarray(K, np.float64)[:3, :3] for scene, K in found.items()}
    except (LookupError, AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"{index} holds no index of ScanNet-1500 ({error}); "
            "give LoFTR's assets/scannet_test_1500 (test.npz, intrinsics.npz) with --index"
        ) from error
    pose = lru_cache(maxsize=None)(read_pose)
    pairs = []
    for number, part, first, second in names:
        scene = f"scene{number:04d}_{part:02d}"
        if scene not in intrinsics:
            raise InputError(f"{index / 'intrinsics.npz'} has no intrinsics of {scene}")
        T_world_a, T_world_b = (pose(folder / scene / "pose" / f"{stem}.txt") for stem in (first, second))
        path_a, path_b = (folder / scene / "color" / f"{stem}.jpg" for stem in (first, second))
        K = intrinsics[scene]
        pairs.append(PosedPair(f"{scene}/{first}-{second}", path_a, path_b, K, K, inverse(T_world_b) @ T_world_a))
    return pairs


def read_view(path: Path) -> PairView:
    """Read an image at the size of the protocol."""
    gray = cv2.resize(read_gray(path), (WIDTH, HEIGHT))
    return PairView(gray, np.eye(3), WIDTH, HEIGHT)


SETTINGS = (ImageSetting(f"{WIDTH} x {HEIGHT}", read_view),)
