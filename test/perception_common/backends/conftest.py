"""A simulated GPU: tensors that refuse to mix with those of the CPU, on which they are computed.

A `Simulated` tensor says that it is on cuda:0 and holds its values on the CPU. An operation that mixes it with a tensor
of the CPU fails, as on a GPU. Copies between the two, and operations that wait for the GPU, are counted.
"""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

from perception_common.backends.devices import DevicePolicy

CUDA = torch.device("cuda", 0)
ATEN = torch.ops.aten
WAITING = {ATEN.nonzero, ATEN.masked_select, ATEN.unique_dim, ATEN._unique2}
"""The results of these are needed on the CPU, or their sizes are."""
INDEXING = {ATEN.index, ATEN.index_put, ATEN.index_put_, ATEN._index_put_impl_}
TO_PYTHON = {getattr(torch.Tensor, f"__{name}__") for name in ("bool", "int", "float", "index")}
TO_PYTHON |= {torch.Tensor.item, torch.Tensor.tolist}
TO_NUMPY = {torch.Tensor.numpy, torch.Tensor.__array__}


@dataclass
class Gpu:
    """The simulated GPU.

    counts: of "uploads", those of them that are "unpinned" (the CPU waits for them), "downloads" and "waits".
    """

    counts: Counter[str] = field(default_factory=Counter)
    pinned: list[torch.Tensor] = field(default_factory=list)  # kept, so that their memory is not used again
    device: torch.device = CUDA

    @property
    def policy(self) -> DevicePolicy:
        return DevicePolicy(CUDA, torch.float32)

    @property
    def copies(self) -> int:
        return self.counts["uploads"] + self.counts["downloads"]

    def count_upload(self, tensor: torch.Tensor, non_blocking: bool) -> None:
        memory = tensor.untyped_storage().data_ptr()
        is_pinned = any(memory == each.untyped_storage().data_ptr() for each in self.pinned)
        self.counts["uploads"] += 1
        self.counts["unpinned"] += not (is_pinned and non_blocking)


GPU = Gpu()  # torch calls `Simulated` without one


class Simulated(torch.Tensor):
    """A tensor on the simulated GPU. values: on the CPU. In C++ it is on "meta", which torch has without CUDA too."""

    values: torch.Tensor

    @staticmethod
    def __new__(cls, values):
        tensor = torch.Tensor._make_wrapper_subclass(
            cls, values.shape, values.stride(), values.storage_offset(), dtype=values.dtype, device="meta"
        )
        tensor.values = values
        return tensor

    @property
    def device(self):
        return CUDA

    def __repr__(self):
        return f"Simulated({self.values})"

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        packet = function.overloadpacket
        by_mask = packet in INDEXING and any(x is not None and x.dtype == torch.bool for x in args[1])
        GPU.counts["waits"] += packet in WAITING or by_mask
        return compute(function, args, kwargs or {})


def compute(function, args, kwargs):
    """Call a function on the values. Raises RuntimeError when a tensor of the CPU is among its arguments."""
    for tensor in tree_leaves((args, kwargs)):
        if isinstance(tensor, torch.Tensor) and not isinstance(tensor, Simulated) and tensor.dim():
            raise RuntimeError(
                f"{function}: expected all tensors on cuda:0, but one of {tuple(tensor.shape)} is on {tensor.device}"
            )
    if function is ATEN.where.self:  # a number of a gradient's formula, which is 0 in all of ours, lost its value
        lost = (each.is_meta and not isinstance(each, Simulated) for each in args)
        args = tuple(
            torch.zeros((), dtype=each.dtype) if is_lost else each for each, is_lost in zip(args, lost, strict=True)
        )
    args, kwargs = tree_map_only(torch.device, lambda place: torch.device("cpu"), (args, kwargs))
    args, kwargs = tree_map_only(Simulated, lambda each: each.values, (args, kwargs))
    return tree_map_only(torch.Tensor, Simulated, function(*args, **kwargs))


class SimulatedGpu(TorchFunctionMode):
    """Makes tensors on cuda:0 and copies to it simulated ones; torch without CUDA would refuse both."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        places = {str(x) for x in (*args[1:], kwargs.get("device")) if isinstance(x, torch.device | str)}
        on_gpu = str(CUDA) in places
        if function is torch.Tensor.to and on_gpu:
            tensor = args[0]
            dtypes = [x for x in args[1:] if isinstance(x, torch.dtype)]
            if not isinstance(tensor, Simulated):
                GPU.count_upload(tensor, kwargs.get("non_blocking", False))
                tensor = Simulated(tensor.detach().clone(memory_format=torch.preserve_format))
            return tensor.to(*dtypes) if dtypes else tensor
        if isinstance(args[0] if args else None, Simulated) and (
            function is torch.Tensor.cpu or (function is torch.Tensor.to and "cpu" in places)
        ):
            GPU.counts["downloads"] += 1
            return args[0].detach().values
        if on_gpu:
            GPU.counts["uploads"] += function in (torch.tensor, torch.as_tensor)
            GPU.counts["unpinned"] += function in (torch.tensor, torch.as_tensor)
            return Simulated(function(*args, **{**kwargs, "device": "cpu"}))
        if function is torch.empty and kwargs.pop("pin_memory", False):
            GPU.pinned.append(function(*args, **kwargs))
            return GPU.pinned[-1]
        if function is torch.Tensor.__deepcopy__:  # its memory of copies is no argument
            return function(*args)
        if not any(isinstance(each, Simulated) for each in tree_leaves((args, kwargs))):
            return function(*args, **kwargs)
        if function is torch.Tensor.new_tensor:
            GPU.counts["uploads"] += 1
            GPU.counts["unpinned"] += 1
            return compute(function, args, kwargs)
        if function in TO_NUMPY:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if function in TO_PYTHON:
            GPU.counts["waits"] += 1
            return function(args[0].detach().values)
        if function is torch.where and len(args) == 3:  # torch makes numbers to tensors on "meta", without their values
            kind = next(each.dtype for each in args[1:] if isinstance(each, torch.Tensor))
            numbers = (each if isinstance(each, torch.Tensor) else torch.tensor(each, dtype=kind) for each in args[1:])
            return function(args[0], *numbers)
        return function(*args, **kwargs)


class Stream:
    """A stream of the simulated GPU, on which all is done at once."""

    def __init__(self, device):
        assert device == CUDA

    def wait_stream(self, other):
        """Do nothing."""


@pytest.fixture
def gpu(monkeypatch):
    """A simulated GPU without any copies yet."""
    # Tensors of our own cannot be views in inference mode. Parameters become simulated, not their data alone.
    monkeypatch.setattr(torch._C, "_InferenceMode", lambda mode: torch.no_grad())
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    GPU.counts.clear()
    GPU.pinned.clear()
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with SimulatedGpu():
            yield GPU
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)
