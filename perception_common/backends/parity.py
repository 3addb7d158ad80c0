"""Compares the parts of a network in two runtimes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from perception_common.backends.runtime import Part, Runtime
from perception_common.errors import InputError

SIZES = ((64, 96), (96, 64), (160, 128))  # (height, width), pixels; multiples of 32, which all networks take
LIMIT = 1e-3  # of the relative difference in fp32; sums in another order differ by about 1e-5


@dataclass(frozen=True)
class OutputCheck:
    """The largest difference of one output over all sizes. relative: to the largest magnitude of the output."""

    part: str
    output: str
    difference: float
    relative: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether the outputs are equal within the limit; False for NaN."""
        return self.relative <= self.limit


def compare(
    parts: Sequence[Part],
    reference: Runtime,
    candidate: Runtime,
    sizes: Sequence[tuple[int, int]] = SIZES,
    limit: float = LIMIT,
) -> tuple[OutputCheck, ...]:
    """Run both on the example inputs of each size, (height, width). Raises InputError for outputs of other shapes."""
    worst: dict[tuple[str, str], tuple[float, float]] = {}
    for part in parts:
        for seed, size in enumerate(sizes):
            inputs = part.example(size, seed)
            with torch.inference_mode():
                expected, found = (runtime.run(part.name, *inputs) for runtime in (reference, candidate))
            for name, a, b in zip(part.outputs, expected, found, strict=True):
                if a.shape != b.shape:
                    raise InputError(f"{part.name}: {name} is {tuple(b.shape)}, not {tuple(a.shape)} as in torch")
                difference = (a.float() - b.float()).abs().max().item()
                relative = difference / max(a.float().abs().max().item(), 1e-12)
                before = worst.get((part.name, name), (0.0, 0.0))
                worst[part.name, name] = _larger(before[0], difference), _larger(before[1], relative)
    return tuple(OutputCheck(part, name, *values, limit) for (part, name), values in worst.items())


def check_parity(parts: Sequence[Part], reference: Runtime, candidate: Runtime) -> tuple[OutputCheck, ...]:
    """Like `compare`; raises InputError where a difference is too large."""
    checks = compare(parts, reference, candidate)
    for check in checks:
        if not check.holds:
            raise InputError(
                f"{check.part}: {check.output} differs from torch by {check.relative:.1e} of its largest value, more "
                f"than {check.limit:g}; this export cannot be used, use backend torch"
            )
    return checks


def _larger(a: float, b: float) -> float:
    """Return the larger number; NaN where one is NaN."""
    return b if b != b or b > a else a
