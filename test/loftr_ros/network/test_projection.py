"""The projection equals a linear layer on every code path."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from loftr_ros.network.projection import project


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5,), (0, 5), (7, 5), (2, 3, 4, 5)])
def test_equals_linear_with_and_without_gradients(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(5, 6, bias=bias)
    x = torch.randn(shape)
    expected = linear(x)
    found = project(x, linear.weight, linear.bias)
    assert found.requires_grad
    torch.testing.assert_close(found, expected)
    with torch.no_grad():
        torch.testing.assert_close(project(x, linear.weight, linear.bias), expected, atol=1e-6, rtol=1e-5)


def test_strided_inputs() -> None:
    x, weight = torch.randn(2, 5, 3, 4).permute(0, 2, 3, 1), torch.randn(6, 10)[:, 5:]
    torch.testing.assert_close(project(x, weight), x @ weight.T, atol=1e-5, rtol=1e-5)
