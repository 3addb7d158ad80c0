"""Evaluates detections by named protocols: of a network on labelled images, or of a bag and its tracks."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import get_args

from perception_common.atomic_file import check_writable
from perception_common.cli import number
from perception_common.errors import InputError
from replay_ros.commands.evaluate.device_options import add_device_options, runtime_choice
from replay_ros.evaluation.detection.bags import DETECTIONS, TRUTH, ArrayOptions, score_bag
from replay_ros.evaluation.detection.datasets import Dataset, coco_dataset, uavdt_dataset, visdrone_dataset
from replay_ros.evaluation.detection.evaluate import (
    SMALLEST_SCORE,
    NetworkOptions,
    detection_run_to_mapping,
    evaluate_network,
)
from replay_ros.evaluation.detection.inference import LSM, InferenceMode
from replay_ros.evaluation.detection.protocols import PROTOCOLS
from replay_ros.evaluation.detection.slicing import Merge, SlicingConfig
from replay_ros.evaluation.detection.tables import detection_lines
from replay_ros.evaluation.places import describe_places, score_places_of_bag
from replay_ros.evaluation.results_file import write_results
from replay_ros.evaluation.tracking.bags import (
    TRACKS,
    TRUE_TRACKS,
    score_bag_tracks,
    tracking_lines,
    tracking_result_to_mapping,
)
from yolc_ros.adaptive import ScaleMode
from yolc_ros.detector import DetectorSettings, LsmMerge, Scores
from yolc_ros.parameters import YolcParameters

NAME = "evaluate_detection"

_IMAGES = ("coco", "visdrone", "uavdt")  # the values of --dataset for which a network runs
# Options for some values of --dataset only; they are refused with the others.
_ONLY_FOR = {
    "images": ("coco",),
    "fov": ("coco",),
    "split": ("uavdt",),
    **dict.fromkeys(
        ("files", "weights", "model", "lsm", "lsm_regions", "scale", "slicing", "slice_overlap", "slice_zoom"), _IMAGES
    ),
    **dict.fromkeys(
        ("slice_merge", "predictions", "max_side", "device", "lsm_merge", "nms", "scores", "smallest_score"), _IMAGES
    ),
    **dict.fromkeys(("precision", "backend", "providers"), _IMAGES),
    **dict.fromkeys(("truth_bag", "topic", "truth_topic", "tolerance", "unanswered"), ("bag",)),
}

_DESCRIPTION = f"""\
Detect objects in labelled images and print AP (mean over IoU 0.5 to 0.95), AP50 and AP75, by size and by class, and
precision, recall and F1 at one score threshold. Options that are repeated are evaluated for comparison.

protocols:
{"".join(f"  {name:18}{each.about}" + chr(10) for name, each in PROTOCOLS.items())}"""


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=_DESCRIPTION,
        epilog=f"""\
example:
  {prog} drone/annotations.json --images drone/images
  {prog} aerial_cars/coco.json --files 'MunichStreet*' --classes car --lsm on --lsm off --json result.json
  {prog} aerial_cars/coco.json --classes car --lsm on --slicing 640 --predictions seen.npz
  {prog} flight/coco.json --lsm on --lsm off --scale fixed --scale auto --scale ground
  {prog} --dataset visdrone VisDrone2019-DET-val --weights yolc.pth --model yolc_w48
  {prog} --dataset visdrone VisDrone2019-DET-val --weights yolc.pth --model yolc_w48 --protocol yolc-release \
    --lsm release --lsm-merge release --nms off --smallest-score 0.001
  {prog} --dataset bag replayed_city --protocol coco
  {prog} replayed_city --tracking --json tracks.json
  {prog} --dataset uavdt UAVDT --classes car=car+van,truck,bus --predictions uavdt.npz
