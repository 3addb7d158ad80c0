"""Coarse matching: confidences compared with plain formulas, tiles with the whole matrix, and the selection."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from loftr_ros.network.coarse import similarity as tiling
from loftr_ros.network.coarse.candidates import Candidates
from loftr_ros.network.coarse.dual_softmax import dual_softmax, dual_softmax_candidates
from loftr_ros.network.coarse.matching import CoarseMatches, CoarseMatching
from loftr_ros.network.coarse.optimal_transport import optimal_transport, optimal_transport_candidates
from loftr_ros.network.config import MatchingConfig, SelectionConfig

ALL = SelectionConfig(threshold=1e-4, border=0)


def random_maps(*sizes: tuple[int, int], channels: int = 16, batch: int = 1, seed: int = 0) -> list[torch.Tensor]:
    """Random features; the others contain the top-left quarter of the first map, with noise."""
    generator = torch.Generator().manual_seed(seed)
    maps = [torch.randn(batch, h, w, channels, generator=generator) for h, w in sizes]
    for other in maps[1:]:
        h, w = min(maps[0].shape[1], other.shape[1]) // 2, min(maps[0].shape[2], other.shape[2]) // 2
        other[:, :h, :w] += maps[0][:, :h, :w]
    return maps


def sinkhorn(scores: np.ndarray, dustbin: float, iterations: int) -> np.ndarray:
    """Plain Sinkhorn in float64, on the assignment itself: (L, S) to (L + 1, S + 1)."""
    L, S = scores.shape
    kernel = np.exp(np.pad(scores.astype(np.float64), ((0, 1), (0, 1)), constant_values=dustbin))
    rows = np.append(np.ones(L), S) / (L + S)
    columns = np.append(np.ones(S), L) / (L + S)
    b = np.ones(S + 1)
    for _ in range(iterations):
        a = rows / (kernel @ b)
        b = columns / (kernel.T @ a)
    return a[:, None] * kernel * b * (L + S)


def matches_of(confidence: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Mutual maxima of a full matrix above the threshold."""
    return [
        (i, j)
        for i, j in zip(*np.nonzero(confidence > threshold), strict=True)
        if confidence[i, j] == confidence[i].max() == confidence[:, j].max()
    ]


def pairs_of(found: CoarseMatches | Candidates) -> list[tuple[int, int]]:
    return list(zip(found.i.tolist(), found.j.tolist(), strict=True))


