"""Training losses of LoFTR (section 3.5)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from loftr_ros.network.coarse.matching import CoarseMatching
from loftr_ros.network.config import LoFTRConfig
from loftr_ros.network.loftr import LoFTR
from loftr_ros.network.results import ImageFeatures, Refinement
from loftr_ros.training.batch import PairBatch
from perception_common.training.distributed import Processes

CONFIDENCE_FLOOR = 1e-6  # of the published code


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses.

    focal, likelihood: focal loss and negative log-likelihood of the coarse confidences. The paper has the likelihood
    alone, its published code the focal loss. The focal loss has no gradient for confidences below 1e-6, as at the start
    of a training, so some likelihood in addition helps short trainings.
    dustbin: of optimal transport, mean focal loss of the dustbin entries of cells without a true match, relative to
    `focal`, as in the published code (1). Without it nothing keeps the dustbin's score from falling.
    fine, fine_likelihood: squared error of the fine offset, and cross entropy of the fine heatmap. The paper does not
    have the latter; it helps because the squared error of the mean of a flat heatmap has a small gradient.
    """

    focal: float = 1.0
    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    likelihood: float = 0.1
    dustbin: float = 1.0
    fine: float = 1.0
    fine_likelihood: float = 0.0
    fine_matches: int = 128  # maximum number of true matches per pair that are refined

    def __post_init__(self) -> None:
        weights = (self.focal, self.likelihood, self.dustbin, self.fine, self.fine_likelihood)
        if min(weights) < 0 or self.focal + self.likelihood <= 0:
            raise ValueError("weights must not be negative, and one of focal and likelihood must be positive")
        if self.fine_matches < 1:
            raise ValueError("fine_matches must be at least 1")


