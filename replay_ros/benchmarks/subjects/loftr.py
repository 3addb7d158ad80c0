"""Full-size LoFTR and kornia's LoFTR with equal weights on equal images."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from kornia.feature import LoFTR as KorniaLoFTR
from kornia.feature.loftr.loftr import default_cfg

from loftr_ros.network.loftr import LoFTR, prepare_for_inference, set_precision
from loftr_ros.network.results import PairMatches
from perception_common.backends.devices import has_native_bf16
from replay_ros.benchmarks.measurement import (
    BenchmarkPlan,
    Check,
    Measurement,
    SubjectReport,
    align_keys,
    largest_difference,
    take_turns,
)
from replay_ros.benchmarks.synthetic import textured_pair, to_tensor
from replay_ros.benchmarks.untrained import untrained_loftr

MODEL = "loftr_outdoor_ds"
# Of kornia's duration in fp32, when the features of the older keyframe are kept.
SPEED_AIM = 0.30
BF16_SPEED_AIM = 0.22


@torch.inference_mode()
def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Time pairs without and with cached features; compare the matches. In bf16 too where the CPU computes it."""
    width, height = plan.pair
    image0, image1 = (to_tensor(image) for image in textured_pair(width, height))
    network = untrained_loftr(MODEL)
    ours, peer = prepare_for_inference(network), kornia_loftr(network)
    pair = {"image0": image0, "image1": image1}
    cached0, cached1 = ours.encode(image0), ours.encode(image1)
    tasks: dict[str, Callable[[], object]] = {
        "kornia": lambda: peer(pair),
        "fresh": lambda: ours(image0, image1),
        "one kept": lambda: ours.match(cached0, ours.encode(image1)),
        "both kept": lambda: ours.match(cached0, cached1),
    }
    if has_native_bf16():
        reduced = set_precision(prepare_for_inference(network), torch.bfloat16)
        reduced0 = reduced.encode(image0)
        tasks["one kept, bf16"] = lambda: reduced.match(reduced0, reduced.encode(image1))
    seconds = take_turns(tasks, plan.rounds, "loftr")
    (found,) = ours(image0, image1)
    kept = Measurement.ratio("keyframe kept, ours / kornia", seconds["one kept"], seconds["kornia"])
    rows = [
        Measurement.milliseconds("kornia", seconds["kornia"]),
        Measurement.milliseconds("ours, fresh pair", seconds["fresh"]),
        Measurement.milliseconds("ours, older keyframe's features kept", seconds["one kept"]),
        Measurement.milliseconds("ours, features of both kept", seconds["both kept"]),
        Measurement.ratio("fresh pair, ours / kornia", seconds["fresh"], seconds["kornia"]),
        kept,
        Measurement.ratio("both kept, ours / kornia", seconds["both kept"], seconds["kornia"]),
    ]
    aims = [Check(kept.name, "aim", kept.median, SPEED_AIM, "x")]
    if (bf16_seconds := seconds.get("one kept, bf16")) is not None:
        ratio = Measurement.ratio("keyframe kept, ours in bf16 / kornia", bf16_seconds, seconds["kornia"])
        rows += [Measurement.milliseconds("ours in bf16, older keyframe's features kept", bf16_seconds), ratio]
        aims.append(Check(ratio.name, "aim", ratio.median, BF16_SPEED_AIM, "x"))
    return SubjectReport(
        subject="loftr",
        conditions=f"{MODEL} in fp32, a pair of {width}x{height}, equal random weights, {len(found.points0)} matches",
        rows=tuple(rows),
        checks=(
            *compare_matches(found, peer(pair), width, network.config.selection.threshold),
            *aims,
        ),
    )


def kornia_loftr(network: LoFTR) -> KorniaLoFTR:
    """Return kornia's network with the weights and thresholds of `network`."""
    config: dict[str, Any] = copy.deepcopy(default_cfg)  # kornia modifies its argument
    selection = network.config.selection
    config["coarse"]["temp_bug_fix"] = network.config.position.form == "fixed"
    config["match_coarse"] |= {"thr": selection.threshold, "border_rm": selection.border}
    peer = KorniaLoFTR(pretrained=None, config=config)
    peer.load_state_dict(network.state_dict())
    return peer.eval().requires_grad_(False)


def compare_matches(
    ours: PairMatches, theirs: dict[str, torch.Tensor], width: int, threshold: float
) -> tuple[Check, ...]:
    """Compare matches by their point in image 0, the centre of a cell. width: of the images, pixels.

    A match that only one side has is a difference, unless its confidence equals the threshold within rounding.
    """
    keys0, keys1 = (points.long() @ torch.tensor([1, width]) for points in (ours.points0, theirs["keypoints0"]))
    common0, common1, alone0, alone1 = align_keys(keys0, keys1)
    confidence = ours.confidence[common0] - theirs["confidence"][common1]
    position = ours.points1[common0] - theirs["keypoints1"][common1]
    alone = torch.cat([ours.confidence[alone0], theirs["confidence"][alone1]])
    return (
        Check("matches of one side alone", "equality", int((alone > threshold + 1e-4).sum()), 0),
        Check("largest difference in confidence", "equality", largest_difference(confidence), 1e-4),
        Check("largest difference in position", "equality", largest_difference(position), 1e-3, "px"),
    )
