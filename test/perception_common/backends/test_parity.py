import pytest
import torch
from torch import nn

from perception_common.backends.parity import check_parity, compare
from perception_common.backends.runtime import Method, Part, TorchRuntime
from perception_common.errors import InputError


class Doubling(nn.Module):
    def doubled(self, x):
        return 2 * x, x.sum(1)


class Changed:
    """Another runtime, whose first output is changed."""

    def __init__(self, runtime, change):
        self._runtime = runtime
        self._change = change

    def run(self, part, *inputs):
        first, *others = self._runtime.run(part, *inputs)
        return self._change(first), *others


def example(size, seed):
    return (torch.full((2, size[0]), 100.0 + seed),)


PARTS = (Part("double", Method(Doubling(), "doubled"), ("x",), ("twice", "sum"), ({1: None},), example),)
TORCH = TorchRuntime(PARTS)


def test_the_largest_difference_of_all_sizes_is_found():
    first = []

    def change_the_second(x):
        first.append(x)
        return x + 0.5 if len(first) == 2 else x

    twice, total = compare(PARTS, TORCH, Changed(TORCH, change_the_second))
    assert (twice.part, twice.output, twice.difference) == ("double", "twice", 0.5)
    assert twice.relative == pytest.approx(0.5 / 202)  # the second example holds 101
    assert total.difference == 0
    assert not twice.holds


@pytest.mark.parametrize("change", [lambda x: x * 1.002, lambda x: x * torch.nan])
def test_other_values_are_refused(change):
    with pytest.raises(InputError, match="double: twice differs from torch"):
        check_parity(PARTS, TORCH, Changed(TORCH, change))


def test_other_shapes_are_refused():
    with pytest.raises(InputError, match=r"twice is \(2, 63\), not \(2, 64\)"):
        check_parity(PARTS, TORCH, Changed(TORCH, lambda x: x[:, 1:]))


def test_rounding_is_accepted():
    assert all(check.holds for check in check_parity(PARTS, TORCH, Changed(TORCH, lambda x: x * 1.00001)))
