"""The lite networks in torch and in ONNX Runtime with the providers of this machine, on the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import onnx as onnx  # the exports need all three: fail here where one is missing
import onnxruntime
import onnxscript as onnxscript
import torch

from loftr_ros.matcher import Matcher
from loftr_ros.network.parts import loftr_parts
from perception_common.backends.devices import DevicePolicy, choose_device
from perception_common.backends.runtime import Part, Runtime, TorchRuntime
from replay_ros.benchmarks.measurement import (
    BenchmarkPlan,
    Check,
    Measurement,
    SubjectReport,
    largest_difference,
    take_turns,
)
from yolc_ros.detector import Detector
from yolc_ros.network.parts import yolc_parts

PROVIDERS = "openvino", "cpu"  # those that compute on a CPU
LIMIT = 1e-3  # of the largest value of an output


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Time each part in each runtime."""
    policies = {f"onnxruntime, {name}": choose_device(backend="onnxruntime", providers=name) for name in PROVIDERS}
    policies = {name: policy for name, policy in policies.items() if not policy.notes}
    width, height = plan.yolc_input
    tasks: dict[str, Callable[[], object]] = {}
    checks: list[Check] = []
    for part, runtimes in _parts(policies):
        size = plan.pair[::-1] if part.name != "maps" else (height // 32 * 32, width // 32 * 32)
        inputs = part.example(size, 2)
        with torch.inference_mode():
            expected = runtimes["torch"].run(part.name, *inputs)
            for name, runtime in runtimes.items():
                tasks[f"{part.name}, {name}"] = partial(_run, runtime, part.name, inputs)
                if name == "torch":
                    continue
                pairs = zip(expected, runtime.run(part.name, *inputs), strict=True)
                worst = max(largest_difference(a - b) / float(a.abs().max()) for a, b in pairs)
                checks.append(Check(f"{part.name}, {name}: difference from torch", "equality", worst, LIMIT))
    seconds = take_turns(tasks, plan.rounds, "runtimes")
    return SubjectReport(
        subject="runtimes",
        conditions=f"shipped networks in fp32; encode and transform for {plan.pair[0]}x{plan.pair[1]}, "
        f"fine for 9 matches, maps for two images of {width}x{height}; onnxruntime {onnxruntime.__version__}",
        rows=tuple(Measurement.milliseconds(name, values) for name, values in seconds.items()),
        checks=tuple(checks),
    )


def _parts(policies: Mapping[str, DevicePolicy]) -> Iterator[tuple[Part, dict[str, Runtime]]]:
    """Yield each part of the shipped networks with its runtimes by name, torch first."""
    for load in (_loftr, _yolc):
        parts, _ = load(choose_device("cpu"))
        runtimes: dict[str, Runtime] = {"torch": TorchRuntime(parts)}
        for name, policy in policies.items():
            _, runtime = load(policy)
            assert runtime is not None  # the policy asks for one
            runtimes[name] = runtime
        for part in parts:
            yield part, runtimes


def _loftr(policy: DevicePolicy) -> tuple[Sequence[Part], Runtime | None]:
    network = Matcher.load("loftr_lite", "default", policy).network
    return loftr_parts(network), network.runtime


def _yolc(policy: DevicePolicy) -> tuple[Sequence[Part], Runtime | None]:
    network = Detector.load("yolc_lite", "default", policy).network
    return yolc_parts(network), network.runtime


def _run(runtime: Runtime, part: str, inputs: tuple[torch.Tensor, ...]) -> None:
    with torch.inference_mode():
        runtime.run(part, *inputs)
