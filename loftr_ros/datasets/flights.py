"""Training pairs from simulated flights: parallax, occlusion and traffic, which single photographs cannot show."""

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

SCENES_KEPT = 2  # of about 150 MB: the current one and its neighbour, which another loader thread may still use


@dataclass(frozen=True)
class FlightConfig:
    """Which scenes are flown over and how the two views of a pair lie. A new scene is built every so many pairs."""

    first_scene: int = 1000  # scene seeds count up from here
    pairs_per_scene: int = 400  # of the run, whatever source the pairs between are from
    tolerance: float = 0.02  # relative disagreement of depths that still is the same surface
    scene: SceneOptions = field(default_factory=SceneOptions)
    photograph_folders: tuple[str, ...] = ()  # every other scene has these, in turns, as its ground
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
        """`stride`: of the coarse cells."""
        self._config, self._stride = config, stride
        self._scenes: OrderedDict[int, Scene] = OrderedDict()
        self._lock = threading.Lock()

    def sample(self, rng: np.random.Generator, number: int, width: int, height: int) -> TrainingPair:
        """Draw a pair of views of the scene that it is the turn of at this pair of the run."""
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
    """The view of a frame of a pinhole camera; what moves has no known depth, since it will not be there again."""
    truth = frame.truth
    depth = np.where(truth.moving | ~np.isfinite(truth.depth), 0, truth.depth)
    image = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
    return PosedView(image, depth, truth.camera.matrix, np.linalg.inv(truth.T_world_camera))
