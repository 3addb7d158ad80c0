"""Work queued on a GPU: one stream for each node, and copies to it that the CPU does not wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor


class DeviceStream:
    """A queue of work on a device, beside those of other nodes in the process. A CPU has none: work is done at once."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    @contextmanager
    def active(self) -> Iterator[None]:
        """Queue what follows here: after what the caller's stream holds now, and before what it gets later."""
        if self._stream is None:
            yield
            return
        outer = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(outer)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            outer.wait_stream(self._stream)


class Queued(Protocol):
    """Something whose work is queued on a stream."""

    @property
    def stream(self) -> DeviceStream:
        """Where it is queued."""


_Self = TypeVar("_Self", bound=Queued)
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def inference(
    method: Callable[Concatenate[_Self, _Arguments], _Result],
) -> Callable[Concatenate[_Self, _Arguments], _Result]:
    """Run a method in torch's inference mode, on the stream of its object."""

    @wraps(method)
    def run(self: _Self, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with torch.inference_mode(), self.stream.active():
            return method(self, *args, **kwargs)

    return run


def staging(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a tensor on the CPU, not initialised, for one `upload` to the device: in pinned memory for a GPU."""
    return torch.empty(shape, dtype=dtype, pin_memory=device.type == "cuda")


def upload(values: Tensor, device: torch.device) -> Tensor:
    """Copy from the CPU to a device; on the CPU, return `values`. From `staging`, a copy to a GPU does not wait."""
    return values.to(device, non_blocking=True)


def upload_array(array: np.ndarray, device: torch.device) -> Tensor:
    """Copy an array to a device by way of `staging`; on the CPU, share its memory where torch can."""
    values = torch.from_numpy(np.require(array, requirements=("C", "W")))
    if device.type == "cpu":
        return values
    return upload(staging(tuple(values.shape), values.dtype, device).copy_(values), device)
