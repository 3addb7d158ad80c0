"""The losses of YOLC and of its ablations (arXiv 2404.06180, section III-E), each as plain functions of tensors.

Boxes are (N, 4): centre x, centre y, half width, half height, in cells of the box maps. A predicted half size may be
zero or negative, as nothing in the network forbids it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

BoxLossName = Literal["l1", "giou", "diou", "ciou", "point_giou", "gwd", "gwd_l1"]

L1_WEIGHTS = (1.0, 1.0, 0.2, 0.2)
_EPSILON = 1e-7


def gaussian_focal_loss(
    logits: Tensor, target: Tensor, trust: Tensor, known: Tensor, class_weights: Tensor | None = None
) -> Tensor:
    """Sum of the focal loss for heatmaps (CornerNet, arXiv 1808.01244, equation 1; alpha 2, beta 4) of the logits.

    logits: (B, C, H, W), any precision. target: (B, C, H, W) float32 in 0 to 1, exactly 1 at objects. trust: (B, H, W)
    bool and known: (B, C) bool; where either is False a place without an object costs nothing. Objects always count.
    class_weights: (C,) float32, a factor for all that a class's map costs; None: 1 for each.
    """
    weights = logits.new_ones(logits.shape[1], dtype=torch.float32) if class_weights is None else class_weights
    total: Tensor = _FocalLoss.apply(logits, target, trust, known, weights)
    return total


class _FocalLoss(torch.autograd.Function):
    """The focal loss with its gradient in the same pass.

    The maps are large (40 MB for a batch of four), so that going over them in pieces that fit the processor's
    cache, once and not for each operation, halves the time of a training step of a small network.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, trust: Tensor, known: Tensor, weights: Tensor) -> Tensor:
        batch, classes, height, width = logits.shape
        rows = height if logits.is_cuda else 32
        kept = torch.float32 if logits.dtype == torch.float16 else logits.dtype  # most slopes are too small for fp16
        gradient = logits.new_empty(batch, height, width, classes, dtype=kept)
        total = logits.new_zeros((), dtype=torch.float32)
        of_background = known * weights
        for image in range(batch):
            for top in range(0, height, rows):
                piece = (image, slice(None), slice(top, top + rows))
                # (rows, W, C), as they lie in memory: channels last
                x, t = logits[piece].permute(1, 2, 0).float(), target[piece].permute(1, 2, 0)
                lost, slope = _background(x, t, trust[image, top : top + rows], of_background[image])
                objects = (t.reshape(-1) == 1).nonzero()[:, 0]
                lost_there, slope_there = _objects(x.reshape(-1)[objects], weights[objects % classes])
                slopes = gradient[image, top : top + rows].copy_(slope)
                slopes.view(-1)[objects] = slope_there.to(kept)
                total += lost + lost_there
        ctx.save_for_backward(gradient.permute(0, 3, 1, 2))
        ctx.dtype = logits.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return (gradient * outputs[0]).to(ctx.dtype), None, None, None, None


