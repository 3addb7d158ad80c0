"""The optional packages of ONNX, imported on first use, and ONNX Runtime's providers by our short names."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType

from perception_common.errors import InputError

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
"""Short names of the providers, and ONNX Runtime's."""

_OPENVINO_PLUGIN = "onnxruntime_ep_openvino"  # a package of its own that ONNX Runtime loads


def import_onnx(name: str) -> ModuleType:
    """Import onnx, onnxscript or onnxruntime. Raises InputError when it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"{name} cannot be imported ({error}): run `pip install '.[onnx]'` in the checkout, or use backend torch"
        ) from error


def choose_providers(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the available ones of the providers, short names in order of preference, and a note for each other one.

    The CPU is always the last one: it computes what the others cannot. Raises InputError for an unknown name and where
    ONNX Runtime is missing.
    """
    if unknown := [name for name in names if name not in PROVIDERS]:
        raise InputError(f"unknown provider {unknown[0]!r}; use {', '.join(PROVIDERS)}")
    runtime = import_onnx("onnxruntime")
    register_openvino(runtime, names)
    available = {*runtime.get_available_providers(), *(device.ep_name for device in runtime.get_ep_devices())}
    chosen = [name for name in dict.fromkeys((*names, "cpu")) if PROVIDERS[name] in available]
    notes = tuple(
        f"provider {name} was requested, but this ONNX Runtime has only {', '.join(chosen)}: running on {chosen[0]}"
        for name in names
        if name not in chosen
    )
    return tuple(chosen), notes


def register_openvino(runtime: ModuleType, names: Sequence[str]) -> None:
    """Load OpenVINO's plugin, once in a process, where the provider is asked for and the plugin is installed."""
    name = PROVIDERS["openvino"]
    if "openvino" not in names or any(device.ep_name == name for device in runtime.get_ep_devices()):
        return
    try:
        plugin = importlib.import_module(_OPENVINO_PLUGIN)
    except ImportError:
        return
    runtime.register_execution_provider_library(name, plugin.get_library_path())
