"""The training loss: heatmap, coarse boxes and refined boxes (paper section III-E)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from yolc_ros.network.yolc import YolcOutput
from yolc_ros.training.batches import Batch
from yolc_ros.training.losses import BoxLossName, box_loss, gaussian_focal_loss


@dataclass(frozen=True)
class LossConfig:
    """Name of the box loss, and weights of the three parts; the defaults are the published ones.

    class_weights: factor of the heatmap loss of each class, in the order of the model's classes; empty: 1 for each.
    With equal weights, training takes long to separate a rare class from a common one of similar appearance.
    """

    box: BoxLossName = "gwd_l1"
    heatmap_weight: float = 1.0
    coarse_weight: float = 1.0
    refined_weight: float = 1.0
    class_weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if min(self.heatmap_weight, self.coarse_weight, self.refined_weight, *self.class_weights) < 0:
            raise ValueError("weights of losses cannot be negative")


def compute_losses(output: YolcOutput, batch: Batch, objects: float, config: LossConfig) -> dict[str, Tensor]:
    """Compute the parts of the loss and their weighted sum "loss"; each part is a sum divided by `objects`.

    objects: number of objects of the batch or, with several processes, its mean over the processes.
    """
    divisor = max(objects, 1.0)
    class_weights = (
        output.heatmap.new_tensor(config.class_weights, dtype=torch.float32) if config.class_weights else None
    )
    heatmap = gaussian_focal_loss(output.heatmap, batch.heatmap, batch.trust, batch.known, class_weights)
    losses = {"heatmap": heatmap / divisor}
    loss = config.heatmap_weight * losses["heatmap"]
    image, y, x = batch.cells.unbind(1)
    measure = box_loss(config.box)
    for name, maps, weight in (
        ("coarse", output.coarse, config.coarse_weight),
        ("refined", output.refined, config.refined_weight),
    ):
        if maps is not None:
            losses[name] = measure(maps[image, :, y, x].float(), batch.boxes).sum() / divisor
            loss = loss + weight * losses[name]
    return {"loss": loss, **losses}