class TestDense:
    def test_dual_softmax(self) -> None:
        similarity = torch.randn(2, 5, 7) * 4
        expected = similarity.softmax(1) * similarity.softmax(2)
        torch.testing.assert_close(dual_softmax(similarity).exp(), expected)

    @pytest.mark.parametrize("iterations", [1, 3, 50])
    def test_optimal_transport_is_plain_sinkhorn(self, iterations: int) -> None:
        similarity = torch.randn(2, 6, 9) * 2
        found = optimal_transport(similarity, torch.tensor(0.7), iterations).exp()
        for b in range(2):
            expected = sinkhorn(similarity[b].numpy(), 0.7, iterations)
            np.testing.assert_allclose(found[b].numpy(), expected, rtol=1e-4)

    def test_optimal_transport_reaches_its_marginals(self) -> None:
        found = optimal_transport(torch.randn(1, 6, 9), torch.tensor(1.0), 200).exp()[0]
        torch.testing.assert_close(found.sum(1), torch.tensor([1.0] * 6 + [9.0]), atol=1e-4, rtol=0)
        torch.testing.assert_close(found.sum(0), torch.tensor([1.0] * 9 + [6.0]), atol=1e-4, rtol=0)

    @pytest.mark.parametrize("kind", ["dual_softmax", "optimal_transport"])
    def test_masked_cells_have_no_influence(self, kind: str) -> None:
        matching = CoarseMatching(MatchingConfig(kind=kind))  # type: ignore[arg-type]
        map0, map1 = random_maps((4, 5), (5, 6))
        mask0, mask1 = torch.zeros(1, 4, 5, dtype=torch.bool), torch.zeros(1, 5, 6, dtype=torch.bool)
        mask0[:, :3, :4] = mask1[:, :4, :3] = True
        masked = matching.log_confidence(map0, map1, mask0, mask1)
        without = matching.log_confidence(map0[:, :3, :4], map1[:, :4, :3])
        inside = mask0.flatten(1)[:, :, None] & mask1.flatten(1)[:, None]
        torch.testing.assert_close(masked[inside], without.flatten(), atol=1e-4, rtol=1e-4)
        assert masked[~inside].exp().max() == 0

    @pytest.mark.parametrize("kind", ["dual_softmax", "optimal_transport"])
    def test_gradients_are_finite_under_masks(self, kind: str) -> None:
        matching = CoarseMatching(MatchingConfig(kind=kind))  # type: ignore[arg-type]
        map0, map1 = random_maps((4, 5), (4, 5))
        map0.requires_grad_()
        mask = torch.zeros(1, 4, 5, dtype=torch.bool)
        mask[:, :2] = True
        matching.log_confidence(map0, map1, mask, None)[0, 0, 0].backward()
        assert map0.grad is not None
        assert map0.grad.isfinite().all()
        assert map0.grad[0, 0, 0].abs().max() > 0

    @pytest.mark.parametrize("iterations", [1, 3])
    def test_padded_cells_keep_their_mass_as_in_the_release(self, iterations: int) -> None:
        """There padded pairs have the similarity -1e9, and Sinkhorn runs over all cells."""
        matching = CoarseMatching(
            MatchingConfig(kind="optimal_transport", padding="release", sinkhorn_iterations=iterations)
        )
        map0, map1 = random_maps((4, 5), (5, 6))
        mask0, mask1 = torch.zeros(1, 4, 5, dtype=torch.bool), torch.zeros(1, 5, 6, dtype=torch.bool)
        mask0[:, :3, :4] = mask1[:, :4, :3] = True
        inside = (mask0.flatten()[:, None] & mask1.flatten()).numpy()
        similarity = matching.similarity(map0.flatten(1, 2), map1.flatten(1, 2))[0].detach().numpy()
        expected = sinkhorn(np.where(inside, similarity, -1e9), 1.0, iterations)
        found = matching.log_assignment(map0, map1, mask0, mask1)[0].exp().detach().numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)

        left_out = CoarseMatching(MatchingConfig(kind="optimal_transport", sinkhorn_iterations=iterations))
        ours = left_out.log_assignment(map0, map1, mask0, mask1)[0].exp().detach().numpy()
        assert abs(ours - expected)[:-1, :-1][inside].max() > 0.01 * expected[:-1, :-1].max()

        threshold = float(np.median(expected[:-1, :-1][inside]))
        selected = matching(map0, map1, mask0, mask1, SelectionConfig(threshold=threshold, border=0))
        assert len(selected.i) > 2
        assert pairs_of(selected) == matches_of(expected[:-1, :-1], threshold)
        np.testing.assert_allclose(selected.confidence.numpy(), expected[selected.i, selected.j], rtol=1e-3)

    def test_scale_of_the_similarity(self) -> None:
        a, b = torch.ones(1, 1, 1, 16), torch.ones(1, 1, 1, 16)
        assert CoarseMatching(MatchingConfig()).similarity(a, b).item() == pytest.approx(10.0)
        transport = CoarseMatching(MatchingConfig(kind="optimal_transport"))
        assert transport.similarity(a, b).item() == pytest.approx(1.0)


