"""Training pairs from simulated flights, which show parallax, occlusion and traffic, unlike single photographs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import cv2
import numpy as np

from flight_sim.flight import SimulatedFrame
from flight_sim.sampling import PairOptions, sample_pair
from flight_sim.scene import Scene, SceneOptions, build_scene
from loftr_ros.datasets.photometric import PhotometricConfig
from loftr_ros.datasets.posed_views import PosedView, make_pair
from loftr_ros.datasets.supervision import TrainingPair

SCENES_KEPT = 2  # of about 150 MB each: the current one, and the previous one for other loader threads


@dataclass(frozen=True)
class FlightConfig:
    """Simulated scenes, and the relative position of the two views of a pair."""

    first_scene: int = 1000  # seed of the first scene; the seeds of further scenes count up from it
    pairs_per_scene: int = 400  # pairs of the run, of all sources, after which a new scene is built
    tolerance: float = 0.02  # maximum relative difference of depths of the same surface
    scene: SceneOptions = field(default_factory=SceneOptions)
    photograph_folders: tuple[str, ...] = ()  # ground textures, in turns, of every other scene
    pairs: PairOptions = field(default_factory=PairOptions)
    photometric: PhotometricConfig = field(
        default_factory=lambda: PhotometricConfig(gamma=0.3, contrast=0.3, brightness=30, shadow_chance=0.1, noise=6)
    )

    def __post_init__(self) -> None:
        if self.pairs_per_scene < 1 or not 0 < self.tolerance < 1:
            raise ValueError("pairs_per_scene must be at least 1 and tolerance within 0 to 1")


class FlightPairs:
    """Pairs of views of simulated scenes."""

    def __init__(self, config: FlightConfig, stride: int) -> None:
        """stride: of the coarse cells, pixels."""
        self._config, self._stride = config, stride
        self._scenes: OrderedDict[int, Scene] = OrderedDict()
        self._lock = threading.Lock()

    def sample(self, rng: np.random.Generator, number: int, width: int, height: int) -> TrainingPair:
        """Sample a pair of views of the scene for this number of the pair."""
        config = self._config
        scene = self._scene(number // config.pairs_per_scene)
        pair = sample_pair(int(rng.integers(2**31)), (width, height), config.pairs, scene)
        views = [posed_view(frame) for frame in (pair.first, pair.second)]
        return make_pair(views[0], views[1], self._stride, config.tolerance, config.photometric, rng)

    def _scene(self, turn: int) -> Scene:
        with self._lock:
            if turn not in self._scenes:
                self._scenes[turn] = build_scene(self._config.first_scene + turn, self._options(turn))
                while len(self._scenes) > SCENES_KEPT:
                    self._scenes.popitem(last=False)
            return self._scenes[turn]

    def _options(self, turn: int) -> SceneOptions:
        folders = self._config.photograph_folders
        if not folders or turn % 2 == 0:
            return self._config.scene
        values = {**vars(self._config.scene), "photographs": folders[turn // 2 % len(folders)]}
        return SceneOptions(**values)


def posed_view(frame: SimulatedFrame) -> PosedView:
    """Convert a frame of a pinhole camera. Moving objects get no depth, since they are elsewhere in the other view."""
    truth = frame.truth
    depth = np.where(truth.moving | ~np.isfinite(truth.depth), 0, truth.depth)
    image = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
    return PosedView(image, depth, truth.camera.matrix, np.linalg.inv(truth.T_world_camera))
