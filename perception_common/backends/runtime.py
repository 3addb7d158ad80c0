"""The seam between a network and what computes it: parts of a network, tensors in and tensors out.

A part has no control flow that depends on data and takes images of any size, so that other runtimes can compute it.
What gathers, such as boxes at peaks or windows around matches, lies between the parts and stays in torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn


class Runtime(Protocol):
    """Computes the parts of one network."""

    def run(self, part: str, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute a part. inputs and outputs: as its `Part` names them, on the CPU or where the runtime keeps them."""


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a network.

    module: with positional inputs and a tuple of outputs. inputs, outputs: their names. sizes: the dimensions of each
    input that may change, by their index: torch.export's Dim, or a multiple of one. example: makes inputs for a size
    (height, width) of the image and a seed. repeats_sizes: images of one size give inputs of one size.
    """

    name: str
    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    sizes: tuple[Mapping[int, Any], ...]
    example: Callable[[tuple[int, int], int], tuple[Tensor, ...]]
    repeats_sizes: bool = True


class Method(nn.Module):
    """A method of a network as a module of its own, which torch.export takes. method: tensors to a tuple of tensors."""

    def __init__(self, network: nn.Module, method: str) -> None:
        super().__init__()
        self.network = network
        self.method = method

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Call the method."""
        return getattr(self.network, self.method)(*inputs)


class TorchRuntime:
    """Computes parts in torch, where their modules lie."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._modules = {part.name: part.module for part in parts}

    def run(self, part: str, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute a part."""
        return self._modules[part](*inputs)
