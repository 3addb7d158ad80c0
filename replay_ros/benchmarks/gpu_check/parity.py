"""Whether the networks compute on a device what they compute on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from loftr_ros.matches import Matches
from loftr_ros.network.parts import loftr_parts
from perception_common.backends.devices import DevicePolicy, choose_device
from perception_common.backends.parity import compare
from perception_common.backends.runtime import Part, Runtime, TorchRuntime
from replay_ros.benchmarks.gpu_check.networks import detector_on, matcher_on, models, policies
from replay_ros.benchmarks.gpu_check.plan import GpuCheckPlan
from replay_ros.benchmarks.measurement import Check, SubjectReport
from replay_ros.benchmarks.synthetic import crowded_frame, textured_pair
from yolc_ros.boxes import pairwise_iou
from yolc_ros.detector import Detections
from yolc_ros.network.parts import yolc_parts

PART_LIMIT = 1e-3  # of the largest value of an output, in fp32 without TF32
SHARE_LIMIT = 0.1  # of matches or boxes that only one side has; rounding decides some of them
SAME_BOX = 0.8  # IoU of two boxes that count as the same
WARM_UP = 3  # runs of an image; graphs are recorded in the second one


class OnDevice:
    """Runs parts on a device for inputs on the CPU; outputs come back to it."""

    def __init__(self, runtime: Runtime, device: torch.device) -> None:
        self.runtime = runtime
        self.device = device

    def run(self, part: str, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute a part so often that graphs are replayed."""
        moved = [each.to(self.device) for each in inputs]
        for _ in range(WARM_UP):
            outputs = self.runtime.run(part, *moved)
        return tuple(each.cpu() for each in outputs)


def measure(device: str, plan: GpuCheckPlan) -> SubjectReport:
    """Compare parts, matches and boxes."""
    checks = [*_part_checks(device, plan), *_match_checks(device, plan), *_box_checks(device, plan)]
    return SubjectReport(
        subject="parity",
        conditions=f"{models(plan)} on {device} beside the CPU in fp32: largest difference of the parts relative to "
        "the largest value of the output (without TF32), and the shares of matches and boxes that one side alone has",
        checks=tuple(checks),
    )


def _part_checks(device: str, plan: GpuCheckPlan) -> Iterator[Check]:
    names = [*((each, _matcher_parts) for each in plan.matchers), *((each, _detector_parts) for each in plan.detectors)]
    for model, parts_on in names:
        parts, _ = parts_on(model, choose_device("cpu"))
        for name, policy in policies(device).items():
            if policy.dtype != torch.float32:
                continue
            _, runtime = parts_on(model, policy)
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                found = compare(
                    parts, TorchRuntime(parts), OnDevice(runtime, policy.device), plan.part_sizes, PART_LIMIT
                )
            for check in found:
                yield Check(f"{model}, {name}: {check.part}, {check.output}", "equality", check.relative, PART_LIMIT)


def _matcher_parts(model: str, policy: DevicePolicy) -> tuple[Sequence[Part], Runtime]:
    network = matcher_on(model, policy).network
    parts = loftr_parts(network)
    return parts, network.runtime or TorchRuntime(parts)


def _detector_parts(model: str, policy: DevicePolicy) -> tuple[Sequence[Part], Runtime]:
    network = detector_on(model, policy).network
    parts = yolc_parts(network)
    return parts, network.runtime or TorchRuntime(parts)


def _match_checks(device: str, plan: GpuCheckPlan) -> Iterator[Check]:
    image0, image1 = textured_pair(*plan.pair)
    for model in plan.matchers:
        reference = matcher_on(model, choose_device("cpu"))
        if not reference.trained:
            continue  # its confidences are so close that rounding decides
        expected = reference.match(reference.encode(image0), reference.encode(image1))
        for name, policy in policies(device).items():
            matcher = matcher_on(model, policy)
            for _ in range(WARM_UP):
                found = matcher.match(matcher.encode(image0), matcher.encode(image1))
            share = different_matches(found, expected)
            title = f"{model}, {name}: matches of one side alone, of {len(expected)}"
            yield Check(title, _kind(policy), share, SHARE_LIMIT)


def _box_checks(device: str, plan: GpuCheckPlan) -> Iterator[Check]:
    image = crowded_frame(*plan.frame)
    for model in plan.detectors:
        reference = detector_on(model, choose_device("cpu"))
        if not reference.trained:
            continue
        expected = reference.detect(image)
        for name, policy in policies(device).items():
            detector = detector_on(model, policy)
            for _ in range(WARM_UP):
                found = detector.detect(image)
            title = f"{model}, {name}: boxes of one side alone, of {len(expected.boxes)}"
            yield Check(title, _kind(policy), different_boxes(found, expected), SHARE_LIMIT)


def _kind(policy: DevicePolicy) -> Literal["equality", "aim"]:
    return "equality" if policy.dtype == torch.float32 else "aim"


def different_matches(found: Matches, expected: Matches) -> float:
    """Return the share, 0 to 1, of the matches of both that one side alone has: by their cells."""
    pairs0, pairs1 = (set(zip(m.cells0.tolist(), m.cells1.tolist(), strict=True)) for m in (found, expected))
    return len(pairs0 ^ pairs1) / max(len(pairs0 | pairs1), 1)


def different_boxes(found: Detections, expected: Detections) -> float:
    """Return the share, 0 to 1, of the boxes that have no box of the same class and place on the other side."""
    if not len(found.boxes) or not len(expected.boxes):
        return float(len(found.boxes) != len(expected.boxes))
    same = pairwise_iou(found.boxes, expected.boxes) >= SAME_BOX
    same &= found.labels[:, None] == expected.labels
    alone = np.count_nonzero(~same.any(1)) + np.count_nonzero(~same.any(0))
    return float(alone / (len(found.boxes) + len(expected.boxes)))