class TestTiles:
    @pytest.mark.parametrize("elements", [1, 100, 1000, 10**9])
    @pytest.mark.parametrize("threshold", [0.2, 0.01])
    def test_dual_softmax(self, monkeypatch: pytest.MonkeyPatch, elements: int, threshold: float) -> None:
        monkeypatch.setattr(tiling, "TILE_ELEMENTS", elements)
        monkeypatch.setattr(tiling, "TILE_ROWS", 1)
        generator = torch.Generator().manual_seed(0)
        tokens0, tokens1 = torch.randn(30, 8, generator=generator), torch.randn(41, 8, generator=generator)
        expected = (tokens0 @ tokens1.T).softmax(0) * (tokens0 @ tokens1.T).softmax(1)
        found = dual_softmax_candidates(tokens0, tokens1, threshold)
        assert len(found.i) > 5
        assert pairs_of(found) == [tuple(pair) for pair in (expected > threshold).nonzero().tolist()]
        torch.testing.assert_close(found.confidence, expected[found.i, found.j])

    @pytest.mark.parametrize("elements", [1, 100, 10**9])
    @pytest.mark.parametrize("prefilter", [False, True])
    def test_optimal_transport(self, monkeypatch: pytest.MonkeyPatch, elements: int, prefilter: bool) -> None:
        monkeypatch.setattr(tiling, "TILE_ELEMENTS", elements)
        monkeypatch.setattr(tiling, "TILE_ROWS", 1)
        generator = torch.Generator().manual_seed(0)
        tokens0, tokens1 = torch.randn(30, 8, generator=generator), torch.randn(41, 8, generator=generator)
        expected = sinkhorn((tokens0 @ tokens1.T).numpy(), 2.0, 3)
        kept = expected[:-1, :-1] > 0.01
        if prefilter:
            kept &= (expected[:-1].argmax(1) < 41)[:, None] & (expected[:, :-1].argmax(0) < 30)
            assert kept.sum() < (expected[:-1, :-1] > 0.01).sum()
        found = optimal_transport_candidates(tokens0, tokens1, torch.tensor(2.0), 3, 0.01, prefilter)
        assert pairs_of(found) == list(zip(*(index.tolist() for index in np.nonzero(kept)), strict=True))
        np.testing.assert_allclose(found.confidence.numpy(), expected[found.i, found.j], rtol=1e-3)

    def test_extreme_similarities_neither_overflow_nor_vanish(self) -> None:
        """Similarities of rows and columns differ by thousands, as with features in the range of fp16."""
        tokens = torch.diag(torch.tensor([60.0, 0.5, 30.0, 5.0]))
        found = dual_softmax_candidates(tokens, tokens, 0.2)
        assert pairs_of(found) == [(0, 0), (2, 2), (3, 3)]
        torch.testing.assert_close(found.confidence, torch.ones(3))


