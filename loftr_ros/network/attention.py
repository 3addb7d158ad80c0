"""Linear attention (section 3.2; Katharopoulos et al. 2020)."""

from __future__ import annotations

import torch
from torch import nn

EPSILON = 1e-6  # of the published code


def linear_attention(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    query_mask: torch.Tensor | None = None,
    key_mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Attend with the kernel phi(q) . phi(k), phi = elu + 1; the cost is linear in the number of tokens.

    queries: (B, L, heads, D); keys, values: (B, S, heads, D); masks: (B, L) and (B, S) bool, False for padding.
    Returns (B, L, heads, D) in the dtype of the queries; padded queries get 0. Sums are always in float32, since half
    precision overflows on long sequences. Hence the published division of the values by S is not needed.
    """
    with torch.autocast(queries.device.type, enabled=False):
        q = nn.functional.elu(queries.float()).add_(1)
        k = nn.functional.elu(keys.float()).add_(1)
        if query_mask is not None:
            q = q * query_mask[..., None, None]
        if key_mask is not None:
            k = k * key_mask[..., None, None]
        summary = torch.einsum("bshd,bshv->bhdv", k, values.float())
        normaliser = torch.einsum("blhd,bhd->blh", q, k.sum(dim=1)) + EPSILON
        message = torch.einsum("blhd,bhdv->blhv", q, summary) / normaliser[..., None]
    return message.to(queries.dtype)
