"""The check of both networks' outputs: NaN compares as less than any threshold, and would look like nothing found."""

from __future__ import annotations

import torch
from torch import Tensor

from perception_common.errors import InputError


def check_finite(output: Tensor, name: str) -> None:
    """Raise InputError if an output of a network, any shape, holds NaN or infinity. name: of the output.

    Reading the answer waits for a GPU: where values are copied from it anyway, let `all_finite` travel with them.
    """
    require_finite(bool(all_finite(output)), name)


def all_finite(*outputs: Tensor) -> Tensor:
    """Whether outputs of any shape hold no NaN and no infinity, () bool on their device."""
    return torch.stack([output.isfinite().all() for output in outputs]).all()


def require_finite(is_finite: bool, name: str) -> None:
    """Raise InputError if an output is not finite. name: of the output."""
    if not is_finite:
        raise InputError(
            f"the network's {name} are not finite: its weights are damaged or the precision is too low for them; "
            "use other weights or precision fp32"
        )
