import dataclasses

import numpy as np
import pytest
import torch

from loftr_ros.datasets.supervision import TrainingPair, TrueMatches
from loftr_ros.network.coarse.matching import CoarseMatching
from loftr_ros.network.config import BackboneConfig, FineConfig, LoFTRConfig, MatchingConfig, TransformerConfig
from loftr_ros.network.fine.matching import expected_offset
from loftr_ros.network.results import Refinement
from loftr_ros.training.batch import PairBatch
from loftr_ros.training.losses import (
    LossConfig,
    TrainedLoFTR,
    focal_and_likelihood,
    heatmap_cross_entropy,
    log_confidence_at,
    spread_evenly,
    weighted_square_error,
)
from perception_common.training.distributed import Processes

TINY = LoFTRConfig(
    backbone=BackboneConfig(widths=(8, 12, 16)),
    coarse=TransformerConfig(heads=2, layers=("self", "cross")),
    fine=FineConfig(transformer=TransformerConfig(heads=2, layers=("self", "cross"))),
)


def some_matches(pairs: int, cells: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    b = torch.arange(pairs).repeat_interleave(5)
    i = torch.cat([torch.randperm(cells, generator=generator)[:5].sort().values for _ in range(pairs)])
    j = torch.cat([torch.randperm(cells, generator=generator)[:5] for _ in range(pairs)])
    return b, i, j


@pytest.mark.parametrize("kind", ["dual_softmax", "optimal_transport"])
def test_the_confidence_at_matches_equals_that_of_the_whole_matrix(kind):
    generator = torch.Generator().manual_seed(0)
    matching = CoarseMatching(MatchingConfig(kind=kind))
    coarse0, coarse1 = (torch.randn(3, 4, 6, 16, generator=generator, requires_grad=True) for _ in range(2))
    b, i, j = some_matches(3, 24, generator)
    at_matches, dustbins = log_confidence_at(matching, coarse0, coarse1, b, i, j)
    assert len(dustbins) == (3 * 2 * (24 - 5) if kind == "optimal_transport" else 0)
    everywhere = matching.log_confidence(coarse0, coarse1)[b, i, j]
    torch.testing.assert_close(at_matches, everywhere)
    for one, other in zip(
        torch.autograd.grad(at_matches.sum(), (coarse0, coarse1)),
        torch.autograd.grad(everywhere.sum(), (coarse0, coarse1)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def coarse_loss(network, maps, batch):
    return network._coarse_loss(*maps, batch)


def transport_network(bin_score=1.0, **weights):
    matching = MatchingConfig(kind="optimal_transport")
    network = TrainedLoFTR(dataclasses.replace(TINY, matching=matching), LossConfig(**weights), Processes())
    network.coarse_matching.bin_score.data.fill_(bin_score)
    return network


def test_the_coarse_loss_of_optimal_transport_is_that_of_the_release():
    """There: mean focal loss of the true pairs, plus that of the dustbin entries of all unmatched rows and columns."""
    generator = torch.Generator().manual_seed(0)
    network = transport_network(focal=1.0, likelihood=0.0)
    maps = [torch.randn(3, 8, 12, 16, generator=generator) * 3 for _ in range(2)]
    batch = PairBatch.of([shifted_pair(shift, shift) for shift in (0, 2, 5)])
    assignment = network.coarse_matching.log_assignment(*maps).exp().detach().double().numpy()
    is_match = np.zeros((3, 96, 96), bool)
    is_match[batch.b, batch.i, batch.j] = True
    positive = assignment[:, :-1, :-1][is_match]
    negative = np.concatenate([assignment[:, :-1, -1][~is_match.any(2)], assignment[:, -1, :-1][~is_match.any(1)]])
    losses = [
        -0.25 * (1 - p) ** 2 * np.log(p) for p in (np.clip(each, 1e-6, 1 - 1e-6) for each in (positive, negative))
    ]
    assert len(negative) == 2 * (0 + 16 + 40)
    assert coarse_loss(network, maps, batch).item() == pytest.approx(losses[0].mean() + losses[1].mean(), rel=1e-4)
    without = transport_network(focal=1.0, likelihood=0.0, dustbin=0.0)
    assert coarse_loss(without, maps, batch).item() == pytest.approx(losses[0].mean(), rel=1e-4)


def test_only_the_dustbin_term_lifts_a_low_dustbin_score():
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(1, 8, 12, 16, generator=generator) for _ in range(2)]
    batch = PairBatch.of([shifted_pair(4, 4)])
    slopes = {}
    for dustbin in (0.0, 1.0):
        network = transport_network(bin_score=-4.0, likelihood=0.0, dustbin=dustbin)
        coarse_loss(network, maps, batch).backward()
        slopes[dustbin] = network.coarse_matching.bin_score.grad.item()
    assert slopes[0.0] > 0 > slopes[1.0]


def test_the_focal_loss_of_confident_matches_is_small():
    config = LossConfig(focal=1.0, likelihood=0.0)
    loss = focal_and_likelihood(torch.tensor([0.5, 0.9]).log(), config)
    expected = [-0.25 * (1 - p) ** 2 * np.log(p) for p in (0.5, 0.9)]
    assert loss.tolist() == pytest.approx(expected, rel=1e-5)


def test_the_likelihood_has_a_gradient_where_the_focal_loss_is_flat():
    log_confidence = torch.tensor([-30.0], requires_grad=True)
    for config, slope in ((LossConfig(focal=1.0, likelihood=0.0), 0.0), (LossConfig(likelihood=0.1), -0.1)):
        (gradient,) = torch.autograd.grad(focal_and_likelihood(log_confidence, config).sum(), log_confidence)
        assert gradient.item() == pytest.approx(slope, abs=1e-6)


def test_small_spreads_have_larger_weights_and_unreachable_offsets_none():
    spread = torch.tensor([0.5, 2.0, 1.0], requires_grad=True)
    refined = Refinement(torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]), spread, torch.zeros(3, 25))
    loss, weight = weighted_square_error(refined, torch.tensor([[0.0, 0.0], [4.0, 0.0], [4.5, 0.0]]), radius=4.0)
    assert loss.tolist() == pytest.approx([1 / 16, 1.0, (4.5 / 4) ** 2])
    assert weight.tolist() == pytest.approx([2.0, 0.5, 0.0])
    assert not weight.requires_grad


