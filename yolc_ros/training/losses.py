"""The losses of YOLC and of its ablations (arXiv 2404.06180, section III-E), as pure functions of tensors.

Boxes are (N, 4): centre x, centre y, half width, half height, in cells of the box maps. The network has no activation
on sizes, so a predicted half size may be zero or negative.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

BoxLossName = Literal["l1", "giou", "diou", "ciou", "ciou_gated", "point_giou", "gwd", "gwd_l1"]

L1_WEIGHTS = (1.0, 1.0, 0.2, 0.2)  # of the authors' code
_EPSILON = 1e-7  # avoids 0 / 0


def gaussian_focal_loss(
    logits: Tensor, target: Tensor, trust: Tensor, known: Tensor, class_weights: Tensor | None = None
) -> Tensor:
    """Focal loss of a heatmap (CornerNet, arXiv 1808.01244, equation 1; alpha 2, beta 4), summed over all pixels.

    logits: (B, C, H, W), any precision. target: (B, C, H, W) float32 in 0 to 1, exactly 1 at objects. trust: (B, H, W)
    bool: background pixels where it is False have no loss. known: (B, C) bool: a class where it is False is masked, and
    neither its objects nor its background have a loss, or a gradient.
    class_weights: (C,) float32, factor of the loss of each class; None: 1 for each.
    """
    weights = logits.new_ones(logits.shape[1], dtype=torch.float32) if class_weights is None else class_weights
    total: Tensor = _FocalLoss.apply(logits, target, trust, known, weights)
    return total


class _FocalLoss(torch.autograd.Function):
    """The focal loss, with its gradient computed in the same pass.

    The maps are large (40 MB for a batch of four). Processing them once, in pieces that fit into the processor's cache,
    instead of once per operation halves the time of a training step of a small network.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, trust: Tensor, known: Tensor, weights: Tensor) -> Tensor:
        batch, classes, height, width = logits.shape
        rows = height if logits.is_cuda else 32
        kept = torch.float32 if logits.dtype == torch.float16 else logits.dtype  # most gradients underflow in fp16
        gradient = logits.new_empty(batch, height, width, classes, dtype=kept)
        total = logits.new_zeros((), dtype=torch.float32)
        of_classes = known * weights
        for image in range(batch):
            for top in range(0, height, rows):
                piece = (image, slice(None), slice(top, top + rows))
                # (rows, W, C), as they lie in memory: channels last
                x, t = logits[piece].permute(1, 2, 0).float(), target[piece].permute(1, 2, 0)
                lost, slope = _background(x, t, trust[image, top : top + rows], of_classes[image])
                objects = (t.reshape(-1) == 1).nonzero()[:, 0]
                lost_there, slope_there = _objects(x.reshape(-1)[objects], of_classes[image][objects % classes])
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
    """Sum of w (1 - target)^4 p^2 (-log(1 - p)) over trusted pixels, and its gradient (H, W, C)."""
    p, lost = logits.sigmoid(), functional.softplus(logits)
    weight = (1 - target).square_().square_().mul_(weights).mul_(trust[..., None]).mul_(p).mul_(p)
    slope = (1 - p).mul_(lost).mul_(2).add_(p)
    return (weight * lost).sum(), slope.mul_(weight)


