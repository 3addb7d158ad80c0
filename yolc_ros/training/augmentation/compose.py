"""Training images from labelled ones: a random view, a crop around an LSM region, or a mosaic of such crops."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from yolc_ros.clusters import LsmConfig, count_cells, find_clusters
from yolc_ros.datasets.samples import ImageLabels, Sample
from yolc_ros.training.augmentation.pasting.paste import PasteConfig
from yolc_ros.training.augmentation.photometry import PhotometryConfig, distort
from yolc_ros.training.augmentation.views import KeepRule, View, show
from yolc_ros.training.targets import presence_map


@dataclass(frozen=True)
class AugmentationConfig:
    """How training images are made; every `..._share` is a fraction of the images.

    cluster_share: images of a region that LSM finds in the true heatmap, enlarged by a further factor `lsm.zoom` as in
    the detector's crop pass. mosaic_share: mosaics of four such views. scale: range of output pixels per image pixel.
    at_object: fraction of the other views that contain an object of a class sampled uniformly, so that rare classes
    are shown as often as common ones. Images are sampled until one has the class, at most `draws`; if none has, an
    object of any class of the last image is shown.
    mirror_share: mirrored left to right. turn_share: rotated by up to turn_deg in either direction; boxes of rotated
    images are too large (see `transform_truth`), so keep both values small. quarter_turn_share: images of nadir sources
    that are rotated by a random multiple of 90 degrees.
    """

    cluster_share: float = 0.25
    mosaic_share: float = 0.15
    scale: tuple[float, float] = (0.7, 1.5)
    at_object: float = 0.7
    draws: int = 8
    mirror_share: float = 0.5
    turn_share: float = 0.2
    turn_deg: float = 10.0
    quarter_turn_share: float = 0.75
    keep: KeepRule = field(default_factory=KeepRule)
    lsm: LsmConfig = field(default_factory=LsmConfig)
    photometry: PhotometryConfig = field(default_factory=PhotometryConfig)
    paste: PasteConfig = field(default_factory=PasteConfig)

    def __post_init__(self) -> None:
        shares = (
            self.cluster_share,
            self.mosaic_share,
            self.at_object,
            self.mirror_share,
            self.turn_share,
            self.quarter_turn_share,
        )
        if min(shares) < 0 or max(shares) > 1:
            raise ValueError("at_object and all shares must lie in [0, 1]")
        if self.cluster_share + self.mosaic_share > 1:
            raise ValueError("cluster_share and mosaic_share together are more than 1")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale must be a range of positive numbers, not {self.scale}")
        if self.draws < 1:
            raise ValueError(f"draws must be at least 1, not {self.draws}")


def augment(
    draw: Callable[[], Sample],
    nadir: bool,
    size: tuple[int, int],
    config: AugmentationConfig,
    rng: np.random.Generator,
) -> Sample:
    """Make one training image of `size` (width, height).

    draw: samples a labelled image of one source. nadir: the camera of the source points straight down, so that its
    images may be rotated by any angle.
    """
    kind = rng.random()
    if kind < config.mosaic_share:
        sample = _mosaic([draw() for _ in range(4)], nadir, size, config, rng)
    elif kind < config.mosaic_share + config.cluster_share:
        sample = cluster_view(draw(), nadir, size, config, rng)
    else:
        sample, box = draw_object(draw, config, rng)
        sample = random_view(sample, box, nadir, size, config, rng)
    return Sample(sample.name, distort(sample.image, config.photometry, rng), sample.truth)


def draw_object(
    draw: Callable[[], Sample], config: AugmentationConfig, rng: np.random.Generator
) -> tuple[Sample, np.ndarray | None]:
    """Sample an image and, in a fraction `at_object` of all cases, the box (4,) of an object in it, see the config."""
    sample = draw()
    if rng.random() >= config.at_object or not sample.truth.known.any():
        return sample, None
    label = rng.choice(np.flatnonzero(sample.truth.known))
    for _ in range(config.draws - 1):
        if (sample.truth.labels == label).any():
            break
        sample = draw()
    return sample, _any_object(sample, label, rng)


def random_view(
    sample: Sample,
    box: np.ndarray | None,
    nadir: bool,
    size: tuple[int, int],
    config: AugmentationConfig,
    rng: np.random.Generator,
) -> Sample:
    """Make a random view of an image or, given `box` (4,) xyxy in pixels, one that contains the centre of the box."""
    scale, turn = _random_scale(config, rng), _random_turn(nadir, config, rng)
    low, high, half = _centre_range(sample, turn, scale, size)
    centre = rng.uniform(low, high)
    if box is not None:
        centre = ((box[:2] + box[2:]) / 2 + rng.uniform(-0.8, 0.8, 2) * half).clip(low, high)
    view = View((float(centre[0]), float(centre[1])), scale, turn, rng.random() < config.mirror_share)
    return show(sample, view, width=size[0], height=size[1], rule=config.keep)


def cluster_view(
    sample: Sample, nadir: bool, size: tuple[int, int], config: AugmentationConfig, rng: np.random.Generator
) -> Sample:
    """Make a view of a region that LSM finds in the true heatmap, at the scale of the detector's crop pass.

    Unlike the detector's crop, the view also shows the surroundings of the region. If LSM finds no region, it is a
    random view of an object, if there is one, without the additional zoom.
    """
    regions = true_clusters(sample, config.lsm)
    if not len(regions):
        return random_view(sample, _any_object(sample, None, rng), nadir, size, config, rng)
    region = regions[rng.integers(len(regions))]
    scale, turn = config.lsm.zoom * _random_scale(config, rng), _random_turn(nadir, config, rng)
    low, high, _ = _centre_range(sample, turn, scale, size)
    centre = rng.uniform(region[:2], region[2:]).clip(low, high)
    view = View((float(centre[0]), float(centre[1])), scale, turn, rng.random() < config.mirror_share)
    return show(sample, view, width=size[0], height=size[1], rule=config.keep)


def true_clusters(sample: Sample, lsm: LsmConfig) -> np.ndarray:
    """Regions (n, 4) xyxy, pixels, that LSM finds in the heatmap of the true objects."""
    height, width = sample.image.shape[:2]
    present = torch.from_numpy(presence_map(sample.truth, width, height) >= lsm.presence)
    return find_clusters(count_cells(present, lsm).numpy(), width, height, lsm)


def _any_object(sample: Sample, label: int | None, rng: np.random.Generator) -> np.ndarray | None:
    """Box (4,) of a random object of class `label`; if there is none, of a random class of the image."""
    boxes, labels = sample.truth.boxes, sample.truth.labels
    if not len(boxes):
        return None
    if label is None or not (labels == label).any():
        label = rng.choice(np.unique(labels))
    return np.asarray(rng.choice(boxes[labels == label]))


def _random_scale(config: AugmentationConfig, rng: np.random.Generator) -> float:
    return math.exp(rng.uniform(*np.log(config.scale)))


def _random_turn(nadir: bool, config: AugmentationConfig, rng: np.random.Generator) -> float:
    turn = 0.0
    if nadir and rng.random() < config.quarter_turn_share:
        turn += math.pi / 2 * rng.integers(4)
    if rng.random() < config.turn_share:
        turn += math.radians(rng.uniform(-config.turn_deg, config.turn_deg))
    return turn


def _centre_range(
    sample: Sample, turn: float, scale: float, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Range of the centre of a view.

    -> lowest and highest centre (2,) (x, y) that keep the view inside the image, or the image inside a larger view, and
    half the size (2,) of the view, all in image pixels.
    """
    cos, sin = abs(math.cos(turn)), abs(math.sin(turn))
    half = np.array([size[0] * cos + size[1] * sin, size[0] * sin + size[1] * cos]) / (2 * scale)
    whole = np.array([sample.image.shape[1], sample.image.shape[0]])
    return np.minimum(half, whole - half), np.maximum(half, whole - half), half


