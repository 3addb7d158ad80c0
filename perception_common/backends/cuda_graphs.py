"""Parts of a network recorded as CUDA graphs, one for each size of the inputs, and replayed.

A small network on a fast GPU spends most of its time in starting its kernels one by one; a graph starts all of them at
once. It repeats exactly what it recorded, so a part must not depend on the values of its inputs and must not wait.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from perception_common.backends.runtime import Part
from perception_common.errors import first_line

KEPT = 16  # graphs of a network; a camera needs one or two, a second look at crops and a search of the scale a few more
_REMEMBERED = 64  # sizes that were seen once
_WARM_UP = 3  # runs before the recording, in which cuDNN and cuBLAS choose kernels and allocate; as torch's manual has

Graph = Callable[..., tuple[Tensor, ...]]
"""Computes a part for inputs of one size; the outputs are the caller's."""
Size = tuple[tuple[tuple[int, ...], tuple[int, ...], torch.dtype, torch.device], ...]
"""Shape, strides, type and device of each input."""
_CAPTURE = threading.Lock()  # the nodes of one process take turns in recording


class GraphRuntime:
    """Replays the parts of a network as graphs. A size is recorded when it is seen again, so rare ones are not.

    Keeps the `KEPT` graphs that were used last. A part that cannot be recorded is computed as usual, with one warning.
    """

    def __init__(
        self, parts: Sequence[Part], capture: Callable[[nn.Module, Size], Graph] | None = None, kept: int = KEPT
    ) -> None:
        """capture: records a module for inputs of a size. Default: `CudaCapture`."""
        self._modules = {part.name: part.module for part in parts}
        self._usual = {part.name for part in parts if not part.repeats_sizes}
        self._seen: deque[tuple[str, Size]] = deque(maxlen=_REMEMBERED)
        recorder = capture or CudaCapture()
        self._graph = lru_cache(kept)(lambda part, size: recorder(self._modules[part], size))

    def run(self, part: str, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute a part."""
        module = self._modules[part]
        if part in self._usual:
            return module(*inputs)
        size = tuple((tuple(each.shape), each.stride(), each.dtype, each.device) for each in inputs)
        if (part, size) not in self._seen:
            self._seen.append((part, size))
            return module(*inputs)
        try:
            graph = self._graph(part, size)
        except Exception as error:  # whatever it is, the part can be computed as usual
            self._usual.add(part)
            logging.getLogger(__name__).warning(
                f"no CUDA graph of {part}, it is computed as usual: {first_line(error)[:200]}"
            )
            return module(*inputs)
        return graph(*inputs)


class CudaCapture:
    """Records modules on the current stream of a GPU. All its graphs share memory: they never run at the same time."""

    def __init__(self) -> None:
        self._pool: Any = None

    @torch.inference_mode()
    def __call__(self, module: nn.Module, size: Size) -> Graph:
        """Record a module, see `GraphRuntime`. Raises RuntimeError where it cannot be recorded."""
        device = size[0][3]
        inputs = [torch.empty_strided(shape, strides, dtype=dtype, device=device) for shape, strides, dtype, _ in size]
        for each in inputs:
            each.zero_()
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with _CAPTURE:
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    module(*inputs)
            stream.synchronize()
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            graph = torch.cuda.CUDAGraph()
            # Other threads may use the GPU meanwhile: only calls of this one would spoil the recording.
            with torch.cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"):
                outputs = module(*inputs)

        @torch.inference_mode()
        def replay(*given: Tensor) -> tuple[Tensor, ...]:
            for held, new in zip(inputs, given, strict=True):
                held.copy_(new, non_blocking=True)
            graph.replay()
            return tuple(each.clone() for each in outputs)

        return replay
