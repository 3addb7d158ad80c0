"""Detection and matching on a simulated GPU: no tensor is left on the wrong side, and few copies cross over.

A `Simulated` tensor says that it is on cuda:0 and holds its values on the CPU. An operation that mixes it with a tensor
of the CPU fails, as on a GPU. Copies between the two, and operations that wait for the GPU, are counted.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.matcher import Matcher
from perception_common.backends.devices import DevicePolicy, choose_device
from yolc_ros.detector import Detector, DetectorSettings
from yolc_ros.looks.crowds import HEAT_PRESETS

CUDA = torch.device("cuda", 0)
ATEN = torch.ops.aten
WAITING = {ATEN.nonzero, ATEN.masked_select, ATEN.unique_dim, ATEN._unique2}
"""The results of these are needed on the CPU, or their sizes are."""


class Simulated(torch.Tensor):
    """A tensor on the simulated GPU. values: on the CPU."""

    values: torch.Tensor

    @staticmethod
    def __new__(cls, values):
        tensor = torch.Tensor._make_wrapper_subclass(
            cls, values.shape, values.stride(), values.storage_offset(), dtype=values.dtype, device=CUDA
        )
        tensor.values = values
        return tensor

    def __repr__(self):
        return f"Simulated({self.values})"

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        packet = function.overloadpacket
        by_mask = packet == ATEN.index and any(x is not None and x.dtype == torch.bool for x in args[1])
        COUNTS["waits"] += packet in WAITING or by_mask
        return compute(function, args, kwargs or {})


def compute(function, args, kwargs):
    """Call a function on the values. Raises RuntimeError when a tensor of the CPU is among its arguments."""
    for tensor in tree_leaves((args, kwargs)):
        if isinstance(tensor, torch.Tensor) and not isinstance(tensor, Simulated) and tensor.dim():
            raise RuntimeError(
                f"{function}: expected all tensors on cuda:0, but one of {tuple(tensor.shape)} is on cpu"
            )
    args, kwargs = tree_map_only(torch.device, lambda place: torch.device("cpu"), (args, kwargs))
    args, kwargs = tree_map_only(Simulated, lambda each: each.values, (args, kwargs))
    return tree_map_only(torch.Tensor, Simulated, function(*args, **kwargs))


COUNTS: Counter[str] = Counter()
TO_PYTHON = {getattr(torch.Tensor, f"__{name}__") for name in ("bool", "int", "float", "index")}
TO_PYTHON |= {torch.Tensor.item, torch.Tensor.tolist}
INDEXING = {torch.Tensor.__getitem__, torch.Tensor.__setitem__}
NONZERO = {torch.Tensor.nonzero, torch.nonzero}


class SimulatedGpu(TorchFunctionMode):
    """Makes tensors on cuda:0 and copies to it simulated ones; torch without CUDA would refuse both."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        places = [x for x in (*args[1:], kwargs.get("device")) if isinstance(x, torch.device | str)]
        on_gpu = any(place == CUDA for place in places)
        if function is torch.Tensor.to and on_gpu:
            tensor = args[0]
            dtypes = [x for x in args[1:] if isinstance(x, torch.dtype)]
            if not isinstance(tensor, Simulated):
                COUNTS["uploads"] += 1
                tensor = Simulated(tensor.detach())
            return tensor.to(*dtypes) if dtypes else tensor
        if isinstance(args[0] if args else None, Simulated) and (
            function is torch.Tensor.cpu or (function is torch.Tensor.to and torch.device("cpu") in places)
        ):
            COUNTS["downloads"] += 1
            return args[0].values
        if on_gpu:
            COUNTS["uploads"] += function in (torch.tensor, torch.as_tensor)
            return Simulated(function(*args, **{**kwargs, "device": "cpu"}))
        if not any(isinstance(each, Simulated) for each in tree_leaves((args, kwargs))):
            return function(*args, **kwargs)
        if function is torch.Tensor.new_tensor:
            COUNTS["uploads"] += 1
            return compute(function, args, kwargs)
        if function in NONZERO or function is torch.where:
            COUNTS["waits"] += function in NONZERO
            return compute(function, args, kwargs)
        if function in INDEXING:  # torch calls into CUDA before the dispatch
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            COUNTS["waits"] += any(isinstance(x, torch.Tensor) and x.dtype == torch.bool for x in index)
            return compute(function, args, kwargs)
        if function in (torch.Tensor.numpy, torch.Tensor.__array__):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if function in TO_PYTHON:
            COUNTS["waits"] += 1
            return function(args[0].values)
        return function(*args, **kwargs)


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(
        torch._C, "_InferenceMode", lambda mode: torch.no_grad()
    )  # tensors of our own cannot be views in it
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(
        True
    )  # parameters become simulated, not their data alone
    try:
        with SimulatedGpu():
            yield DevicePolicy(CUDA, torch.float32)
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)


@pytest.fixture(scope="module")
def images():
    noise = np.random.default_rng(0).integers(0, 256, (15, 21)).astype(np.float32)
    texture = np.kron(noise, np.ones((8, 8), np.float32))
    return texture.astype(np.uint8), np.roll(texture, 3, axis=1).astype(np.uint8)


def test_the_simulation_refuses_to_mix_and_counts(gpu):
    COUNTS.clear()
    on_gpu, on_cpu = torch.ones(3, device=CUDA), torch.ones(3)
    assert on_gpu.device == CUDA
    assert Counter() == COUNTS
    with pytest.raises(RuntimeError, match="one of \\(3,\\) is on cpu"):
        on_gpu + on_cpu
    with pytest.raises(TypeError):
        on_gpu.numpy()
    assert (on_gpu + on_cpu.to(CUDA)).cpu().tolist() == [2, 2, 2]
    assert float(on_gpu.sum()) == 3
    assert len(on_gpu[on_gpu > 2]) == 0
    assert Counter(uploads=1, downloads=1, waits=2) == COUNTS


def test_matching_copies_four_times_for_an_image(gpu, images):
    settings = MatcherSettings(max_side=0)
    matcher = Matcher.load("loftr_lite", "default", gpu, settings)
    reference = Matcher.load("loftr_lite", "default", choose_device("cpu"), settings)
    keyframe = matcher.encode(images[0])
    expected = reference.match(*map(reference.encode, images))
    COUNTS.clear()
    found = matcher.match(keyframe, matcher.encode(images[1]))
    assert COUNTS["uploads"] + COUNTS["downloads"] <= 4
    assert COUNTS["waits"] <= 20
    np.testing.assert_allclose(found.points1, expected.points1, atol=1e-3)


@pytest.mark.parametrize(
    ("lsm", "copies"),
    [
        (None, 3),
        (HEAT_PRESETS["heat"], 5),
    ],  # "heat" also copies the counts of its cells, and two matrices that sum them
)
def test_detection_copies_few_times_a_look(gpu, lsm, copies):
    settings = DetectorSettings(score_threshold=0.01, lsm=lsm)
    detector = Detector.load("yolc_lite", "default", gpu, settings)
    image = np.random.default_rng(0).integers(0, 256, (100, 130, 3), np.uint8)
    expected = Detector.load("yolc_lite", "default", choose_device("cpu"), settings).detect(image)
    assert len(expected.boxes)
    COUNTS.clear()
    found = detector.detect(image)
    looks = 1 + len(found.regions)
    assert COUNTS["uploads"] + COUNTS["downloads"] <= copies * looks
    assert COUNTS["waits"] <= 20 * looks
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
    np.testing.assert_array_equal(found.labels, expected.labels)