def test_the_best_fine_heatmap_has_its_mean_at_the_true_point():
    true = torch.tensor([[0.3, -1.6], [2.0, -2.0], [0.0, 0.0], [2.1, 0.0]])
    logits = torch.zeros(4, 25, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(300):
        loss, weight = heatmap_cross_entropy(logits.log_softmax(1), true)
        optimizer.zero_grad()
        (loss * weight).sum().backward()
        optimizer.step()
    offset, _ = expected_offset(logits.detach().log_softmax(1))
    torch.testing.assert_close(offset[:3], true[:3], atol=0.02, rtol=0)
    assert weight.tolist() == [1, 1, 1, 0]  # the last point is beyond the window
    assert offset[3].abs().max() < 1e-5


def test_the_selected_matches_of_each_pair_are_evenly_spaced():
    b = torch.tensor([0] * 10 + [2] * 3)
    assert spread_evenly(b, pairs=3, most=5).tolist() == [0, 2, 4, 6, 8, 10, 11, 12]


def shifted_pair(shift: int, seed: int) -> TrainingPair:
    """Noise images; image 1 is image 0 shifted to the left by `shift` cells."""
    noise = np.random.default_rng(seed).integers(0, 256, (64, 96 + 8 * shift)).astype(np.uint8)
    noise = np.kron(noise[::4, ::4], np.ones((4, 4), np.uint8))
    cells0 = np.array([row * 12 + column for row in range(8) for column in range(shift, 12)])
    cells1 = cells0 - shift
    points1 = np.column_stack([cells1 % 12, cells1 // 12]).astype(np.float32) * 8
    return TrainingPair(noise[:, :96], noise[:, 8 * shift : 96 + 8 * shift], TrueMatches(cells0, cells1, points1))


@pytest.mark.slow
def test_training_overfits_a_few_pairs():
    torch.manual_seed(0)
    network = TrainedLoFTR(TINY, LossConfig(), Processes())
    batch = PairBatch.of([shifted_pair(shift, shift) for shift in (0, 1, 2, 3)])
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    first = None
    for _ in range(60):
        losses = network(batch)
        first = first or losses
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
    assert first is not None
    assert losses["coarse"] < 0.3 * first["coarse"]
    assert losses["fine"] < 0.3 * first["fine"]


def test_a_pair_without_true_matches_does_not_contribute_to_the_loss():
    torch.manual_seed(0)
    network = TrainedLoFTR(TINY, LossConfig(), Processes()).eval()
    pair = shifted_pair(1, 0)
    nothing = np.zeros(0, np.int64)
    empty = TrainingPair(pair.image1, pair.image0, TrueMatches(nothing, nothing, np.zeros((0, 2), np.float32)))
    alone, both, none = (network(PairBatch.of(pairs)) for pairs in ([pair], [pair, empty], [empty]))
    torch.testing.assert_close(both["loss"], alone["loss"])
    assert none["loss"].item() == 0
    none["loss"].backward()  # gives a zero gradient, not an error
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert all(parameter.grad.abs().max() == 0 for parameter in network.parameters())


def test_the_dustbin_score_of_optimal_transport_has_a_gradient():
    torch.manual_seed(0)
    config = LoFTRConfig(
        backbone=TINY.backbone, coarse=TINY.coarse, fine=TINY.fine, matching=MatchingConfig(kind="optimal_transport")
    )
    network = TrainedLoFTR(config, LossConfig(), Processes())
    network(PairBatch.of([shifted_pair(2, 0)]))["loss"].backward()
    assert network.coarse_matching.bin_score.grad.abs() > 0