def _background(logits: Tensor, target: Tensor, trust: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of w (1 - target)^4 p^2 (-log(1 - p)) over trusted places, and its slopes (H, W, C)."""
    p, lost = logits.sigmoid(), functional.softplus(logits)
    weight = (1 - target).square_().square_().mul_(weights).mul_(trust[..., None]).mul_(p).mul_(p)
    slope = (1 - p).mul_(lost).mul_(2).add_(p)
    return (weight * lost).sum(), slope.mul_(weight)


def _objects(logits: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of w (1 - p)^2 (-log p) at objects, and its slopes (N,)."""
    q, lost = torch.sigmoid(-logits), functional.softplus(-logits)
    return (weights * q.square() * lost).sum(), -weights * q.square() * (q + 2 * (1 - q) * lost)


def box_loss(name: BoxLossName) -> Callable[[Tensor, Tensor], Tensor]:
    """The named loss: (predicted (N, 4), true (N, 4)) -> (N,), weighted as for training."""
    return _BOX_LOSSES[name]


def l1_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Sum over the four numbers of |difference| with weights (1, 1, .2, .2) -> (N,)."""
    return ((predicted - true).abs() * predicted.new_tensor(L1_WEIGHTS)).sum(-1)


def gwd_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """1 - 1 / (1 + ln(1 + D)), D the Wasserstein distance of the boxes' Gaussians -> (N,) in 0 to 1.

    A box stands for the Gaussian with its centre as mean and its half sides as standard deviations; between
    axis-aligned ones D is the Euclidean distance of (x, y, w/2, h/2).
    """
    return 1 - 1 / (1 + torch.log1p(safe_norm(predicted - true)))


def iou_loss_terms(predicted: Tensor, true: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """IoU (N,), union (N,) and (width, height) (N, 2) of the smallest box around both, `predicted` `upright`."""
    half = upright(predicted[:, 2:])
    low_p, high_p = predicted[:, :2] - half, predicted[:, :2] + half
    low_t, high_t = true[:, :2] - true[:, 2:], true[:, :2] + true[:, 2:]
    shared = (torch.minimum(high_p, high_t) - torch.maximum(low_p, low_t)).clamp(min=0).prod(-1)
    union = (high_p - low_p).prod(-1) + (high_t - low_t).prod(-1) - shared
    return shared / (union + _EPSILON), union, torch.maximum(high_p, high_t) - torch.minimum(low_p, low_t)


def upright(half: Tensor) -> Tensor:
    """Half sizes as they are from a quarter of a cell on (2 input pixels for the side); smaller ones fall towards 0.

    A box without area inside the true one has no gradient of its IoU. Sizes that the network lets become negative
    would never come back; so they stay positive here, smoothly.
    """
    least = 0.25
    return torch.where(half > least, half, least**2 / (2 * least - half.clamp(max=least)))


def giou_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """1 - GIoU (arXiv 1902.09630) -> (N,) in 0 to 2."""
    iou, union, around = iou_loss_terms(predicted, true)
    hull = around.prod(-1)
    return 1 - iou + (hull - union) / (hull + _EPSILON)


def diou_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """1 - DIoU (arXiv 1911.08287, equation 7): 1 - IoU + squared distance of centres / squared diagonal -> (N,)."""
    iou, _, around = iou_loss_terms(predicted, true)
    distance = (predicted[:, :2] - true[:, :2]).square().sum(-1)
    return 1 - iou + distance / (around.square().sum(-1) + _EPSILON)


def ciou_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """1 - CIoU (arXiv 1911.08287, equation 10): DIoU and a term for the aspect ratio, whose weight has no gradient."""
    iou, _, _ = iou_loss_terms(predicted, true)
    angle_p, angle_t = (torch.atan2(half[:, 0], half[:, 1]) for half in (upright(predicted[:, 2:]), true[:, 2:]))
    aspect = 4 / math.pi**2 * (angle_t - angle_p).square()
    with torch.no_grad():
        weight = aspect / (1 - iou + aspect + _EPSILON)
    return diou_loss(predicted, true) + weight * aspect


def point_giou_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """GIoU loss for points: mean over nine points of a box of 1 - GIoU of what surrounds them -> (N,).

    The points are the corners, the middles of the edges and the centre of each box, compared one by one; around each
    lies a box of the true object's size. The paper names a GIoU for points in its ablation, but we have no formula of
    it: this is a plain reading.
    """
    steps = predicted.new_tensor([-1.0, 0.0, 1.0])
    grid = torch.cartesian_prod(steps, steps)  # (9, 2)
    points_p, points_t = (
        (box[:, None, :2] + grid * box[:, None, 2:]).reshape(-1, 2) for box in (predicted, true)
    )  # (N * 9, 2)
    half = true[:, None, 2:].expand(-1, len(grid), -1).reshape(-1, 2)
    losses = giou_loss(torch.cat([points_p, half], -1), torch.cat([points_t, half], -1))
    return losses.reshape(-1, len(grid)).mean(-1)


def safe_norm(x: Tensor) -> Tensor:
    """Euclidean norm over the last dimension whose gradient at 0 is 0 and not NaN."""
    squares = x.square().sum(-1)
    is_zero = squares == 0
    return squares.masked_fill(is_zero, 1.0).sqrt().masked_fill(is_zero, 0.0)


def _gwd(predicted: Tensor, true: Tensor) -> Tensor:
    return 2 * gwd_loss(predicted, true)


def _published(predicted: Tensor, true: Tensor) -> Tensor:
    return 2 * gwd_loss(predicted, true) + 0.5 * l1_loss(predicted, true)


_BOX_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": l1_loss,
    "giou": giou_loss,
    "diou": diou_loss,
    "ciou": ciou_loss,
    "point_giou": point_giou_loss,
    "gwd": _gwd,
    "gwd_l1": _published,
}
