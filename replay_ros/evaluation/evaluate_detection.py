"""The command `evaluate_detection`: average precision of a YOLC network on labelled images, by named protocols."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from perception_common.cli import run
from perception_common.device import choose_device
from perception_common.errors import InputError
from perception_common.resources import list_models
from replay_ros.benchmark import table
from replay_ros.evaluation.detection_metrics import PROTOCOLS, DetectionScores, ImageDetections, score_detections
from replay_ros.evaluation.detection_truth import EvaluatedImage, category_names, choose_classes, read_truth
from replay_ros.evaluation.evaluation_commands import find_model_weights, shown, write_results
from yolc_ros.clusters import LSM_PRESETS
from yolc_ros.datasets.samples import read_image
from yolc_ros.detector import Detections, Detector, DetectorSettings

SMALLEST_SCORE = 0.01  # the curve of precision over recall needs the doubtful detections too
MOST_DETECTIONS = max(max(each.max_detections, each.max_detections_else) for each in PROTOCOLS.values())
LSM = {"on": LSM_PRESETS["ours"], "off": None}
DEFAULT_PROTOCOL = "coco-500"

_DESCRIPTION = f"""\
Detect objects in the images of a COCO JSON file and print AP (mean over IoU 0.5 to 0.95), AP50 and AP75. Repeated
options are evaluated beside each other.

protocols:
{"".join(f"  {name:18}{each.about}" + chr(10) for name, each in PROTOCOLS.items())}"""

_EXAMPLE = """\
example:
  evaluate_detection drone/annotations.json --images drone/images
  evaluate_detection aerial_cars/coco.json --files 'MunichStreet*' --classes car --lsm on --lsm off --json result.json
  evaluate_detection val.json --images val/images --weights yolc.pth --model yolc_w48 --protocol official-visdrone
"""


@dataclass(frozen=True, eq=False)
class Detected:
    """What the network found in each image. Means: crops, and seconds without the reading of the image."""

    found: tuple[ImageDetections, ...]
    crops_per_image: float
    seconds_per_image: float


@dataclass(frozen=True)
class Run:
    """One combination and what came out."""

    protocol: str
    lsm: str
    scores: DetectionScores
    detected: Detected


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Raises InputError for files and names that cannot be used."""
    options = _parse(argv)
    variants = [f"yolc_{name}" for name in list_models("yolc_")]
    model, weights = find_model_weights(options.weights, options.model, "yolc_lite", variants)
    categories = category_names(options.annotations)
    settings = DetectorSettings(options.max_side, score_threshold=SMALLEST_SCORE, max_detections=MOST_DETECTIONS)
    detector = Detector.load(model, weights, choose_device(options.device), settings)
    choice = choose_classes(categories, detector.class_names, options.classes)
    images = read_truth(options.annotations, options.images or options.annotations.parent, choice, options.files)
    truths = [image.truth for image in images]
    runs = []
    for lsm in options.lsm or ["on"]:
        detected = detect_all(detector, images, choice.classes, lsm)
        for protocol in options.protocol or [DEFAULT_PROTOCOL]:
            scores = score_detections(truths, detected.found, choice.classes, PROTOCOLS[protocol])
            runs.append(Run(protocol, lsm, scores, detected))
    print("\n".join(render(runs, len(images), choice.of_category, choice.classes)))
    if options.json:
        conditions = {
            "images": len(images),
            "model": model,
            "weights_sha256": detector.weights.sha256 if detector.weights else "",
            "max_side": options.max_side,
            "smallest_score": SMALLEST_SCORE,
            "classes": {category: choice.classes[label] for category, label in choice.of_category.items()},
        }
        write_results(options.json, options.annotations, [as_mapping(each) | conditions for each in runs])
    return 0


