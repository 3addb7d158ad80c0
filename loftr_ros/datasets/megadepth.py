"""Training pairs of MegaDepth in the layout published by LoFTR's authors (undistorted images and depths of D2-Net).

scene files *.npz: "image_paths" and "depth_paths" (N,) relative to the root, or None; "intrinsics" (N,) K of the whole
image; "poses" (N,) world to camera, 4 x 4; "pair_infos" ((i, j), overlap, ...) of each pair. Depths are HDF5 files.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from loftr_ros.datasets.photometric import PhotometricConfig
from loftr_ros.datasets.posed_views import PosedView, make_pair
from loftr_ros.datasets.scene_info import read_scene_info
from loftr_ros.datasets.supervision import TrainingPair, Visibility, tolerance_of
from perception_common.errors import InputError
from perception_common.geometry import rigid_fault
from perception_common.images.pictures.files import read_gray
from perception_common.paths import inner_path
from perception_common.training.broken_files import BrokenFiles

TRIALS = 100  # broken pairs in a row after which the data set is unusable; empirical


@dataclass(frozen=True)
class MegaDepthConfig:
    """Folders of images, depths and scene files, and the range of overlaps of the pairs to use."""

    root: Path
    scenes: Path  # folder of scene files
    overlap: tuple[float, float] = (0.1, 0.7)
    tolerance: float = 0.2  # maximum relative difference of depths of the same surface
    visibility: Visibility = "depth"
    photometric: PhotometricConfig = field(default_factory=PhotometricConfig)


@dataclass(frozen=True)
class _Scene:
    images: tuple[str | None, ...]
    depths: tuple[str | None, ...]
    intrinsics: np.ndarray
    poses: np.ndarray
    pairs: np.ndarray  # (P, 2)


class MegaDepthPairs:
    """Pairs from scenes that are sampled uniformly, regardless of their number of pairs."""

    def __init__(self, config: MegaDepthConfig, stride: int, broken: BrokenFiles) -> None:
        """stride: of the coarse cells, pixels.

        Raises InputError if a scene file is missing or has another format, or if h5py is not installed.
        """
        if importlib.util.find_spec("h5py") is None:
            raise InputError("MegaDepth's depths are HDF5 files; install h5py to read them (pip install h5py)")
        self._config, self._stride, self._broken = config, stride, broken
        scenes = [_read_scene(path, config.overlap) for path in sorted(config.scenes.glob("*.npz"))]
        self._scenes = [scene for scene in scenes if len(scene.pairs)]
        if not self._scenes:
            raise InputError(f"no scene file (*.npz) in {config.scenes} has pairs with an overlap in {config.overlap}")

    def sample(self, rng: np.random.Generator, number: int, width: int, height: int) -> TrainingPair:
        """Sample a pair; broken files are recorded, and their pairs skipped."""
        for _ in range(TRIALS):
            scene = self._scenes[rng.integers(len(self._scenes))]
            views = [self._read(scene, index) for index in scene.pairs[rng.integers(len(scene.pairs))].tolist()]
            if views[0] is not None and views[1] is not None:
                view0, view1 = (view.fitted(width, height) for view in views if view is not None)
                tolerance = tolerance_of(self._config.visibility, self._config.tolerance)
                return make_pair(view0, view1, self._stride, tolerance, self._config.photometric, rng)
        raise InputError(f"{TRIALS} pairs in a row from {self._config.root} are broken; check the folder")

    def _read(self, scene: _Scene, index: int) -> PosedView | None:
        image_name, depth_name = scene.images[index], scene.depths[index]
        if image_name is None or depth_name is None:
            return None  # the scene file marks it as absent, so it is not broken
        if fault := rigid_fault(scene.poses[index]):
            self._broken.add(self._config.root / image_name, f"its pose {fault}")
            return None
        try:
            image = read_gray(self._config.root / image_name)
        except InputError as error:
            self._broken.add(self._config.root / image_name, str(error))
            return None
        depth = self._read_depth(self._config.root / depth_name)
        if depth is None:
            return None
        if depth.shape != image.shape:
            self._broken.add(self._config.root / depth_name, "it differs from its image in size")
            return None
        return PosedView(image, depth, scene.intrinsics[index], scene.poses[index])

    def _read_depth(self, path: Path) -> np.ndarray | None:
        import h5py

        try:
            with h5py.File(path, "r") as file:
                return np.asarray(file["depth"], np.float32)
        except (OSError, KeyError) as error:
            self._broken.add(path, f"it is no depth file ({error})")
            return None


def _read_scene(path: Path, overlap: tuple[float, float]) -> _Scene:
    info = read_scene_info(path)
    try:
        count = len(info["image_paths"])
        pairs = [tuple(pair[0]) for pair in info["pair_infos"] if overlap[0] < pair[1] <= overlap[1]]
        return _Scene(
            images=tuple(map(_inner_name, info["image_paths"].tolist())),
            depths=tuple(map(_inner_name, info["depth_paths"].tolist())),
            intrinsics=_matrices(info["intrinsics"], count, 3),
            poses=_matrices(info["poses"], count, 4),
            pairs=np.array(pairs, np.int64).reshape(-1, 2),
        )
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise InputError(f"{path} is not a scene file of MegaDepth ({error!r})") from error


def _inner_name(name: str | None) -> str | None:
    """Return a file name of a scene, which must stay below the data set's folder. Raises InputError."""
    return None if name is None else str(inner_path(Path(), name))


def _matrices(values: Any, count: int, size: int) -> np.ndarray:
    """(N, size, size) float64; NaN for missing matrices."""
    matrices = np.full((count, size, size), np.nan)
    for index, value in enumerate(values):
        if value is not None:
            matrices[index] = value
    return matrices
