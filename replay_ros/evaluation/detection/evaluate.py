"""The command `evaluate_detection`: average precision of a YOLC network on labelled images, by named protocols."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from perception_common.backends.devices import choose_device
from perception_common.cli import run
from perception_common.errors import InputError
from perception_common.resources import list_models
from replay_ros.evaluation.detection.bags import ANSWERS, TRUTH, ArrayOptions, score_bag
from replay_ros.evaluation.detection.datasets import Dataset, Labelled, coco_dataset, uavdt_dataset, visdrone_dataset
from replay_ros.evaluation.detection.inference import LSM, InferenceMode, Looked, look_at_all
from replay_ros.evaluation.detection.metrics import score_detections
from replay_ros.evaluation.detection.protocols import PROTOCOLS
from replay_ros.evaluation.detection.results import DetectionResult, as_mapping
from replay_ros.evaluation.detection.slicing import Merge, SlicingConfig
from replay_ros.evaluation.detection.tables import render
from replay_ros.evaluation.detection.truth import ClassChoice, choose_classes, truth_sha256
from replay_ros.evaluation.model_choice import find_model_weights
from replay_ros.evaluation.results_file import write_results
from yolc_ros.detector import Detector, DetectorSettings

SMALLEST_SCORE = 0.01  # the curve of precision over recall needs the doubtful detections too
MOST_DETECTIONS = max(max(each.max_detections, each.max_detections_else) for each in PROTOCOLS.values())
DATASETS = ("coco", "visdrone", "uavdt", "bag")
# Options that mean something for some kinds of truth only; elsewhere they are refused.
_ONLY_FOR = {
    **dict.fromkeys(("images",), ("coco",)),
    **dict.fromkeys(("split",), ("uavdt",)),
    **dict.fromkeys(("files", "weights", "model", "lsm", "slicing", "slice_overlap", "slice_zoom"), DATASETS[:-1]),
    **dict.fromkeys(("slice_merge", "predictions", "max_side", "device"), DATASETS[:-1]),
    **dict.fromkeys(("truth_bag", "topic", "truth_topic", "tolerance", "unanswered"), ("bag",)),
}

_DESCRIPTION = f"""\
Detect objects in labelled images and print AP (mean over IoU 0.5 to 0.95), AP50 and AP75, by size and by class, and
precision, recall and F1 at one score. Repeated options are evaluated beside each other.