def _mosaic(
    samples: list[Sample],
    nadir: bool,
    size: tuple[int, int],
    config: AugmentationConfig,
    rng: np.random.Generator,
) -> Sample:
    """Make a mosaic: a cluster view of each of four samples, in the quarters around a random point."""
    width, height = size
    x, y = (int(side * rng.uniform(0.35, 0.65)) for side in size)
    places = [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]
    tiles = [
        cluster_view(sample, nadir, (x1 - x0, y1 - y0), config, rng)
        for sample, (x0, y0, x1, y1) in zip(samples, places, strict=True)
    ]
    image = np.zeros((height, width, 3), dtype=np.uint8)
    for tile, (x0, y0, x1, y1) in zip(tiles, places, strict=True):
        image[y0:y1, x0:x1] = tile.image
    corners = np.array([[x0, y0, x0, y0] for x0, y0, _, _ in places], dtype=np.float32)
    truth = ImageLabels(
        boxes=np.concatenate([tile.truth.boxes + corner for tile, corner in zip(tiles, corners, strict=True)]),
        labels=np.concatenate([tile.truth.labels for tile in tiles]),
        ignored=np.concatenate([tile.truth.ignored + corner for tile, corner in zip(tiles, corners, strict=True)]),
        known=np.logical_and.reduce([tile.truth.known for tile in tiles]),
    )
    return Sample(" + ".join(tile.name for tile in tiles), image, truth)