def _objects(logits: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of w (1 - p)^2 (-log p) over objects, and its gradient (N,)."""
    q, lost = torch.sigmoid(-logits), functional.softplus(-logits)
    return (weights * q.square() * lost).sum(), -weights * q.square() * (q + 2 * (1 - q) * lost)


def box_loss(name: BoxLossName) -> Callable[[Tensor, Tensor], Tensor]:
    """Loss function of this name: (predicted (N, 4), true (N, 4)) -> (N,), weighted as in training."""
    return _BOX_LOSSES[name]


def l1_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Sum of the four absolute differences with weights (1, 1, .2, .2) -> (N,)."""
    return ((predicted - true).abs() * predicted.new_tensor(L1_WEIGHTS)).sum(-1)


def gwd_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """1 - 1 / (1 + ln(1 + D)), D the Wasserstein distance of the boxes' Gaussians -> (N,) in 0 to 1.

    A box is modelled as a Gaussian with its centre as mean and its half sides as standard deviations. For axis-aligned
    boxes D is the Euclidean distance of (x, y, w/2, h/2).
    """
    return 1 - 1 / (1 + torch.log1p(safe_norm(predicted - true)))


def iou_loss_terms(predicted: Tensor, true: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """IoU (N,), union (N,) and size (N, 2) of the smallest box around both, with `positive_size` for `predicted`."""
    half = positive_size(predicted[:, 2:])
    low_p, high_p = predicted[:, :2] - half, predicted[:, :2] + half
    low_t, high_t = true[:, :2] - true[:, 2:], true[:, :2] + true[:, 2:]
    shared = (torch.minimum(high_p, high_t) - torch.maximum(low_p, low_t)).clamp(min=0).prod(-1)
    union = (high_p - low_p).prod(-1) + (high_t - low_t).prod(-1) - shared
    return shared / (union + _EPSILON), union, torch.maximum(high_p, high_t) - torch.minimum(low_p, low_t)


def positive_size(half: Tensor) -> Tensor:
    """Map half sizes smoothly to positive values; above a quarter of a cell (a side of 2 input pixels) unchanged.

    A box without area inside the true box has an IoU without gradient, so a negative size could never grow again.
    """
    least = 0.25  # empirical
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


def ciou_loss(predicted: Tensor, true: Tensor, aspect_from_iou: float = 0.0) -> Tensor:
    """1 - CIoU (arXiv 1911.08287, equation 10): DIoU and an aspect-ratio term whose weight is detached -> (N,).

    aspect_from_iou: the IoU above which the aspect-ratio term counts. Equation 10 has no such gate, and we have none by
    default; mmdetection gates at 0.5, following the journal version of the paper (arXiv 2005.03572).
    """
    iou, _, _ = iou_loss_terms(predicted, true)
    angle_p, angle_t = (torch.atan2(half[:, 0], half[:, 1]) for half in (positive_size(predicted[:, 2:]), true[:, 2:]))
    aspect = 4 / math.pi**2 * (angle_t - angle_p).square()
    with torch.no_grad():
        weight = aspect / (1 - iou + aspect + _EPSILON) * (iou >= aspect_from_iou)
    return diou_loss(predicted, true) + weight * aspect


def point_giou_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """GIoU loss for points: mean, over nine points of the boxes, of 1 - GIoU of boxes around the points -> (N,).

    The points are the corners, the middles of the edges and the centre of each box, compared pairwise. The box around
    each point has the size of the true object. The paper's ablation names a GIoU for points without a formula; this is
    our interpretation.
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
    """Euclidean norm over the last dimension, with gradient 0 (not NaN) at 0."""
    squares = x.square().sum(-1)
    is_zero = squares == 0
    return squares.masked_fill(is_zero, 1.0).sqrt().masked_fill(is_zero, 0.0)


def _gwd(predicted: Tensor, true: Tensor) -> Tensor:
    return 2 * gwd_loss(predicted, true)


def _gwd_l1(predicted: Tensor, true: Tensor) -> Tensor:
    return 2 * gwd_loss(predicted, true) + 0.5 * l1_loss(predicted, true)


def _ciou_gated(predicted: Tensor, true: Tensor) -> Tensor:
    return ciou_loss(predicted, true, aspect_from_iou=0.5)


_BOX_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": l1_loss,
    "giou": giou_loss,
    "diou": diou_loss,
    "ciou": ciou_loss,
    "ciou_gated": _ciou_gated,
    "point_giou": point_giou_loss,
    "gwd": _gwd,
    "gwd_l1": _gwd_l1,
}