def detect_all(detector: Detector, images: Sequence[EvaluatedImage], classes: Sequence[str], lsm: str) -> Detected:
    """Look at each image; detections of other than these classes are left out. Raises InputError for a broken image."""
    detector = replace(detector, settings=replace(detector.settings, lsm=LSM[lsm]))
    found, crops, seconds = [], [], []
    for image in tqdm(images, unit="image", desc=f"LSM {lsm}", disable=None):
        pixels = read_image(image.path)
        start = time.perf_counter()
        detections = detector.detect(pixels)
        seconds.append(time.perf_counter() - start)
        crops.append(len(detections.regions))
        found.append(_of_classes(detections, classes))
    return Detected(tuple(found), float(np.mean(crops)), float(np.mean(seconds)))


def _of_classes(found: Detections, classes: Sequence[str]) -> ImageDetections:
    """Detections of these classes, with labels that are indices into them."""
    index = np.array([classes.index(name) if name in classes else -1 for name in found.class_names], np.int64)
    labels = index[found.labels]
    return ImageDetections(found.boxes.astype(np.float64), found.scores, labels).select(labels >= 0)


def render(runs: Sequence[Run], images: int, of_category: Mapping[str, int], classes: Sequence[str]) -> Iterator[str]:
    """Lay runs out as tables that are readable as they are."""
    rows: list[tuple[str, ...]] = [
        ("protocol", "LSM", "AP", "AP50", "AP75", "small", "medium", "large", "crops/image", "s/image")
    ]
    for each in runs:
        overall = each.scores.overall
        values = (overall.ap, overall.ap50, overall.ap75, *each.scores.by_size.values())
        figures = (f"{each.detected.crops_per_image:.2f}", f"{each.detected.seconds_per_image:.3f}")
        rows.append((each.protocol, each.lsm, *(shown(value, 3) for value in values), *figures))
    yield from table(rows)
    yield ""
    if len(classes) > 1:
        yield from table(
            [
                ("AP50", *(f"{each.protocol}, LSM {each.lsm}" for each in runs)),
                *((name, *(_class_cell(each, name) for each in runs)) for name in classes),
            ]
        )
        yield ""
    mapped = ", ".join(
        category if category == classes[label] else f"{category} as {classes[label]}"
        for category, label in of_category.items()
    )
    yield f"- {images} images; {mapped}; detections from a score of {SMALLEST_SCORE:g}"
    for protocol in dict.fromkeys(each.protocol for each in runs):
        yield f"- {protocol}: {PROTOCOLS[protocol].about}"


def _class_cell(each: Run, name: str) -> str:
    return shown(each.scores.by_class[name].ap50, 3) if name in each.scores.by_class else "-"


def as_mapping(each: Run) -> dict[str, Any]:
    """Return what the JSON holds of a run."""
    return asdict(each.scores.overall) | {
        "crops_per_image": each.detected.crops_per_image,
        "seconds_per_image": each.detected.seconds_per_image,
        "by_size": each.scores.by_size,
        "by_class": {name: asdict(value) for name, value in each.scores.by_class.items()},
        "protocol": each.protocol,
        "lsm": each.lsm,
    }


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="evaluate_detection",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("annotations", type=Path, metavar="COCO.json", help="images, annotations and categories")
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of the images (that of COCO.json)")
    parser.add_argument("--files", default="*", metavar="PATTERN", help="only images with such file names (*)")
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
        "--classes",
        metavar="a,b",
        help="categories to evaluate, CATEGORY=CLASS where the network's name differs (all that the network knows)",
    )
    parser.add_argument("--protocol", action="append", choices=PROTOCOLS, help=f"({DEFAULT_PROTOCOL}); may be repeated")
    parser.add_argument(
        "--max-side", type=int, default=0, metavar="N", help="of the first look, pixels, 0: the image's size (0)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures there too")
    options = parser.parse_args(argv)
    if options.max_side and options.max_side < 32:
        raise InputError("--max-side must be 0 or at least 32")
    return options


if __name__ == "__main__":
    run(main)
