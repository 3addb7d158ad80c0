"""Computes the parts of a network with ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from perception_common.backends.onnx_packages import PROVIDERS, import_onnx, register_openvino
from perception_common.errors import InputError, first_line

_SHOWN = 300  # characters of an error of ONNX Runtime
_OPENVINO_OPTIONS = {"load_config": json.dumps({"CPU": {"INFERENCE_PRECISION_HINT": "f32"}})}
"""Compute in fp32 as the other providers: by itself OpenVINO takes bf16 where the processor has it."""


class OnnxRuntime:
    """Runs the exported parts of a network; tensors come from the CPU and go there.

    The CPU provider uses as many threads as torch does at construction. Its threads do not spin while they wait: that
    would take the cores from the other node and from torch between two images.
    """

    def __init__(self, files: dict[str, Path], providers: Sequence[str] = ("cpu",), cache: Path | None = None) -> None:
        """Load parts. files: ONNX file by part. providers: short names, available ones, preferred first.

        cache: folder for what a provider compiles; None: it compiles at each start. Raises InputError for a file or
        a provider that cannot be used.
        """
        self._runtime = import_onnx("onnxruntime")
        self._sessions = {name: self._load(path, providers, cache) for name, path in files.items()}

    def run(self, part: str, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute a part. Raises InputError when ONNX Runtime fails."""
        session = self._sessions[part]
        if len(inputs) > len(session.get_inputs()):
            raise InputError("padded images need backend torch: exported networks take images without padding")
        arrays = {
            each.name: tensor.detach().cpu().contiguous().numpy()
            for each, tensor in zip(session.get_inputs(), inputs, strict=True)
        }
        try:
            outputs = session.run(None, arrays)
        except Exception as error:  # its errors have no common class
            raise InputError(
                f"ONNX Runtime cannot compute {part}: {first_line(error)[:_SHOWN]}; use backend torch"
            ) from error
        return tuple(torch.from_numpy(output) for output in outputs)

    def _load(self, path: Path, providers: Sequence[str], cache: Path | None) -> Any:
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; warnings are about optimisation
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        listed: list[Any] = []
        if providers[0] == "openvino":  # a plugin is chosen by its devices, and ONNX Runtime adds the CPU itself
            register_openvino(self._runtime, providers)
            devices = [d for d in self._runtime.get_ep_devices() if d.ep_name == PROVIDERS["openvino"]]
            on_cpu = [d for d in devices if d.device.type == self._runtime.OrtHardwareDeviceType.CPU]
            options.add_provider_for_devices(on_cpu or devices[:1], _OPENVINO_OPTIONS)
        else:
            listed = [_with_options(name, cache) for name in providers if name != "openvino"]
        try:
            return self._runtime.InferenceSession(str(path), options, **({"providers": listed} if listed else {}))
        except Exception as error:
            raise InputError(
                f"{path}: ONNX Runtime cannot load it with {', '.join(providers)}: {first_line(error)[:_SHOWN]}; use "
                "other providers or backend torch"
            ) from error


def _with_options(name: str, cache: Path | None) -> Any:
    """Return a provider as ONNX Runtime takes it; TensorRT keeps its engines in the cache."""
    if name != "tensorrt" or cache is None:
        return PROVIDERS[name]
    options = {"trt_engine_cache_enable": "1", "trt_timing_cache_enable": "1", "trt_engine_cache_path": str(cache)}
    return PROVIDERS[name], options
