"""Pasting of cut-out objects into an image, with exact boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from yolc_ros.boxes import box_areas, pairwise_intersection
from yolc_ros.datasets.samples import ImageLabels, Sample
from yolc_ros.training.augmentation.pasting.cut_outs import CutOut, mask_box
from yolc_ros.training.augmentation.views import View, show_image

_ATTEMPTS = 6  # places and objects that are tried for one object; empirical
_ROWS_ASIDE = 0.25  # of `reach`: in other rows of an oblique view the ground has another scale; empirical


@dataclass(frozen=True)
class PasteConfig:
    """How objects are pasted; which sources give and get them stands there (`cut_out`, `paste_share`).

    objects: fewest and most of an image. reach: largest distance from a labelled object of the image, in its sides; not
    where the source gives its px_per_m, which allows any place. size: range of a factor on the size that fits the
    ground. enlarge: largest magnification of a cut-out. overlap: largest share of a pasted box that lies on another box
    or on an ignored region. brightness: largest factor by which an object becomes brighter or darker, as its new ground
    is. feather: width of the border, inside the outline, that is mixed with the new ground, pixels.
    """

    objects: tuple[int, int] = (1, 5)
    reach: float = 6.0
    size: tuple[float, float] = (0.8, 1.25)
    enlarge: float = 1.25
    smallest_side: float = 10.0  # of an object that is cut out or pasted, pixels
    margin: float = 0.15  # ground around a cut-out object, as a fraction of the sides of its box
    overlap: float = 0.05
    brightness: float = 1.3
    feather: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.objects[0] <= self.objects[1]:
            raise ValueError(f"objects must be a range of numbers from 1 on, not {self.objects}")
        if not 0 < self.size[0] <= self.size[1]:
            raise ValueError(f"size must be a range of positive numbers, not {self.size}")
        if min(self.enlarge, self.smallest_side, self.margin, self.reach) <= 0 or self.feather < 0:
            raise ValueError("enlarge, smallest_side, margin and reach must be positive, feather not negative")
        if not 0 <= self.overlap < 1 or self.brightness < 1:
            raise ValueError("overlap must lie in [0, 1) and brightness be at least 1")


@dataclass(frozen=True)
class Ground:
    """What tells the scale of an image.

    nadir: it was taken straight down, so that objects may have any direction. px_per_m: at the top and bottom row, see
    `SourceConfig`. metres: typical sizes of the classes, see `ObjectSizes`.
    """

    nadir: bool
    px_per_m: tuple[float, float] | None
    metres: tuple[float, ...]


@dataclass(frozen=True)
class _Patch:
    """A cut-out as it is pasted: enlarged, turned and mirrored, cut to its own box."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    mask: np.ndarray  # (H, W) bool


def paste_objects(
    sample: Sample, ground: Ground, cut_outs: Sequence[CutOut], config: PasteConfig, rng: np.random.Generator
) -> Sample:
    """Paste objects of classes that are annotated in the image; those that find no place are left out.

    Classes that the source of a pasted object does not annotate are masked, as the object may be of such a class.
    """
    usable = [each for each in cut_outs if sample.truth.known[each.label]]
    if not usable or (ground.px_per_m is None and not len(sample.truth.boxes)):
        return sample
    image, truth = sample.image.copy(), sample.truth
    for _ in range(int(rng.integers(config.objects[0], config.objects[1] + 1))):
        for _ in range(_ATTEMPTS):
            chosen = usable[rng.integers(len(usable))]
            centre, px_per_m = _place(sample, ground, config, rng)
            patch = _patch(chosen, ground, px_per_m, config, rng)
            box = None if patch is None else _free_box(patch, centre, image, truth, config.overlap)
            if patch is not None and box is not None:
                _blend(image, patch, box, chosen.ground, config)
                truth = replace(
                    truth,
                    boxes=np.concatenate([truth.boxes, box[None].astype(np.float32)]),
                    labels=np.append(truth.labels, chosen.label),
                    known=truth.known & chosen.known,
                )
                break
    return replace(sample, image=image, truth=truth)


