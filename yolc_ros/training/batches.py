"""Batches of training images, reproducible from the seed and the number of the step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from yolc_ros.datasets.mixture import Mixture
from yolc_ros.datasets.samples import Sample
from yolc_ros.training.augmentation.compose import AugmentationConfig, augment
from yolc_ros.training.augmentation.pasting.pool import Pasting
from yolc_ros.training.targets import Targets, make_targets


@dataclass(frozen=True)
class Batch:
    """Images of one size and their targets (see `Targets`)."""

    images: Tensor  # (B, 3, H, W) uint8 RGB, channels last in memory
    heatmap: Tensor  # (B, C, H / s, W / s) float32, channels last in memory; s: stride of the heatmap
    trust: Tensor  # (B, H / s, W / s) bool
    known: Tensor  # (B, C) bool
    cells: Tensor  # (P, 3) int64: image, y, x
    boxes: Tensor  # (P, 4) float32
    objects: int

    def to(self, device: torch.device) -> Batch:
        """Move all tensors to a device."""
        return Batch(
            self.images.to(device, non_blocking=True),
            self.heatmap.to(device, non_blocking=True),
            self.trust.to(device, non_blocking=True),
            self.known.to(device, non_blocking=True),
            self.cells.to(device, non_blocking=True),
            self.boxes.to(device, non_blocking=True),
            self.objects,
        )


@dataclass(frozen=True)
class BatchMaker:
    """Makes this process's images (`slots`) of the batch of any step."""

    mixture: Mixture
    size: tuple[int, int]  # width, height, pixels
    heatmap_stride: int
    augmentation: AugmentationConfig
    seed: int
    slots: range
    pasting: Pasting = field(default_factory=Pasting)

    def __call__(self, step: int) -> Batch:
        """Make the batch of a step."""
        samples = [self.sample(step, slot) for slot in self.slots]
        width, height = self.size
        return collate(samples, [make_targets(s.truth, width, height, self.heatmap_stride) for s in samples])

    def sample(self, step: int, slot: int) -> Sample:
        """Make the image number `slot` of the global batch of a step."""
        rng = np.random.default_rng((self.seed, step, slot))
        part = self.mixture.choose(rng)
        scaled = self.augmentation if part.scale is None else replace(self.augmentation, scale=part.scale)

        def draw() -> Sample:
            return self.pasting.apply(self.mixture.draw(part, rng), part, rng)

        return augment(draw, part.nadir, self.size, scaled, rng)


def collate(samples: list[Sample], targets: list[Targets]) -> Batch:
    """Stack images of one size and their targets."""
    cells = [np.column_stack([np.full(len(t.cells), i), t.cells[:, ::-1]]) for i, t in enumerate(targets)]
    return Batch(
        images=torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2),
        heatmap=torch.from_numpy(np.stack([t.heatmap.transpose(1, 2, 0) for t in targets])).permute(0, 3, 1, 2),
        trust=torch.from_numpy(np.stack([t.trust for t in targets])),
        known=torch.from_numpy(np.stack([t.known for t in targets])),
        cells=torch.from_numpy(np.concatenate(cells).astype(np.int64)),
        boxes=torch.from_numpy(np.concatenate([t.boxes for t in targets])),
        objects=sum(t.objects for t in targets),
    )