class TrainedLoFTR(LoFTR):
    """LoFTR whose forward pass computes the training losses; weights and their names are the same."""

    def __init__(self, config: LoFTRConfig, losses: LossConfig, processes: Processes) -> None:
        super().__init__(config)
        self.losses = losses
        self.processes = processes

    def forward(self, batch: PairBatch) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """Compute the losses, scalars: "loss" (to minimise), "coarse", "fine" and "fine_likelihood".

        Means are over the matches of the global batch, so that the mean of the gradients of all processes equals the
        gradient of one process with the whole batch.
        """
        features = self.encode(torch.cat([batch.images0, batch.images1]))
        pairs = len(batch.images0)
        features0, features1 = features[slice(pairs)], features[slice(pairs, None)]
        coarse0, coarse1 = self.transform(features0, features1)
        coarse = self._coarse_loss(coarse0, coarse1, batch)
        fine, likelihood = self._fine_losses(features0, features1, coarse0, coarse1, batch)
        loss = coarse + self.losses.fine * fine + self.losses.fine_likelihood * likelihood
        return {"loss": loss, "coarse": coarse, "fine": fine, "fine_likelihood": likelihood}

    def _coarse_loss(self, coarse0: torch.Tensor, coarse1: torch.Tensor, batch: PairBatch) -> torch.Tensor:
        matched, unmatched = log_confidence_at(self.coarse_matching, coarse0, coarse1, batch.b, batch.i, batch.j)
        loss = focal_and_likelihood(matched, self.losses)
        mean = self._global_mean(loss, torch.ones_like(loss))
        if self.config.matching.kind != "optimal_transport":
            return mean
        missed = focal_loss(unmatched, self.losses)
        weight = self.losses.focal * self.losses.dustbin
        return mean + weight * self._global_mean(missed, torch.ones_like(missed))

    def _fine_losses(
        self,
        features0: ImageFeatures,
        features1: ImageFeatures,
        coarse0: torch.Tensor,
        coarse1: torch.Tensor,
        batch: PairBatch,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        some = spread_evenly(batch.b, len(batch.images0), self.losses.fine_matches)
        if not len(some):  # with several processes, every parameter needs a gradient, even a zero one
            nothing = torch.stack([parameter.sum() for parameter in self.parameters()]) * 0
            none = torch.zeros_like(nothing)
            return self._global_mean(nothing, none), self._global_mean(nothing, none)
        b, i, j = batch.b[some], batch.i[some], batch.j[some]
        refined = self.refine(features0, features1, coarse0, coarse1, b, i, j)
        stride = self.config.backbone.coarse_stride
        columns = coarse1.shape[2]
        centres = torch.stack([j % columns, j // columns], dim=1).float() * stride
        radius = self.config.fine.window // 2 * self.config.backbone.fine_stride
        offset = batch.points1[some] - centres
        error, weight = weighted_square_error(refined, offset, radius)
        cross_entropy, reachable = heatmap_cross_entropy(refined.log_heatmap, offset / self.config.backbone.fine_stride)
        return self._global_mean(error, weight), self._global_mean(cross_entropy, reachable)

    def _global_mean(self, values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        total = self.processes.sum(weights.detach().sum())
        return (values * weights).sum() * self.processes.count / total.clamp(min=1e-6)


def log_confidence_at(
    matching: CoarseMatching,
    coarse0: torch.Tensor,
    coarse1: torch.Tensor,
    b: torch.Tensor,
    i: torch.Tensor,
    j: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log confidence of true matches, (N,) float32, and of the dustbins of all cells without a true match, (M,).

    coarse: (B, h, w, C); b, i, j: (N,), ordered by b. M is 0 for the dual softmax, which has no dustbins. Its log
    confidence is a log-softmax over the row plus one over the column (equation 2), so only the rows and columns of the
    matches are computed.
    """
    pairs = len(coarse0)
    parts, dustbins = [], [coarse0.new_zeros(0, dtype=torch.float32)]
    for pair, rows, columns in zip(range(pairs), _split(b, i, pairs), _split(b, j, pairs), strict=True):
        if matching.config.kind == "optimal_transport":
            one = slice(pair, pair + 1)
            assignment = matching.log_assignment(coarse0[one], coarse1[one])[0]
            parts.append(assignment[rows, columns])
            dustbins += [_without(assignment[:-1, -1], rows), _without(assignment[-1, :-1], columns)]
            continue
        cells0, cells1 = coarse0[pair].flatten(0, 1), coarse1[pair].flatten(0, 1)
        along_row = matching.similarity(cells0[rows], cells1).log_softmax(1).gather(1, columns[:, None])
        along_column = matching.similarity(cells1[columns], cells0).log_softmax(1).gather(1, rows[:, None])
        parts.append((along_row + along_column)[:, 0])
    return torch.cat(parts), torch.cat(dustbins)


def _without(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return the values (N,) at all but these indices."""
    return values[torch.ones_like(values, dtype=torch.bool).index_fill(0, index, False)]


def _split(b: torch.Tensor, values: torch.Tensor, pairs: int) -> tuple[torch.Tensor, ...]:
    return values.split(torch.bincount(b, minlength=pairs).tolist())


def focal_and_likelihood(log_confidence: torch.Tensor, config: LossConfig) -> torch.Tensor:
    """Weighted sum of focal loss and negative log-likelihood of true matches, (N,) to (N,)."""
    return config.focal * focal_loss(log_confidence, config) - config.likelihood * log_confidence


def focal_loss(log_confidence: torch.Tensor, config: LossConfig) -> torch.Tensor:
    """Focal loss (Lin et al. 2017) of entries that should be 1, (N,) to (N,)."""
    confidence = log_confidence.exp().clamp(min=CONFIDENCE_FLOOR, max=1 - CONFIDENCE_FLOOR)
    return -config.focal_alpha * (1 - confidence) ** config.focal_gamma * confidence.log()


def weighted_square_error(
    refined: Refinement, true_offset: torch.Tensor, radius: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared error (M,) of each refinement, in units of the window radius, and its detached weight 1 / spread (M,).

    true_offset: (M, 2) pixels. radius: of the window, pixels. Offsets beyond the window have weight 0.
    """
    error = (refined.offset - true_offset) / radius
    reachable = (true_offset.abs() <= radius).all(dim=1)
    weight = reachable / refined.spread.detach().clamp(min=1e-2)
    return error.square().sum(dim=1), weight


def heatmap_cross_entropy(log_heatmap: torch.Tensor, true_offset: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross entropy (M,) of heatmaps (M, w * w) with bilinear target heatmaps, whose means are the true points.

    true_offset: (M, 2), fine cells from the centre. Also returns weights (M,): 0 for points beyond the window, else 1.
    """
    window = math.isqrt(log_heatmap.shape[1])
    radius = window // 2
    axis = torch.arange(-radius, radius + 1, device=log_heatmap.device, dtype=log_heatmap.dtype)
    along = (1 - (axis - true_offset.clamp(-radius, radius)[:, :, None]).abs()).clamp(min=0)  # (M, 2, w)
    target = along[:, 1, :, None] * along[:, 0, None, :]
    reachable = (true_offset.abs() <= radius).all(dim=1)
    return -(target.flatten(1) * log_heatmap).sum(1), reachable.to(log_heatmap.dtype)


def spread_evenly(b: torch.Tensor, pairs: int, most: int) -> torch.Tensor:
    """Indices (M,) of at most `most` matches per pair, evenly spaced in its list. b: (N,), ascending."""
    chosen = []
    start = 0
    for count in torch.bincount(b, minlength=pairs).tolist():
        kept = min(count, most)
        chosen.append(start + torch.arange(kept, device=b.device) * count // max(kept, 1))
        start += count
    return torch.cat(chosen)