def _place(sample: Sample, ground: Ground, config: PasteConfig, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Choose a centre (2,) and return the pixels per metre there."""
    height, width = sample.image.shape[:2]
    if ground.px_per_m is not None:
        centre = rng.uniform(0, [width, height])
        top, bottom = ground.px_per_m
        return centre, float(top + (bottom - top) * centre[1] / height)
    boxes, labels = sample.truth.boxes.astype(np.float64), sample.truth.labels
    index = int(rng.integers(len(boxes)))
    side = math.sqrt(float((boxes[index, 2:] - boxes[index, :2]).prod()))
    reach = config.reach * side * np.array([1.0, 1.0 if ground.nadir else _ROWS_ASIDE])
    centre = (boxes[index, :2] + boxes[index, 2:]) / 2 + rng.uniform(-reach, reach)
    return centre, side / ground.metres[labels[index]]


def _patch(
    chosen: CutOut, ground: Ground, px_per_m: float, config: PasteConfig, rng: np.random.Generator
) -> _Patch | None:
    """Give a cut-out the size that fits the ground and a random direction; None where the size is out of range."""
    box = chosen.box
    side = math.sqrt(float((box[2:] - box[:2]).prod()))
    scale = px_per_m * ground.metres[chosen.label] / side * math.exp(rng.uniform(*np.log(config.size)))
    turn = rng.uniform(0, 2 * math.pi) if ground.nadir else 0.0
    mirror = bool(rng.random() < 0.5)
    if scale > config.enlarge or (box[2:] - box[:2]).min() * scale < config.smallest_side:
        return None
    height, width = chosen.mask.shape
    span = math.ceil(math.hypot(height, width) * scale) + 2
    view = View((width / 2, height / 2), scale, turn, mirror)
    mask = show_image(chosen.mask, view, span, span) >= 128
    if not mask.any():  # smaller than a pixel
        return None
    x0, y0, x1, y1 = mask_box(mask).astype(int)
    return _Patch(show_image(chosen.image, view, span, span)[y0:y1, x0:x1], mask[y0:y1, x0:x1])


def _free_box(
    patch: _Patch, centre: np.ndarray, image: np.ndarray, truth: ImageLabels, overlap: float
) -> np.ndarray | None:
    """Box (4,) xyxy int64 of a patch at a centre; None where it leaves the image or lies on other objects."""
    height, width = patch.mask.shape
    x0, y0 = np.floor(centre - np.array([width, height]) / 2).astype(int)
    box = np.array([x0, y0, x0 + width, y0 + height])
    if x0 < 0 or y0 < 0 or box[2] > image.shape[1] or box[3] > image.shape[0]:
        return None
    others = np.concatenate([truth.boxes, truth.ignored]).astype(np.float64)
    shared = pairwise_intersection(box[None].astype(np.float64), others)[0]
    is_covered = shared > overlap * np.minimum(width * height, box_areas(others))
    return None if is_covered.any() else box


def _blend(image: np.ndarray, patch: _Patch, box: np.ndarray, ground: float, config: PasteConfig) -> None:
    """Paste a patch into `image` in place; no pixel outside its mask changes."""
    x0, y0, x1, y1 = box
    below = image[y0:y1, x0:x1]
    new_ground = float(cv2.cvtColor(below, cv2.COLOR_RGB2GRAY).mean())
    gain = float(np.clip(new_ground / max(ground, 1.0), 1 / config.brightness, config.brightness))
    inside = cv2.distanceTransform(np.pad(patch.mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    alpha = (inside / (1 + config.feather)).clip(0, 1)[..., None]
    mixed = alpha * (patch.image.astype(np.float32) * gain).clip(0, 255) + (1 - alpha) * below
    image[y0:y1, x0:x1] = mixed.round().astype(np.uint8)
