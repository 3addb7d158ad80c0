"""Full-size YOLC beside a plain version that works in the release's order, with the same weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from replay_ros.benchmarks import plain_yolc
from replay_ros.benchmarks.measurement import Check, Measurement, Plan, Report, take_turns
from replay_ros.benchmarks.plain_yolc import PlainDetections
from replay_ros.benchmarks.untrained import crowded_frame, untrained_yolc
from yolc_ros.decoding import Peaks, cells_of, decode_boxes, read_heatmap
from yolc_ros.network.fuse import prepare_for_inference
from yolc_ros.network.yolc import Yolc

MODEL = "yolc_w48"
SCORE = 0.3


@dataclass(frozen=True)
class Detected:
    """What ours gives for one input: peaks, best first, and their boxes (N, 4) xyxy in input pixels."""

    peaks: Peaks
    boxes: Tensor


@torch.inference_mode()
def measure(plan: Plan) -> Report:
    """Time both from the input tensor to boxes with scores, before doubles are suppressed; compare what they find."""
    width, height = plan.yolc_input
    image = torch.from_numpy(crowded_frame(width, height)).permute(2, 0, 1)[None]
    plain_input, our_input = image.contiguous(), image.contiguous(memory_format=torch.channels_last)
    network = untrained_yolc(MODEL, plain_input, plan.detections, SCORE)
    ours = prepare_for_inference(network)
    seconds = take_turns(
        {
            "plain": lambda: plain_yolc.detect(network, plain_input, SCORE),
            "ours": lambda: detect(ours, our_input),
            "our network": lambda: ours.maps(our_input),
        },
        plan.rounds,
        "yolc",
    )
    found, expected = detect(ours, our_input), plain_yolc.detect(network, plain_input, SCORE)
    return Report(
        subject="yolc",
        conditions=f"{MODEL} in fp32, an input of {width}x{height} to boxes with scores, equal random weights, "
        f"{len(found.boxes)} boxes",
        rows=(
            Measurement.milliseconds("plain, in the release's order", seconds["plain"]),
            Measurement.milliseconds("ours", seconds["ours"]),
            Measurement.milliseconds("ours, the network alone", seconds["our network"]),
            Measurement.ratio("ours / plain", seconds["ours"], seconds["plain"]),
        ),
        checks=compare(found, expected),
    )


def detect(network: Yolc, image: Tensor) -> Detected:
    """What our detector does with one input (1, 3, H, W) up to the suppression of doubles."""
    maps = network.maps(image)
    peaks = read_heatmap(maps.heatmap[0], SCORE, plain_yolc.PEAKS, presence=1.0).peaks
    cells = cells_of(peaks, network.config.heatmap_stride)
    return Detected(peaks, decode_boxes(network.boxes_at(maps.box_features[0], cells), cells))


def compare(ours: Detected, plain: PlainDetections) -> tuple[Check, ...]:
    """Compare the objects that both found; one of one side alone counts unless its score equals the threshold."""
    _, height, width = plain.heatmap.shape
    places = [
        (label * height + positions[:, 1]) * width + positions[:, 0]
        for label, positions in ((ours.peaks.labels, ours.peaks.positions), (plain.labels, plain.positions))
    ]
    in_plain, in_ours = torch.isin(places[0], places[1]), torch.isin(places[1], places[0])
    order0, order1 = places[0][in_plain].argsort(), places[1][in_ours].argsort()
    scores = ours.peaks.scores[in_plain][order0] - plain.scores[in_ours][order1]
    boxes = ours.boxes[in_plain][order0] - plain.boxes[in_ours][order1]
    alone = torch.cat([ours.peaks.scores[~in_plain], plain.scores[~in_ours]])
    return (
        Check("objects of one side alone", "equality", int((alone > SCORE + 1e-4).sum()), 0),
        Check("largest difference in score", "equality", _largest(scores), 1e-4),
        Check("largest difference of a box's side", "equality", _largest(boxes), 1e-2, "px"),
    )


def _largest(difference: Tensor) -> float:
    return float(difference.abs().max()) if difference.numel() else float("inf")
