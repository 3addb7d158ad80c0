"""Linear attention compared with its definition, with explicit weights."""

from __future__ import annotations

import torch

from loftr_ros.network.attention import linear_attention


def attend(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """One head without padding, queries (L, D), keys and values (S, D), with the explicit weights (L, S)."""
    phi_q = torch.where(queries > 0, queries + 1, queries.exp())
    phi_k = torch.where(keys > 0, keys + 1, keys.exp())
    weights = phi_q @ phi_k.T
    return (weights / weights.sum(1, keepdim=True)) @ values


def random_tokens(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def test_definition() -> None:
    queries, keys, values = random_tokens((2, 7, 3, 8), (2, 9, 3, 8), (2, 9, 3, 8))
    message = linear_attention(queries, keys, values)
    for b in range(2):
        for head in range(3):
            expected = attend(queries[b, :, head], keys[b, :, head], values[b, :, head])
            torch.testing.assert_close(message[b, :, head], expected, atol=1e-5, rtol=1e-5)


def test_masked_tokens_have_no_influence() -> None:
    queries, keys, values = random_tokens((1, 7, 2, 4), (1, 9, 2, 4), (1, 9, 2, 4))
    query_mask, key_mask = torch.arange(7)[None] < 5, torch.arange(9)[None] < 6
    message = linear_attention(queries, keys, values, query_mask, key_mask)
    without = linear_attention(queries[:, :5], keys[:, :6], values[:, :6])
    torch.testing.assert_close(message[:, :5], without)
    assert (message[:, 5:] == 0).all()


def test_a_pair_without_valid_tokens_is_finite() -> None:
    queries, keys, values = random_tokens((1, 4, 1, 4), (1, 4, 1, 4), (1, 4, 1, 4))
    nothing = torch.zeros(1, 4, dtype=torch.bool)
    assert (linear_attention(queries, keys, values, nothing, nothing) == 0).all()


def test_half_precision_does_not_overflow_on_long_sequences() -> None:
    """A sum of 100,000 products exceeds 65504, the largest float16."""
    queries, keys, values = (torch.full((1, 100_000, 1, 4), 3.0, dtype=torch.float16) for _ in range(3))
    message = linear_attention(queries, keys, values)
    assert message.dtype == torch.float16
    torch.testing.assert_close(message, values, atol=1e-2, rtol=0)
