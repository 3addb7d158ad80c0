"""Full-size LoFTR beside kornia's, with the same weights on the same images."""

from __future__ import annotations

import copy
from typing import Any

import torch
from kornia.feature import LoFTR as KorniaLoFTR
from kornia.feature.loftr.loftr import default_cfg

from loftr_ros.network.loftr import LoFTR, PairMatches, prepare_for_inference
from replay_ros.benchmarks.measurement import Check, Measurement, Plan, Report, take_turns
from replay_ros.benchmarks.untrained import textured_pair, to_tensor, untrained_loftr

MODEL = "loftr_outdoor_ds"
SPEED_AIM = 1 / 2.5  # of kornia's time, for a pair whose older keyframe is kept


@torch.inference_mode()
def measure(plan: Plan) -> Report:
    """Time a fresh pair and one whose older keyframe's features are kept; compare the matches."""
    image0, image1 = (to_tensor(image) for image in textured_pair(*plan.pair))
    network = untrained_loftr(MODEL)
    ours, peer = prepare_for_inference(network), kornia_loftr(network)
    pair = {"image0": image0, "image1": image1}
    kept0, kept1 = ours.encode(image0), ours.encode(image1)
    seconds = take_turns(
        {
            "kornia": lambda: peer(pair),
            "fresh": lambda: ours(image0, image1),
            "one kept": lambda: ours.match(kept0, ours.encode(image1)),
            "both kept": lambda: ours.match(kept0, kept1),
        },
        plan.rounds,
        "loftr",
    )
    (found,) = ours(image0, image1)
    rows = (
        Measurement.milliseconds("kornia", seconds["kornia"]),
        Measurement.milliseconds("ours, fresh pair", seconds["fresh"]),
        Measurement.milliseconds("ours, older keyframe's features kept", seconds["one kept"]),
        Measurement.milliseconds("ours, features of both kept", seconds["both kept"]),
        Measurement.ratio("fresh pair, ours / kornia", seconds["fresh"], seconds["kornia"]),
        Measurement.ratio("keyframe kept, ours / kornia", seconds["one kept"], seconds["kornia"]),
        Measurement.ratio("both kept, ours / kornia", seconds["both kept"], seconds["kornia"]),
    )
    return Report(
        subject="loftr",
        conditions=f"{MODEL} in fp32, a pair of {plan.pair[0]}x{plan.pair[1]}, equal random weights, "
        f"{len(found.points0)} matches",
        rows=rows,
        checks=(
            *compare(found, peer(pair), image1.shape[-1], network.config.selection.threshold),
            Check("keyframe kept, ours / kornia", "aim", rows[5].median, SPEED_AIM, "x"),
        ),
    )


def kornia_loftr(network: LoFTR) -> KorniaLoFTR:
    """kornia's network with a network's weights and thresholds."""
    config: dict[str, Any] = copy.deepcopy(default_cfg)  # kornia changes what it is given
    selection = network.config.selection
    config["coarse"]["temp_bug_fix"] = network.config.position.form == "fixed"
    config["match_coarse"] |= {"thr": selection.threshold, "border_rm": selection.border}
    peer = KorniaLoFTR(pretrained=None, config=config)
    peer.load_state_dict(network.state_dict())
    return peer.eval().requires_grad_(False)


def compare(ours: PairMatches, theirs: dict[str, torch.Tensor], width: int, threshold: float) -> tuple[Check, ...]:
    """Compare matches by their point in image 0, a cell's centre. width: of the images, pixels.

    A match of one side alone is a difference unless its confidence equals the threshold to rounding.
    """
    keys = [x.long() @ torch.tensor([1, width]) for x in (ours.points0, theirs["keypoints0"])]
    in_theirs, in_ours = torch.isin(keys[0], keys[1]), torch.isin(keys[1], keys[0])
    order0, order1 = keys[0][in_theirs].argsort(), keys[1][in_ours].argsort()
    confidence = ours.confidence[in_theirs][order0] - theirs["confidence"][in_ours][order1]
    position = ours.points1[in_theirs][order0] - theirs["keypoints1"][in_ours][order1]
    alone = torch.cat([ours.confidence[~in_theirs], theirs["confidence"][~in_ours]])
    return (
        Check("matches of one side alone", "equality", int((alone > threshold + 1e-4).sum()), 0),
        Check("largest difference in confidence", "equality", _largest(confidence), 1e-4),
        Check("largest difference in position", "equality", _largest(position), 1e-3, "px"),
    )


def _largest(difference: torch.Tensor) -> float:
    return float(difference.abs().max()) if difference.numel() else float("inf")
