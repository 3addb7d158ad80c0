"""Full-size YOLC and a plain version in the order of the authors' release, with equal weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from perception_common.backends.devices import has_native_bf16
from replay_ros.benchmarks import plain_yolc
from replay_ros.benchmarks.measurement import (
    BenchmarkPlan,
    Check,
    Measurement,
    SubjectReport,
    align_keys,
    largest_difference,
    take_turns,
)
from replay_ros.benchmarks.plain_yolc import PlainDetections
from replay_ros.benchmarks.synthetic import crowded_frame
from replay_ros.benchmarks.untrained import untrained_yolc
from yolc_ros.decoding import Peaks, read_heatmap
from yolc_ros.detector import boxes_of
from yolc_ros.network.fuse import prepare_for_inference, set_precision
from yolc_ros.network.yolc import Yolc

MODEL = "yolc_w48"
SCORE = 0.3
# Of the plain version's duration in fp32.
SPEED_AIM = 0.62
BF16_SPEED_AIM = 0.36
ROUNDING = 2e-5  # largest difference of scores that counts as rounding; empirical


@dataclass(frozen=True)
class Detected:
    """Our result for one input: peaks in descending order of score, and their boxes (N, 4) xyxy in input pixels."""

    peaks: Peaks
    boxes: Tensor


@torch.inference_mode()
def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Time both from the input tensor to boxes with scores, before non-maximum suppression; compare the boxes.

    In bf16 too where the CPU computes it.
    """
    width, height = plan.yolc_input
    image = torch.from_numpy(crowded_frame(width, height)).permute(2, 0, 1)[None]
    plain_input, our_input = image.contiguous(), image.contiguous(memory_format=torch.channels_last)
    network = untrained_yolc(MODEL, plain_input, plan.detections, SCORE)
    ours = prepare_for_inference(network)
    tasks: dict[str, Callable[[], object]] = {
        "plain": lambda: plain_yolc.detect(network, plain_input, SCORE),
        "ours": lambda: detect_before_nms(ours, our_input),
        "our network": lambda: ours.maps(our_input),
    }
    if has_native_bf16():
        reduced = set_precision(prepare_for_inference(network), torch.bfloat16)
        tasks["ours, bf16"] = lambda: detect_before_nms(reduced, our_input)
    seconds = take_turns(tasks, plan.rounds, "yolc")
    ratio = Measurement.ratio("ours / plain", seconds["ours"], seconds["plain"])
    rows = [
        Measurement.milliseconds("plain, in the release's order", seconds["plain"]),
        Measurement.milliseconds("ours", seconds["ours"]),
        Measurement.milliseconds("ours, the network alone", seconds["our network"]),
        ratio,
    ]
    aims = [Check(ratio.name, "aim", ratio.median, SPEED_AIM, "x")]
    if (bf16_seconds := seconds.get("ours, bf16")) is not None:
        bf16_ratio = Measurement.ratio("ours in bf16 / plain", bf16_seconds, seconds["plain"])
        rows += [Measurement.milliseconds("ours in bf16", bf16_seconds), bf16_ratio]
        aims.append(Check(bf16_ratio.name, "aim", bf16_ratio.median, BF16_SPEED_AIM, "x"))
    found, expected = detect_before_nms(ours, our_input), plain_yolc.detect(network, plain_input, SCORE)
    return SubjectReport(
        subject="yolc",
        conditions=f"{MODEL} in fp32, an input of {width}x{height} to boxes with scores, equal random weights, "
        f"{len(found.boxes)} boxes",
        rows=tuple(rows),
        checks=(*compare_detections(found, expected), *aims),
    )


def detect_before_nms(network: Yolc, image: Tensor) -> Detected:
    """Run our detector on one input (1, 3, H, W) up to non-maximum suppression."""
    maps = network.maps(image)
    peaks = read_heatmap(maps.heatmap[0], SCORE, plain_yolc.PEAKS, presence=1.0).peaks
    return Detected(peaks, boxes_of(network, maps.box_features[0], peaks))


def compare_detections(ours: Detected, plain: PlainDetections) -> tuple[Check, ...]:
    """Compare the boxes of both.

    An object that only one side has is a difference, unless within rounding its score equals the threshold or that of a
    neighbouring pixel, which may be the peak on the other side.
    """
    _, height, width = plain.heatmap.shape
    pixels0, pixels1 = (
        (label * height + positions[:, 1]) * width + positions[:, 0]
        for label, positions in ((ours.peaks.labels, ours.peaks.positions), (plain.labels, plain.positions))
    )
    common0, common1, alone0, alone1 = align_keys(pixels0, pixels1)
    scores = ours.peaks.scores[common0] - plain.scores[common1]
    boxes = ours.boxes[common0] - plain.boxes[common1]
    alone = torch.cat([pixels0[alone0], pixels1[alone1]])
    peak = plain.heatmap.flatten()[alone]
    decided = (peak > SCORE + ROUNDING) & ((peak - highest_neighbour(plain.heatmap).flatten()[alone]).abs() > ROUNDING)
    return (
        Check("objects of one side alone", "equality", int(decided.sum()), 0),
        Check("largest difference in score", "equality", largest_difference(scores), ROUNDING),
        Check("largest difference of a box's side", "equality", largest_difference(boxes), 1e-2, "px"),
    )


def highest_neighbour(heatmap: Tensor) -> Tensor:
    """Return the largest of the eight neighbours of each pixel, (C, H, W)."""
    padded = functional.pad(heatmap, (1, 1, 1, 1), value=-1.0)
    windows = padded.unfold(1, 3, 1).unfold(2, 3, 1).flatten(3)  # (C, H, W, 9)
    return torch.cat([windows[..., :4], windows[..., 5:]], dim=3).amax(3)