""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("truth", type=Path, metavar="COCO.json|FOLDER|BAG", help="labelled images, see --dataset")
    add_detection_options(parser)
    group = parser.add_argument_group("one dataset or bag")
    group.add_argument(
        "--predictions",
        type=Path,
        metavar="FILE.npz",
        help="write predictions to this file and reuse those with the same weights, settings and images",
    )
    group.add_argument(
        "--tracking",
        action="store_true",
        help="score the ids of the tracks in a bag instead: HOTA, IDF1, MOTA and id switches",
    )
    group.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return parser


def add_detection_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of an evaluation, but for those of a single dataset or bag."""
    _add_truth_options(parser)
    _add_network_options(parser.add_argument_group("network (not with --dataset bag)"))
    _add_bag_options(parser.add_argument_group("bags (only with --dataset bag and --tracking)"))
    _add_scoring_options(parser.add_argument_group("scores"))


def _add_truth_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dataset",
        choices=(*_IMAGES, "bag"),
        default="coco",
        help="kind of the truth: a COCO JSON file; a folder of VisDrone-DET (images/, annotations/) or of UAVDT "
        "(UAV-benchmark-M/, GT/, M_attr/); or a replayed bag, whose detections are scored (default: coco)",
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of the images (default: that of COCO.json)")
    parser.add_argument("--files", default="*", metavar="PATTERN", help="only images with such file names (default: *)")
    parser.add_argument("--split", choices=("test", "train", "all"), help="sequences of UAVDT (default: test)")


def _add_network_options(group: argparse._ArgumentGroup) -> None:
    slices = SlicingConfig()
    group.add_argument(
        "--weights", default="yolc_lite", metavar="NAME|FILE", help="shipped weights or a file (default: yolc_lite)"
    )
    group.add_argument("--model", metavar="NAME", help="network of a FILE (default: named in it, else yolc_lite)")
    group.add_argument(
        "--lsm",
        action="append",
        choices=LSM,
        help="second look at crowded regions (default: on as in the node, unless --slicing is given); repeatable",
    )
    group.add_argument(
        "--lsm-regions",
        action="append",
        type=int,
        metavar="K",
        help="largest number of regions of the LSM (default: that of the preset); repeatable",
    )
    group.add_argument(
        "--scale",
        action="append",
        type=_scale,
        metavar="fixed|reduce|auto|ground|S",
        help="of the first look: that of --max-side, that or a smaller one that shows clearly more, the one that shows "
        "most for its time, from altitude and tilt of each image, or S input pixels per image pixel (default: "
        f"{YolcParameters.scale}, as in the node); repeatable",
    )
    group.add_argument(
        "--fov",
        type=number,
        metavar="DEG",
        help="horizontal field of view for --scale ground, for images without focal_px",
    )
    group.add_argument(
        "--lsm-merge",
        choices=get_args(LsmMerge),
        default="ours",
        help="fusion of both passes of the LSM: our rules, or those of the authors' code (default: ours)",
    )
    group.add_argument(
        "--nms",
        type=_nms_iou,
        default=DetectorSettings.nms_iou,
        metavar="IOU|off",
        help="IoU above which boxes of a class are duplicates; off: keep all, as the authors' evaluation does "
        f"(default: {DetectorSettings.nms_iou:g})",
    )
    group.add_argument(
        "--scores",
        choices=get_args(Scores),
        default=DetectorSettings.scores,
        help="as the node publishes them, or as the network gives them; without a calibration of the weights both are "
        f"raw (default: {DetectorSettings.scores})",
    )
    group.add_argument(
        "--smallest-score",
        type=number,
        default=SMALLEST_SCORE,
        metavar="S",
        help=f"raw score; detections below it are not evaluated (default: {SMALLEST_SCORE:g})",
    )
    group.add_argument(
        "--slicing", action="append", type=int, metavar="N", help="uniform slices of N pixels; repeatable"
    )
    group.add_argument(
        "--slice-overlap", type=number, default=slices.overlap, help=f"share of a slice (default: {slices.overlap:g})"
    )
    group.add_argument(
        "--slice-zoom",
        type=number,
        default=slices.zoom,
        help=f"magnification (default: {slices.zoom:g}, as in the LSM)",
    )
    group.add_argument(
        "--slice-merge",
        choices=get_args(Merge),
        default=slices.merge,
        help=f"box of an object in several slices: hull or best one (default: {slices.merge})",
    )
    group.add_argument(
        "--max-side",
        type=int,
        default=YolcParameters.max_side,
        metavar="N",
        help=f"of the whole image, pixels; 0: not reduced (default: {YolcParameters.max_side}, as in the node)",
    )
    add_device_options(group)


def _add_bag_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--truth-bag", type=Path, metavar="BAG", help="bag of the truth (default: the same bag)")
    group.add_argument("--topic", help=f"results in the bag (default: {DETECTIONS}; with --tracking {TRACKS})")
    group.add_argument(
        "--truth-topic", metavar="TOPIC", help=f"truth in the bag (default: {TRUTH}; with --tracking {TRUE_TRACKS})"
    )
    group.add_argument(
        "--tolerance", type=number, default=0.0, metavar="S", help="largest stamp difference, seconds (default: 0)"
    )
    group.add_argument(
        "--unanswered",
        choices=("skip", "miss"),
        default="skip",
        help="images with truth but without detections of the node: left out, or all missed (default: skip)",
    )


def _add_scoring_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--classes",
        metavar="a,b",
        help="categories to evaluate, CATEGORY=CLASS or CATEGORY=CLASS+CLASS where the network has other names "
        "(default: all categories with the name of a class)",
    )
    group.add_argument(
        "--protocol", action="append", choices=PROTOCOLS, help="default: those of the dataset; repeatable"
    )
    default = NetworkOptions.score_threshold
    threshold = f"for precision, recall and F1 (default: {default:g}, as in the node)"
    group.add_argument("--score-threshold", type=number, default=default, metavar="S", help=threshold)


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Run the command. Raises InputError for files and names that cannot be used."""
    parser = build_parser(prog)
    given = parser.parse_args(arguments)
    check_writable(given.json)
    if given.tracking:
        return _evaluate_tracks(parser, given)
    check_options(parser, given)
    if given.dataset == "bag":
        results = [score_bag(given.truth, given.truth_bag, *topics_of(given), each) for each in options_of_bags(given)]
    else:
        results = evaluate_network(dataset_of(given, given.truth), network_of(given))
    if not any(each.images for each in results):
        raise InputError(f"{given.truth}: no image has both truth and detections; {results[0].notes[0]}")
    print("\n".join(detection_lines(results, given.dataset)))
    if given.dataset == "bag" and (places := score_places_of_bag(given.truth)) is not None:
        print(f"objects on the ground: {describe_places(places)}")
    if given.json:
        write_results(given.json, given.truth, [detection_run_to_mapping(each) for each in results])
    return 0


