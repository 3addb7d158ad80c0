import sys
from types import SimpleNamespace

import pytest

from perception_common.backends import onnx_packages
from perception_common.backends.devices import choose_device
from perception_common.backends.onnx_packages import choose_providers, import_onnx
from perception_common.errors import InputError


@pytest.fixture
def runtime(monkeypatch):
    """An ONNX Runtime for CUDA, without plugins."""
    module = SimpleNamespace(
        get_available_providers=lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"], get_ep_devices=list
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    monkeypatch.setitem(sys.modules, onnx_packages._OPENVINO_PLUGIN, None)
    return module


@pytest.mark.parametrize(
    ("asked", "chosen", "notes"),
    [
        ((), ("cpu",), 0),
        (("cpu",), ("cpu",), 0),
        (("cuda",), ("cuda", "cpu"), 0),
        (("tensorrt", "cuda"), ("cuda", "cpu"), 1),
        (("openvino",), ("cpu",), 1),
    ],
)
def test_available_providers_are_used_and_the_others_noted(runtime, asked, chosen, notes):
    found, said = choose_providers(asked)
    assert found == chosen
    assert len(said) == notes


def test_an_unknown_provider_is_refused(runtime):
    with pytest.raises(InputError, match="unknown provider 'gpu'; use cpu, cuda, tensorrt, openvino"):
        choose_providers(("gpu",))


def test_a_missing_package_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"onnxruntime cannot be imported .*pip install '\.\[onnx\]'"):
        import_onnx("onnxruntime")
    with pytest.raises(InputError, match="use backend torch"):
        choose_device("cpu", backend="onnxruntime")


def test_the_policy_names_backend_and_providers(runtime):
    policy = choose_device("cuda", "fp16", "onnxruntime", "tensorrt, cuda")
    assert policy.name == "onnxruntime (cuda, cpu)"
    assert policy.device.type == "cpu"  # of what stays in torch
    assert [note.split(" was")[0].split(" is")[0] for note in policy.notes] == ["provider tensorrt", "precision fp16"]
    assert choose_device("cpu").name == "cpu"
    with pytest.raises(InputError, match="unknown backend 'tvm'"):
        choose_device("cpu", backend="tvm")
