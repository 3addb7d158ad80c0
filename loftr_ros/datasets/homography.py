"""Training pairs from single photographs: two virtual views of a plane, related by a homography."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from loftr_ros.datasets.photographs import Photographs, list_images
from loftr_ros.datasets.photometric import PhotometricConfig, change_appearance
from loftr_ros.datasets.supervision import TrainingPair, homography_warp, true_matches
from perception_common.training.broken_files import BrokenFiles


@dataclass(frozen=True)
class HomographyConfig:
    """Folders of photographs, and the difference between the two views of a pair.

    A zoom is in pixels of the photograph per pixel of the view. Shift and perspective are fractions of the size of the
    view.
    """

    folders: tuple[Path, ...] = ()
    max_side: int = 1600  # pixels; larger photographs are shrunk when read
    holdout_every: int = 14  # one photograph in this number is set aside for validation
    zoom: tuple[float, float] = (0.8, 3.2)  # of view 0
    scale: float = 1.7  # maximum ratio of the two zooms
    rotation: float = 180.0  # maximum rotation between the views, degrees
    upright_chance: float = 0.4  # fraction of pairs that are rotated by less than 30 degrees
    perspective: float = 0.18  # maximum displacement of each corner of a view
    shift: float = 0.55  # maximum displacement of the centre of view 1
    photometric: PhotometricConfig = field(default_factory=PhotometricConfig)

    def __post_init__(self) -> None:
        if not 0 < self.zoom[0] <= self.zoom[1] or self.scale < 1 or not 0 <= self.perspective < 0.35:
            raise ValueError("zoom must be positive and rising, scale at least 1, perspective between 0 and 0.35")
        if self.holdout_every < 2:
            raise ValueError("holdout_every must be at least 2")


class HomographyPairs:
    """Pairs of views of photographs."""

    def __init__(self, config: HomographyConfig, stride: int, broken: BrokenFiles, *, holdout: bool = False) -> None:
        """stride: of the coarse cells, pixels. holdout: use only the photographs set aside for validation."""
        paths = list_images(config.folders)
        self.paths = tuple(path for n, path in enumerate(paths) if (n % config.holdout_every == 0) == holdout)
        self._config, self._stride = config, stride
        self._photographs = Photographs(self.paths, config.max_side, broken)

    def sample(self, rng: np.random.Generator, number: int, width: int, height: int) -> TrainingPair:
        """Sample a pair of views of this size."""
        config = self._config
        pyramid = self._photographs.draw(rng)
        P0, P1 = draw_views(config, pyramid[0].shape, width, height, rng)
        views = [
            change_appearance(render_view(pyramid, P, width, height, rng), config.photometric, rng) for P in (P0, P1)
        ]
        H01 = np.linalg.inv(P1) @ P0
        warps = [
            homography_warp(H, lambda points, P=P: _within(points, P, pyramid[0].shape))  # type: ignore[misc]
            for H, P in ((H01, P0), (np.linalg.inv(H01), P1))
        ]
        return TrainingPair(views[0], views[1], true_matches(height, width, self._stride, warps[0], warps[1]))


def draw_views(
    config: HomographyConfig, shape: tuple[int, ...], width: int, height: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Sample two views of a photograph of shape (height, width).

    Returns for each view the homography (3, 3) from pixels of the view to pixels of the photograph.
    """
    size = np.array([width, height], np.float64)
    photograph = np.array(shape[1::-1], np.float64)
    fits = 1.2 * min(photograph / size)  # a larger view would be mostly empty
    low, high = (min(limit, fits) for limit in config.zoom)
    zoom0 = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    zoom1 = zoom0 * config.scale ** float(rng.uniform(-1, 1))
    reach = np.minimum(0.42 * zoom0 * min(size), 0.5 * photograph)  # views may extend a little beyond the border
    centre0 = rng.uniform(reach, photograph - reach)
    centre1 = centre0 + rng.uniform(-1, 1, 2) * config.shift * max(zoom0, zoom1) * min(size)
    turn0 = rng.uniform(-np.pi, np.pi)
    limit = min(30.0, config.rotation) if rng.random() < config.upright_chance else config.rotation
    turn1 = turn0 + np.radians(rng.uniform(-limit, limit))
    return tuple(  # type: ignore[return-value]
        _view(centre, zoom, turn, size, config.perspective, rng)
        for centre, zoom, turn in ((centre0, zoom0, turn0), (centre1, zoom1, turn1))
    )


def _view(
    centre: np.ndarray, zoom: float, turn: float, size: np.ndarray, perspective: float, rng: np.random.Generator
) -> np.ndarray:
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (size - 1)
    moved = corners - (size - 1) / 2 + rng.uniform(-1, 1, (4, 2)) * perspective * rng.random() * size
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    seen = moved * zoom @ rotation.T + centre
    return cv2.getPerspectiveTransform(corners.astype(np.float32), seen.astype(np.float32))


def render_view(
    pyramid: tuple[np.ndarray, ...], P: np.ndarray, width: int, height: int, rng: np.random.Generator
) -> np.ndarray:
    """Render a view (height, width) uint8 from the pyramid level whose scale is nearest to that of the view."""
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    seen = cv2.perspectiveTransform(corners[None], P)[0].astype(np.float32)
    zoom = np.sqrt(max(cv2.contourArea(seen), 1.0) / (width * height))
    level = int(np.clip(np.rint(np.log2(max(zoom, 1.0))), 0, len(pyramid) - 1))
    # A pixel of a shrunk image covers a square of the full one, so its centre is not at a multiple of the factor.
    factors = np.array(pyramid[0].shape[::-1]) / np.array(pyramid[level].shape[::-1])
    to_level = np.array(
        [[1 / factors[0], 0, 0.5 / factors[0] - 0.5], [0, 1 / factors[1], 0.5 / factors[1] - 0.5], [0, 0, 1]]
    )
    return cv2.warpPerspective(
        pyramid[level],
        to_level @ P,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderValue=int(rng.integers(0, 256)),
    )


def _within(points: np.ndarray, P: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(N,) bool: the points (N, 2) of a view that lie on the photograph."""
    x, y, w = P @ np.column_stack([points, np.ones(len(points))]).T
    return (w > 1e-9) & (x >= 0) & (x <= w * (shape[1] - 1)) & (y >= 0) & (y <= w * (shape[0] - 1))