def _evaluate_tracks(parser: argparse.ArgumentParser, given: argparse.Namespace) -> int:
    """Score the tracks in a bag."""
    if given.dataset not in (parser.get_default("dataset"), "bag"):
        raise InputError(f"--tracking is for bags, not for --dataset {given.dataset}")
    if given.protocol:
        raise InputError("--protocol is for detections: --tracking has scores of its own")
    given.dataset = "bag"
    check_options(parser, given)
    result = score_bag_tracks(
        given.truth,
        given.truth_bag,
        given.topic or TRACKS,
        given.truth_topic or TRUE_TRACKS,
        options=_array_options(given),
    )
    if not result.images:
        raise InputError(f"{given.truth}: no image has both truth and tracks; {result.notes[0]}")
    print("\n".join(tracking_lines(result)))
    if given.json:
        write_results(given.json, given.truth, [tracking_result_to_mapping(result)])
    return 0


def check_options(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Raise InputError for options that do not go together. parser: that gave them, with its defaults."""
    for name, datasets in _ONLY_FOR.items():
        if given.dataset not in datasets and getattr(given, name) != parser.get_default(name):
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} is for --dataset {' and '.join(datasets)}, not for {given.dataset}")
    if given.max_side and given.max_side < 32:
        raise InputError("--max-side must be 0 or at least 32")
    if given.fov is not None and not 0 < given.fov < 180:
        raise InputError("--fov must lie between 0 and 180 degrees (both exclusive)")
    if not 0 < given.smallest_score <= 1:
        raise InputError("--smallest-score must lie between 0 (exclusive) and 1")
    if not given.smallest_score <= given.score_threshold <= 1:
        raise InputError(f"--score-threshold must lie between {given.smallest_score:g} and 1")


def topics_of(given: argparse.Namespace) -> tuple[str, str]:
    """Return the topics of the detections and of the truth in a bag."""
    return given.topic or DETECTIONS, given.truth_topic or TRUTH


def options_of_bags(given: argparse.Namespace) -> tuple[ArrayOptions, ...]:
    """Return how the detections in a bag are scored: once for each protocol."""
    common = _array_options(given)
    return tuple(replace(common, protocol=protocol) for protocol in dict.fromkeys(given.protocol or [common.protocol]))


def _array_options(given: argparse.Namespace) -> ArrayOptions:
    return ArrayOptions(
        classes=given.classes,
        score_threshold=given.score_threshold,
        tolerance_s=given.tolerance,
        unanswered=given.unanswered,
    )


def dataset_of(given: argparse.Namespace, truth: Path) -> Dataset:
    """Return the dataset of a file or folder. Raises InputError."""
    if given.dataset == "visdrone":
        return visdrone_dataset(truth, given.files)
    if given.dataset == "uavdt":
        return uavdt_dataset(truth, given.split or "test", given.files)
    return coco_dataset(truth, given.images, given.files, given.fov)


def network_of(given: argparse.Namespace) -> NetworkOptions:
    """Return the network and how it is evaluated."""
    return NetworkOptions(
        weights=given.weights,
        model=given.model,
        modes=_modes(given),
        classes=given.classes,
        protocols=tuple(given.protocol or ()),
        score_threshold=given.score_threshold,
        scores=given.scores,
        smallest_score=given.smallest_score,
        nms_iou=given.nms,
        merge=given.lsm_merge,
        predictions=given.predictions,
        max_side=given.max_side,
        device=given.device,
        runtime=runtime_choice(given),
    )


def _nms_iou(text: str) -> float | None:
    """Parse the value of --nms."""
    if text == "off":
        return None
    return _number(text, 0, 1, "off or an IoU")


def _number(text: str, low: float, high: float, what: str) -> float:
    """Parse a number from low to high; what: is expected, in words."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what} from {low:g} to {high:g}")
    return value


def _scale(text: str) -> ScaleMode | float:
    """Parse a value of --scale."""
    for name in get_args(ScaleMode):
        if text == name:
            return name
    return _number(text, 0.01, 16, f"one of {', '.join(get_args(ScaleMode))} or a scale")


def _modes(given: argparse.Namespace) -> tuple[InferenceMode, ...]:
    """Return the inference modes: each --lsm with each --scale, then those of --slicing; with neither the LSM."""
    lsm = given.lsm or ([] if given.slicing else ["on"])
    scales = given.scale or [YolcParameters.scale]
    if given.lsm_regions and min(given.lsm_regions) < 1:
        raise InputError("--lsm-regions must be at least 1")
    modes = [
        InferenceMode(name, scale=scale, regions=regions)
        for scale in scales
        for name in lsm
        for regions in ((given.lsm_regions or [None]) if name != "off" else [None])
    ]
    for size in given.slicing or []:
        try:
            config = SlicingConfig(size, given.slice_overlap, given.slice_zoom, merge=given.slice_merge)
        except ValueError as error:
            raise InputError(f"--slicing {size}: {error}") from error
        modes.append(InferenceMode("off", config))
    return tuple(dict.fromkeys(modes))
