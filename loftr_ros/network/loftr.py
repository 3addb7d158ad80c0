"""LoFTR: Detector-Free Local Feature Matching with Transformers (Sun et al. 2021, arXiv 2104.00680), figure 2."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from loftr_ros.network.backbone import ResNetFPN
from loftr_ros.network.coarse.matching import CoarseMatching
from loftr_ros.network.config import LoFTRConfig, SelectionConfig
from loftr_ros.network.fine.matching import FinePreprocess, expected_offset, gather_windows, log_heatmap, peak_offset
from loftr_ros.network.fine.onward import Grid, Refined, match_onward
from loftr_ros.network.fine.pixel_alignment import align_pixels
from loftr_ros.network.pooling import channel_covariance
from loftr_ros.network.position_encoding import position_encoding
from loftr_ros.network.results import ImageFeatures, PairMatches, Refinement
from loftr_ros.network.transformer import FeatureTransformer, Tokens
from perception_common.backends.batch_norm import fold_batch_norm
from perception_common.backends.finite import all_finite, check_finite, require_finite
from perception_common.backends.runtime import Runtime

REFINE_AT_ONCE = 1024  # matches that inference refines at a time, to bound the memory; empirical

_Maps = tuple[ImageFeatures, torch.Tensor, ImageFeatures, torch.Tensor]  # of image 0 and of image 1, with coarse maps


class LoFTR(nn.Module):
    """The LoFTR network; its parameters have the names of the published checkpoints.

    runtime: computes the parts `encode_maps`, `transform_maps` and `compare_windows`, see parts.py; None: torch does.
    """

    runtime: Runtime | None = None

    def __init__(self, config: LoFTRConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = ResNetFPN(config.backbone)
        self.loftr_coarse = FeatureTransformer(config.coarse, config.coarse_width)
        self.coarse_matching = CoarseMatching(config.matching)
        self.fine_preprocess = FinePreprocess(config.coarse_width, config.fine_width)
        self.loftr_fine = FeatureTransformer(config.fine.transformer, config.fine_width)

    def encode(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> ImageFeatures:
        """Compute the features of images, independently of each other.

        images: (B, 1, H, W), gray, 0 to 1, any size. mask: (B, ceil(H / 8), ceil(W / 8)) bool at the coarse stride,
        True in a rectangle at the top left, False in the padding of images of different sizes in one batch.
        """
        covariance: torch.Tensor | None
        if self.runtime is not None:
            coarse, fine, covariance = self.runtime.run("encode", images, *(() if mask is None else (mask,)))
        else:
            coarse, fine, covariance = self.encode_maps(images, mask)
        gray = (images[:, 0] * 255).round().to(torch.uint8) if self.config.fine.align_pixels else None
        return ImageFeatures(coarse, fine, mask, covariance=None if self.training else covariance, gray=gray)

    def encode_maps(
        self, images: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Compute coarse, fine and covariance of `ImageFeatures`; arguments as of `encode`."""
        inner, outer = self.backbone.conv1.weight.dtype, self.fine_preprocess.down_proj.weight.dtype
        maps = self.backbone(images.to(inner))
        if inner != outer:  # see set_precision
            maps = maps[0].to(outer), maps[1].to(outer)
        coarse, fine = maps[0].permute(0, 2, 3, 1), maps[1].permute(0, 2, 3, 1)
        if mask is not None and mask.shape != coarse.shape[:3]:
            raise ValueError(f"the mask is {tuple(mask.shape)}, the coarse map {tuple(coarse.shape[:3])}")
        covariance = coarse.new_zeros(0) if self.training else channel_covariance(coarse, mask)
        if self.config.position.where == "input":
            coarse = coarse + self._position(coarse)
        alone = self.loftr_coarse.alone(self._tokens(coarse, mask)).features
        return alone, fine.contiguous(), covariance

    def transform(self, features0: ImageFeatures, features1: ImageFeatures) -> tuple[torch.Tensor, torch.Tensor]:
        """Transform the coarse features of two images by cross-attention -> (B, h, w, C) for each image."""
        masks = [features.mask for features in (features0, features1) if features.mask is not None]
        if self.runtime is not None and len(masks) != 1:
            coarse0, coarse1 = self.runtime.run("transform", features0.coarse, features1.coarse, *masks)
            return coarse0, coarse1
        return self.transform_maps(features0.coarse, features1.coarse, features0.mask, features1.mask)

    def transform_maps(
        self,
        coarse0: torch.Tensor,
        coarse1: torch.Tensor,
        mask0: torch.Tensor | None = None,
        mask1: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `transform`; coarse: (B, h, w, C), masks: (B, h, w) bool."""
        return self.loftr_coarse.together(self._tokens(coarse0, mask0), self._tokens(coarse1, mask1))

    def refine(
        self,
        features0: ImageFeatures,
        features1: ImageFeatures,
        coarse0: torch.Tensor,
        coarse1: torch.Tensor,
        b: torch.Tensor,
        i: torch.Tensor,
        j: torch.Tensor,
        shift0: torch.Tensor | int = 0,
        shift1: torch.Tensor | int = 0,
    ) -> Refinement:
        """Refine coarse matches, differentiably. In training mode, offsets are means over the whole window.

        coarse: from `transform`. b, i, j: (M,) int64, pair of the batch, cell of image 0 and of image 1 (row-major).
        shift0, shift1: (M, 2) int64, fine cells (x, y) from the centres of the cells to those of the windows; offsets
        are then from the centre of the window of image 1.
        """
        window = self.config.fine.window
        ratio = self.config.backbone.coarse_stride // self.config.backbone.fine_stride
        sides: list[torch.Tensor] = []
        for features, coarse, cell, shift in ((features0, coarse0, i, shift0), (features1, coarse1, j, shift1)):
            columns = coarse.shape[2]
            y, x = cell // columns, cell % columns
            fine_x, fine_y = (torch.stack([x, y], dim=1) * ratio + shift).T
            sides += [gather_windows(features.fine, b, fine_y, fine_x, window), coarse[b, y, x]]
        return Refinement(*(self.compare_windows(*sides) if self.runtime is None else self.runtime.run("fine", *sides)))

    def compare_windows(
        self, fine0: torch.Tensor, coarse0: torch.Tensor, fine1: torch.Tensor, coarse1: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Find the centres of windows of image 0 in windows of image 1 -> the fields of `Refinement`.

        fine: (M, w, w, D), windows of the fine maps. coarse: (M, C), transformed features of their cells.
        """
        sides = self.fine_preprocess(fine0, coarse0), self.fine_preprocess(fine1, coarse1)
        alone = self.loftr_fine.alone(Tokens(torch.cat(sides))).features
        windows0, windows1 = alone.reshape(2, -1, *alone.shape[1:]).unbind(0)
        windows0, windows1 = self.loftr_fine.together(Tokens(windows0), Tokens(windows1))
        heatmap = log_heatmap(windows0, windows1)
        offset, spread = expected_offset(heatmap)
        if self.config.fine.mean_over == "peak" and not self.training:
            offset = peak_offset(heatmap)
        stride = self.config.backbone.fine_stride
        return offset * stride, spread * stride, heatmap

    @torch.no_grad()
    def match(
        self,
        features0: ImageFeatures,
        features1: ImageFeatures,
        selection: SelectionConfig | None = None,
        places: Sequence[torch.Tensor] | None = None,
        *,
        rough: bool = False,
    ) -> tuple[PairMatches, ...]:
        """Match a batch of pairs of images; returns one result per pair.

        places: for each pair the points of image 0 that are known from other pairs, (K, 2) float32, pixels of the
        network's input, the most important first. They are matched from where they lie, one in each cell, and replace
        the matches from the centres of cells that say the same. rough: the coarse stage alone; all points are centres
        of cells, `places` are not used, and the spread is NaN.

        Raises InputError when features or offsets are not finite.
        """
        selection = selection or self.config.selection
        coarse0, coarse1 = self.transform(features0, features1)
        found = self.coarse_matching(coarse0, coarse1, features0.mask, features1.mask, selection)
        matches = PairMatches(
            points0=self._pixels(found.i, coarse0.shape[2]),
            points1=self._pixels(found.j, coarse1.shape[2]),
            confidence=found.confidence,
            spread=torch.full_like(found.confidence, torch.nan),
            cells0=found.i,
            cells1=found.j,
        )
        maps = features0, coarse0, features1, coarse1
        offset = matches.points0[:0]
        if not rough:
            offset, spread = self._refine_all(maps, found.b, found.i, found.j)
            matches = replace(matches, points1=matches.points1 + offset, spread=spread)
        finite = torch.stack([all_finite(coarse0, coarse1), all_finite(offset)]).tolist()  # one wait for both
        require_finite(finite[0], "features")
        require_finite(finite[1], "offsets")
        results = []
        for pair in range(len(coarse0)):
            confidence = found.confidence.masked_fill(found.b != pair, -1.0)
            best_first = confidence.argsort(descending=True, stable=True)[: found.counts[pair]]
            of_cells = matches.at(best_first)
            if not rough:
                if places is not None:
                    onward = self._match_onward(pair, of_cells, places[pair], maps)
                    of_cells = onward.at(slice(selection.max_matches or None))
                of_cells = self._aligned(pair, of_cells, features0.gray, features1.gray)
            results.append(of_cells)
        return tuple(results)

    def _aligned(
        self, pair: int, found: PairMatches, gray0: torch.Tensor | None, gray1: torch.Tensor | None
    ) -> PairMatches:
        """Align the matches of a pair with the pixels of both images, where these are kept."""
        if gray0 is None or gray1 is None:
            return found
        points1, spread = align_pixels(gray0[pair], gray1[pair], found.points0, found.points1, found.spread)
        return replace(found, points1=points1, spread=spread)

    def _refine_all(
        self, maps: _Maps, b: torch.Tensor, i: torch.Tensor, j: torch.Tensor, *shifts: torch.Tensor
    ) -> Refined:
        """Refine any number of matches (M,), some at a time -> offset (M, 2) and spread (M,), pixels."""
        slices = [slice(start, start + REFINE_AT_ONCE) for start in range(0, len(b), REFINE_AT_ONCE)]
        features0, coarse0, features1, coarse1 = maps
        parts = [
            self.refine(features0, features1, coarse0, coarse1, b[s], i[s], j[s], *(shift[s] for shift in shifts))
            for s in slices
        ]
        nothing = torch.zeros(0, device=b.device)
        offset = torch.cat([nothing.reshape(0, 2), *(part.offset for part in parts)])
        return offset, torch.cat([nothing, *(part.spread for part in parts)])

    def _match_onward(self, pair: int, found: PairMatches, places: torch.Tensor, maps: _Maps) -> PairMatches:
        """Match known places (K, 2) of a pair; they replace the matches that say the same."""
        strides = self.config.backbone.coarse_stride, self.config.backbone.fine_stride
        grid0, grid1 = (
            Grid.of(coarse[pair], None if features.mask is None else features.mask[pair], *strides)
            for features, coarse in (maps[:2], maps[2:])
        )

        def refine(cells0: torch.Tensor, cells1: torch.Tensor, *shifts: torch.Tensor) -> Refined:
            offset, spread = self._refine_all(maps, torch.full_like(cells0, pair), cells0, cells1, *shifts)
            check_finite(offset, "offsets")
            return offset, spread

        return match_onward(found, places, grid0, grid1, refine)

    def forward(
        self,
        images0: torch.Tensor,
        images1: torch.Tensor,
        mask0: torch.Tensor | None = None,
        mask1: torch.Tensor | None = None,
    ) -> tuple[PairMatches, ...]:
        """Match a batch of pairs of images, see `encode`; the two images of a pair may differ in size."""
        with torch.no_grad():
            return self.match(self.encode(images0, mask0), self.encode(images1, mask1))

    def _pixels(self, cells: torch.Tensor, columns: int) -> torch.Tensor:
        return torch.stack([cells % columns, cells // columns], dim=1).float() * self.config.backbone.coarse_stride

    def _position(self, coarse: torch.Tensor) -> torch.Tensor:
        _, height, width, channels = coarse.shape
        return position_encoding(height, width, channels, self.config.position.form, coarse.device).to(coarse.dtype)

    def _tokens(self, coarse: torch.Tensor, mask: torch.Tensor | None) -> Tokens:
        return Tokens(coarse, mask, self._position(coarse) if self.config.position.where == "every_layer" else None)


def set_precision(network: LoFTR, dtype: torch.dtype) -> LoFTR:
    """Convert a network in place for inference and return it. In bfloat16 only the backbone is converted.

    bfloat16 has 8 significant bits. The transformer and the fine stage add up small differences between features, and
    lose matches with it; the backbone takes most of the time.
    """
    (network.backbone if dtype == torch.bfloat16 else network).to(dtype)
    return network


def prepare_for_inference(network: LoFTR) -> LoFTR:
    """Return a copy for faster inference with the same results: folded batch norm, channels last, no gradients."""
    prepared = copy.deepcopy(network).eval().requires_grad_(False)
    fold_batch_norm(prepared.backbone)
    prepared.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return prepared