protocols:
{"".join(f"  {name:18}{each.about}" + chr(10) for name, each in PROTOCOLS.items())}"""

_EXAMPLE = """\
example:
  evaluate_detection drone/annotations.json --images drone/images
  evaluate_detection aerial_cars/coco.json --files 'MunichStreet*' --classes car --lsm on --lsm off --json result.json
  evaluate_detection aerial_cars/coco.json --classes car --lsm on --slicing 640 --predictions seen.npz
  evaluate_detection --dataset visdrone VisDrone2019-DET-val --weights yolc.pth --model yolc_w48
  evaluate_detection --dataset bag replayed_city --protocol coco
  evaluate_detection --dataset uavdt UAVDT --classes car=car+van,truck,bus --predictions uavdt.npz
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Raises InputError for files and names that cannot be used."""
    options = _parse(argv)
    results = _score_bag(options) if options.dataset == "bag" else _score_network(options)
    print("\n".join(render(results, options.dataset)))
    if options.json:
        write_results(options.json, options.truth, [_content(each) for each in results])
    return 0


def _score_bag(options: argparse.Namespace) -> list[DetectionResult]:
    """Score the answers that a bag holds."""
    return [
        score_bag(
            options.truth,
            options.truth_bag,
            options.topic,
            options.truth_topic,
            ArrayOptions(protocol, options.classes, options.score_threshold, options.tolerance, options.unanswered),
        )
        for protocol in dict.fromkeys(options.protocol or ["coco-500"])
    ]


def _score_network(options: argparse.Namespace) -> list[DetectionResult]:
    """Run a network over labelled images and score what it finds."""
    variants = [f"yolc_{name}" for name in list_models("yolc_")]
    model, weights = find_model_weights(options.weights, options.model, "yolc_lite", variants)
    dataset = _dataset(options)
    settings = DetectorSettings(options.max_side, score_threshold=SMALLEST_SCORE, max_detections=MOST_DETECTIONS)
    detector = Detector.load(model, weights, choose_device(options.device), settings)
    choice = choose_classes(dataset.categories, detector.class_names, options.classes)
    labelled = dataset.read(choice)
    looked = {look: look_at_all(detector, look, labelled.images, options.predictions) for look in _looks(options)}
    return [
        _result(protocol, look, looked[look], detector, labelled, choice, options)
        for protocol in dict.fromkeys(options.protocol or dataset.protocols)
        for look in looked
    ]


def _result(
    protocol: str,
    look: InferenceMode,
    looked: Looked,
    detector: Detector,
    labelled: Labelled,
    choice: ClassChoice,
    options: argparse.Namespace,
) -> DetectionResult:
    conditions = look.conditions(detector)
    names, truths = [image.name for image in labelled.images], [image.truth for image in labelled.images]
    first = "; ".join(f"{each.where}: {each.what}" for each in labelled.problems[:3])
    broken = f"{len(labelled.problems)} annotations left out ({first}{'; ...' * (len(labelled.problems) > 3)})"
    return DetectionResult(
        protocol=protocol,
        look=look.name,
        scores=score_detections(
            truths,
            looked.of_classes(detector.class_names, choice),
            choice.classes,
            PROTOCOLS[protocol],
            options.score_threshold,
            names,
        ),
        images=len(labelled.images),
        crops_per_image=looked.crops_per_image,
        seconds_per_image=looked.seconds_per_image,
        classes={category: choice.meaning(category) for category in choice.of_category},
        model=conditions["model"],
        weights_sha256=conditions["weights_sha256"],
        settings={
            "smallest_score": SMALLEST_SCORE,
            "lsm": look.lsm if look.slicing is None else "off",
            "slicing": conditions["slicing"],
            "max_side": options.max_side,
            "device": conditions["device"],
            "precision": conditions["precision"],
            "detector": conditions["settings"],
        },
        truth=str(options.truth),
        truth_sha256=truth_sha256(names, truths, choice.classes),
        notes=((broken,) if labelled.problems else ()) + looked.notes,
    )


def _content(result: DetectionResult) -> dict[str, Any]:
    """What the JSON holds of a run: the result, with the settings that are most asked for on its top level."""
    settings = result.settings
    top = {name: settings[name] for name in ("lsm", "slicing", "max_side", "smallest_score") if name in settings}
    return as_mapping(result) | top


def _dataset(options: argparse.Namespace) -> Dataset:
    if options.dataset == "visdrone":
        return visdrone_dataset(options.truth, options.files)
    if options.dataset == "uavdt":
        return uavdt_dataset(options.truth, options.split or "test", options.files)
    return coco_dataset(options.truth, options.images, options.files)


def _looks(options: argparse.Namespace) -> list[InferenceMode]:
    lsm = options.lsm or ([] if options.slicing else ["on"])
    slicing = []
    for size in options.slicing or []:
        try:
            slicing.append(SlicingConfig(size, options.slice_overlap, options.slice_zoom, merge=options.slice_merge))
        except ValueError as error:
            raise InputError(f"--slicing {size}: {error}") from error
    return [InferenceMode(each) for each in dict.fromkeys(lsm)] + [
        InferenceMode("off", each) for each in dict.fromkeys(slicing)
    ]


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="evaluate_detection",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = SlicingConfig()
    parser.add_argument("truth", type=Path, metavar="COCO.json|FOLDER|BAG", help="labelled images, see --dataset")
    parser.add_argument(
        "--dataset",
        choices=DATASETS,
        default="coco",
        help="what the truth is: a COCO JSON file, a folder of VisDrone-DET (images/, annotations/), or one of UAVDT "
        "(UAV-benchmark-M/, GT/, M_attr/); or a replayed bag, whose answers are scored without a network (coco)",
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of the images (that of COCO.json)")
    parser.add_argument("--files", default="*", metavar="PATTERN", help="only images with such file names (*)")
    parser.add_argument("--split", choices=("test", "train", "all"), help="sequences of UAVDT (test)")
    parser.add_argument(
        "--weights",
        default="yolc_lite",
        metavar="NAME|FILE",
        help="a network with shipped weights, or a weights file (yolc_lite)",
    )
    parser.add_argument(
        "--model", metavar="NAME", help="network of a weights FILE (what the file says, else yolc_lite)"
    )
    parser.add_argument("--lsm", action="append", choices=LSM, help="second look at crowded regions (on); repeatable")
    parser.add_argument(
        "--slicing", action="append", type=int, metavar="N", help="uniform slices of N pixels (SAHI); repeatable"
    )
    parser.add_argument(
        "--slice-overlap", type=float, default=default.overlap, help=f"of neighbours, share ({default.overlap:g})"
    )
    parser.add_argument(
        "--slice-zoom", type=float, default=default.zoom, help=f"of slices, the LSM's is 1.5 ({default.zoom:g})"
    )
    parser.add_argument(
        "--slice-merge",
        choices=get_args(Merge),
        default=default.merge,
        help=f"one object in two slices: the hull of its boxes, or the best one ({default.merge})",
    )
    parser.add_argument(
        "--classes",
        metavar="a,b",
        help="categories to evaluate, CATEGORY=CLASS or CATEGORY=CLASS+CLASS where the network calls them otherwise "
        "(all that the network knows)",
    )
    parser.add_argument("--protocol", action="append", choices=PROTOCOLS, help="(those of the dataset); repeatable")
    parser.add_argument(
        "--score-threshold",
        type=float,
        default=DetectorSettings().score_threshold,
        metavar="S",
        help=f"for precision, recall and F1; the node's is {DetectorSettings().score_threshold:g}",
    )
    parser.add_argument(
        "--predictions",
        type=Path,
        metavar="FILE.npz",
        help="keep predictions there and take them from there where weights, settings and images are the same",
    )
    parser.add_argument(
        "--max-side", type=int, default=0, metavar="N", help="of the first look, pixels, 0: the image's size (0)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    parser.add_argument("--truth-bag", type=Path, metavar="BAG", help="bag of the truth (the one of the answers)")
    parser.add_argument("--topic", default=ANSWERS, help=f"answers in the bag ({ANSWERS})")
    parser.add_argument("--truth-topic", default=TRUTH, metavar="TOPIC", help=f"truth in the bag ({TRUTH})")
    parser.add_argument(
        "--tolerance", type=float, default=0.0, metavar="S", help="largest difference of stamps in bags, seconds (0)"
    )
    parser.add_argument(
        "--unanswered",
        choices=("skip", "miss"),
        default="skip",
        help="images of the bag with truth but without answer: left out, or all missed (skip)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures there too")
    options = parser.parse_args(argv)
    for name, datasets in _ONLY_FOR.items():
        if options.dataset not in datasets and getattr(options, name) != parser.get_default(name):
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} is for --dataset {' and '.join(datasets)}, not for {options.dataset}")
    if options.max_side and options.max_side < 32:
        raise InputError("--max-side must be 0 or at least 32")
    if not SMALLEST_SCORE <= options.score_threshold <= 1:
        raise InputError(f"--score-threshold must lie between {SMALLEST_SCORE:g} and 1")
    return options


if __name__ == "__main__":
    run(main)
