"""The check of both networks' outputs: NaN compares as less than any threshold, and would look like nothing found."""

from __future__ import annotations

from torch import Tensor

from perception_common.errors import InputError


def check_finite(output: Tensor, name: str) -> None:
    """Raise InputError if an output of a network, any shape, holds NaN or infinity. name: of the output."""
    if not bool(output.isfinite().all()):
        raise InputError(
            f"the network's {name} are not finite: its weights are damaged or the precision is too low for them; "
            "use other weights or precision fp32"
        )