class TestSelection:
    @given(seed=st.integers(0, 10**6), threshold=st.sampled_from([0.02, 0.1, 0.3]))
    @settings(deadline=None, max_examples=40)
    def test_mutual_maxima_of_the_whole_matrix(self, seed: int, threshold: float) -> None:
        map0, map1 = random_maps((4, 6), (5, 5), seed=seed)
        matching = CoarseMatching(MatchingConfig())
        found = matching(map0, map1, None, None, SelectionConfig(threshold=threshold, border=0))
        confidence = matching.log_confidence(map0, map1).exp()[0].numpy()
        assume((np.abs(confidence - threshold) > 1e-6).all())  # rounding must not decide
        assert pairs_of(found) == matches_of(confidence, threshold)

    @pytest.mark.parametrize("kind", ["dual_softmax", "optimal_transport"])
    def test_batch_and_masks(self, kind: str) -> None:
        matching = CoarseMatching(MatchingConfig(kind=kind))  # type: ignore[arg-type]
        map0, map1 = random_maps((6, 8), (7, 6), batch=3)
        map0, map1 = map0 * 2, map1 * 2
        mask0, mask1 = torch.ones(3, 6, 8, dtype=torch.bool), torch.ones(3, 7, 6, dtype=torch.bool)
        mask0[1, 4:], mask1[2, :, 4:] = False, False
        found = matching(map0, map1, mask0, mask1, ALL)
        assert (found.b.diff() >= 0).all()
        dense = matching.log_confidence(map0, map1, mask0, mask1).exp()
        for b in range(3):
            of_pair = found.b == b
            assert of_pair.sum() > 5
            single = CoarseMatches(
                found.b[of_pair], found.i[of_pair], found.j[of_pair], found.confidence[of_pair], (int(of_pair.sum()),)
            )
            assert pairs_of(single) == matches_of(dense[b].detach().numpy(), ALL.threshold)
            torch.testing.assert_close(single.confidence, dense[b, single.i, single.j], atol=1e-5, rtol=1e-4)

    def test_border_cells_are_not_matched_but_compete(self) -> None:
        matching = CoarseMatching(MatchingConfig())
        map0, map1 = random_maps((8, 9), (7, 10))
        everything = matching(map0, map1, None, None, ALL)
        inner = matching(map0, map1, None, None, SelectionConfig(threshold=ALL.threshold, border=2))

        def is_inside(cell: int, height: int, width: int) -> bool:
            return 2 <= cell // width < height - 2 and 2 <= cell % width < width - 2

        expected = [(i, j) for i, j in pairs_of(everything) if is_inside(i, 8, 9) and is_inside(j, 7, 10)]
        assert 0 < len(expected) < len(everything.i)
        assert pairs_of(inner) == expected

    def test_border_of_a_padded_image_is_the_border_without_padding(self) -> None:
        matching = CoarseMatching(MatchingConfig())
        map0, map1 = random_maps((8, 9), (8, 9))
        mask = torch.zeros(1, 8, 9, dtype=torch.bool)
        mask[:, :6, :7] = True
        selection = SelectionConfig(threshold=ALL.threshold, border=2)
        padded = matching(map0, map1, mask, None, selection)
        cut = matching(map0[:, :6, :7], map1, None, None, selection)
        assert len(cut.i)
        assert padded.j.tolist() == cut.j.tolist()
        assert padded.i.tolist() == (cut.i // 7 * 9 + cut.i % 7).tolist()

    def test_the_limit_keeps_the_most_confident_matches(self) -> None:
        matching = CoarseMatching(MatchingConfig())
        map0, map1 = random_maps((8, 9), (8, 9))
        everything = matching(map0, map1, None, None, ALL)
        few = matching(map0, map1, None, None, SelectionConfig(ALL.threshold, 0, max_matches=4))
        best = everything.confidence.sort(descending=True).values[:4]
        assert sorted(few.confidence.tolist(), reverse=True) == best.tolist()
        assert (few.i.diff() > 0).all()

    def test_of_equal_candidates_the_first_is_selected(self) -> None:
        i, j = torch.tensor([0, 0, 1, 2]), torch.tensor([1, 2, 1, 0])
        candidates = Candidates(i, j, torch.tensor([0.3, 0.3, 0.3, 0.5]))
        assert candidates.mutual_best(3, 3).tolist() == [True, False, False, True]

    def test_a_fully_masked_image_has_no_matches(self) -> None:
        map0, map1 = random_maps((4, 4), (4, 4))
        nothing = torch.zeros(1, 4, 4, dtype=torch.bool)
        for kind in ("dual_softmax", "optimal_transport"):
            found = CoarseMatching(MatchingConfig(kind=kind))(map0, map1, nothing, None, ALL)  # type: ignore[arg-type]
            assert found.b.shape == found.i.shape == found.j.shape == found.confidence.shape == (0,)

    def test_uniform_features_give_no_matches(self) -> None:
        flat = torch.ones(1, 6, 6, 16)
        found = CoarseMatching(MatchingConfig())(flat, flat, None, None, SelectionConfig(border=0))
        assert len(found.i) == 0
        assert math.isclose(
            CoarseMatching(MatchingConfig()).log_confidence(flat, flat).exp().max().item(), 1 / 36**2, rel_tol=1e-4
        )
