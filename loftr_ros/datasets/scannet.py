"""Training pairs of ScanNet, with the index files published by LoFTR's authors.

root/sceneXXXX_YY/color/ID.jpg, depth/ID.png (uint16 millimetres), pose/ID.txt (camera to world, 4 x 4)
index/*.npz: "name" (N, 4) integers scene, part, ID of view 0, ID of view 1; "score" (N,) overlap
intrinsics.npz: scene name to K (3, 3), of 640 x 480
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from loftr_ros.datasets.photometric import PhotometricConfig
from loftr_ros.datasets.posed_views import PosedView, make_pair
from loftr_ros.datasets.scene_info import read_scene_info
from loftr_ros.datasets.supervision import TrainingPair, Visibility, tolerance_of
from perception_common.errors import InputError
from perception_common.geometry import rigid_fault
from perception_common.images.pictures.files import read_depth, read_gray
from perception_common.text.text_files import read_text, table_rows
from perception_common.training.broken_files import BrokenFiles

WIDTH, HEIGHT = 640, 480  # of the depth images, and of the intrinsics
TRIALS = 100  # broken pairs in a row after which the data set is unusable; empirical


@dataclass(frozen=True)
class ScanNetConfig:
    """Folders of scans and index files, the file of intrinsics, and the minimum overlap of the pairs to use."""

    root: Path
    index: Path
    intrinsics: Path
    least_overlap: float = 0.4
    tolerance: float = 0.2  # maximum relative difference of depths of the same surface
    visibility: Visibility = "depth"
    photometric: PhotometricConfig = field(default_factory=PhotometricConfig)


class ScanNetPairs:
    """Pairs sampled uniformly from all index files."""

    def __init__(self, config: ScanNetConfig, stride: int, broken: BrokenFiles) -> None:
        """stride: of the coarse cells, pixels. Raises InputError if a file is missing or has another format."""
        self._config, self._stride, self._broken = config, stride, broken
        files = sorted(config.index.glob("*.npz"))
        if not files:
            raise InputError(f"there is no index file (*.npz) in {config.index}")
        try:
            self._names = np.concatenate([_read_index(file, config.least_overlap) for file in files])
            found = read_scene_info(config.intrinsics)
            self._K = {scene: np.asarray(K, np.float64)[:3, :3] for scene, K in found.items()}
        except (LookupError, TypeError, ValueError) as error:
            raise InputError(f"the index of {config.root} cannot be read ({error!r})") from error
        if not len(self._names):
            raise InputError(f"no pair in {config.index} has an overlap above {config.least_overlap}")

    def sample(self, rng: np.random.Generator, number: int, width: int, height: int) -> TrainingPair:
        """Sample a pair; broken files are recorded, and their pairs skipped."""
        for _ in range(TRIALS):
            scene, part, first, second = self._names[rng.integers(len(self._names))].tolist()
            views = [self._read(f"scene{scene:04d}_{part:02d}", stem) for stem in (first, second)]
            if views[0] is not None and views[1] is not None:
                view0, view1 = (view.fitted(width, height) for view in views if view is not None)
                tolerance = tolerance_of(self._config.visibility, self._config.tolerance)
                return make_pair(view0, view1, self._stride, tolerance, self._config.photometric, rng)
        raise InputError(f"{TRIALS} pairs in a row from {self._config.root} are broken; check the folder")

    def _read(self, scene: str, stem: int) -> PosedView | None:
        folder = self._config.root / scene
        color, depth_file, pose_file = (folder / f"{kind}/{stem}.{suffix}" for kind, suffix in _FILES)
        try:
            image = read_gray(color)
        except InputError as error:
            self._broken.add(color, str(error))
            return None
        try:
            depth = read_depth(depth_file)
        except InputError as error:
            self._broken.add(depth_file, str(error))
            return None
        if depth.shape != (HEIGHT, WIDTH):
            self._broken.add(depth_file, f"it is no depth image of {WIDTH} x {HEIGHT}")
            return None
        try:
            T_world_camera = read_pose(pose_file)
        except InputError as error:  # ScanNet marks frames whose tracking failed by infinite poses
            self._broken.add(pose_file, str(error))
            return None
        if scene not in self._K:
            self._broken.add(folder, "its intrinsics are missing")
            return None
        image = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        return PosedView(image, depth.astype(np.float32) / 1000, self._K[scene], np.linalg.inv(T_world_camera))


_POSE_BYTES = 2**16  # of a pose file, which has 16 numbers
_FILES = (("color", "jpg"), ("depth", "png"), ("pose", "txt"))


def read_pose(path: Path) -> np.ndarray:
    """Read the pose of a scan, camera to world (4, 4). Raises InputError for a file that holds no rigid motion."""
    rows = [cells for _, cells in table_rows(read_text(path, "pose file", limit=_POSE_BYTES))]
    try:
        T = np.array(rows, np.float64)
    except ValueError as error:
        raise InputError(f"{path} holds no pose: it is no matrix of numbers") from error
    if fault := rigid_fault(T):
        raise InputError(f"{path} holds no pose: it {fault}")
    return T


def _read_index(path: Path, least_overlap: float) -> np.ndarray:
    found = read_scene_info(path)
    return found["name"].reshape(-1, 4)[found["score"] > least_overlap].astype(np.int64)
