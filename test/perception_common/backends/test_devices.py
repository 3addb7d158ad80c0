import os

import pytest
import torch

from perception_common.backends import devices
from perception_common.backends.devices import choose_device, default_threads, has_native_bf16, set_threads
from perception_common.errors import InputError


@pytest.fixture
def gpus(monkeypatch):
    """Make torch report this many GPUs with this compute capability."""

    def pretend(count: int, capability: tuple[int, int] = (8, 7)) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")

    return pretend


@pytest.mark.parametrize(
    ("count", "asked", "chosen"),
    [(0, "auto", "cpu"), (2, "auto", "cuda:0"), (2, "cuda", "cuda:0"), (2, "cuda:1", "cuda:1"), (2, "cpu", "cpu")],
)
def test_an_available_device_is_used_without_a_note(gpus, count, asked, chosen):
    gpus(count)
    policy = choose_device(asked)
    assert policy.device == torch.device(chosen)
    assert policy.dtype == torch.float32
    assert policy.notes == ()


@pytest.mark.parametrize(
    ("count", "asked", "reason"), [(0, "cuda", "no CUDA"), (0, "cuda:1", "no"), (1, "cuda:1", "only 1")]
)
def test_a_missing_gpu_falls_back_to_the_cpu(gpus, count, asked, reason):
    gpus(count)
    policy = choose_device(asked)
    assert policy.device == torch.device("cpu")
    assert len(policy.notes) == 1
    assert asked in policy.notes[0]
    assert reason in policy.notes[0]


@pytest.mark.parametrize(
    ("capability", "device", "precision", "dtype", "notes"),
    [
        ((8, 7), "cuda", "fp16", torch.float16, 0),
        ((8, 7), "cuda", "bf16", torch.bfloat16, 0),
        ((7, 2), "cuda", "bf16", torch.float32, 1),  # a Jetson Xavier
        ((8, 7), "cpu", "bf16", torch.bfloat16, 0),
        ((8, 7), "cpu", "fp16", torch.float32, 1),
    ],
)
def test_an_unsupported_precision_falls_back(gpus, capability, device, precision, dtype, notes):
    gpus(1, capability)
    policy = choose_device(device, precision)
    assert policy.dtype == dtype
    assert len(policy.notes) == notes


def test_both_fallbacks_are_noted(gpus):
    gpus(0)
    assert len(choose_device("cuda:0", "fp16").notes) == 2


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "CPU", "cuda:0 "])
def test_unknown_devices_are_refused(device):
    with pytest.raises(InputError, match="unknown device"):
        choose_device(device)


def test_unknown_precisions_are_refused():
    with pytest.raises(InputError, match="'int8'; use auto, fp32, fp16, bf16"):
        choose_device("cpu", "int8")


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system does not tell")
@pytest.mark.parametrize(("cores", "nodes", "threads"), [(8, 1, 8), (8, 2, 4), (8, 3, 2), (1, 2, 1)])
def test_cores_are_divided_among_nodes(monkeypatch, cores, nodes, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
    assert default_threads(nodes) == threads


def test_threads_are_set_or_kept():
    before = torch.get_num_threads()
    try:
        set_threads(3)
        assert torch.get_num_threads() == 3
        set_threads(0)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    with pytest.raises(InputError, match="-1"):
        set_threads(-1)


@pytest.mark.parametrize(
    ("text", "native"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2\n", False),
        ("flags\t\t: fpu avx512f avx512_bf16\n", True),
        ("flags\t\t: avx2 amx_bf16 amx_tile\n", True),
        ("Features\t: fp asimd i8mm bf16\n", True),
        ("Features\t: fp asimd\n", False),
        ("flags\t\t: avx512_bf16\nflags\t\t: avx2\n", False),  # cores of two kinds: a thread may run on either
        ("model name\t: with bf16 in its name\n", False),
        ("", False),
    ],
)
def test_native_bf16_is_read_from_the_flags_of_all_cores(tmp_path, text, native):
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    assert has_native_bf16(path) == native
    assert not has_native_bf16(tmp_path / "missing")


@pytest.mark.parametrize(
    ("count", "native", "dtype"),
    [(1, True, torch.float16), (0, True, torch.bfloat16), (0, False, torch.float32)],
)
def test_automatic_precision_is_the_fast_one_of_the_device(gpus, monkeypatch, count, native, dtype):
    gpus(count)
    monkeypatch.setattr(devices, "has_native_bf16", lambda: native)
    policy = choose_device("auto", "auto")
    assert policy.dtype == dtype
    assert policy.notes == ()
