"""Checks of both networks: NaN compares as less than any threshold, and would look like nothing found."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from perception_common.checkpoints.state_dict import name_some
from perception_common.errors import InputError


def check_prepared(network: nn.Module, dtype: torch.dtype) -> None:
    """Raise InputError if a network that is ready for inference holds NaN or infinity in a parameter or buffer.

    Finite weights become infinite where they are too large for `dtype`, and NaN where batch normalisation with a
    negative variance is folded. The outputs do not always tell: a ReLU turns a bias of -inf into 0.
    """
    broken = [name for name, tensor in network.state_dict().items() if not tensor.isfinite().all()]
    if not broken:
        return
    if dtype == torch.float32:
        remedy = "the variances of its batch normalisation are damaged: use other weights"
    else:
        remedy = f"they are too large for {str(dtype).removeprefix('torch.')}: use precision fp32"
    raise InputError(
        f"{len(broken)} of the prepared network's tensors hold NaN or infinity ({name_some(broken)}); {remedy}"
    )


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
