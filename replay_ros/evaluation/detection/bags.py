"""Scores the detections in a replayed bag against ground truth, both DetectionArray messages, associated by stamp.

`flight` and `make_bag` write such truth as `ground_truth/detections`. There a score of 0 marks an object that is not
scored, and a class whose name begins with "ignore" marks an ignored region. Messages may come from rosbags or rclpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from perception_common.errors import InputError
from perception_common.stamps import stamp_ns
from replay_ros.bags.reader import Bag, open_bag
from replay_ros.evaluation.detection.metrics import score_detections
from replay_ros.evaluation.detection.protocols import PROTOCOLS, ImageDetections, ImageTruth
from replay_ros.evaluation.detection.results import DetectionResult
from replay_ros.evaluation.detection.truth import ClassChoice, choose_classes, is_ignored_region, truth_sha256

DETECTIONS, TRUTH = "yolc/detections", "ground_truth/detections"  # default topics
TYPE = "yolc_ros/msg/DetectionArray"


@dataclass(frozen=True)
class ArrayOptions:
    """How detections are compared with the truth.

    protocol: its name. classes: see `choose_classes`; None: all classes of the truth. score_threshold: of the operating
    point. tolerance_s: largest stamp difference. unanswered: images with truth and without a message of the node are
    left out ("skip", to score the detections), or all their objects count as missed ("miss", to score a node that
    drops images).
    """

    protocol: str = "coco-500"
    classes: str | None = None
    score_threshold: float = 0.3
    tolerance_s: float = 0.0
    unanswered: Literal["skip", "miss"] = "skip"

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise InputError(f"unknown protocol {self.protocol!r}; choose one of {', '.join(PROTOCOLS)}")
        if self.tolerance_s < 0:
            raise InputError(f"the stamp tolerance must not be negative, but is {self.tolerance_s:g} s")


def score_bag(
    bag: Path,
    truth_bag: Path | None = None,
    topic: str = DETECTIONS,
    truth_topic: str = TRUTH,
    options: ArrayOptions = ArrayOptions(),
    weights_sha256: str = "",
) -> DetectionResult:
    """Compare the detections of a replayed bag with the truth in it, or in `truth_bag`. Raises InputError."""
    detections, truths = read_with_truth(bag, truth_bag, topic, truth_topic, TYPE)
    return score_arrays(detections, truths, options, weights_sha256, f"{truth_bag or bag}, {truth_topic}")


def score_arrays(
    detections: Iterable[Any],
    truths: Iterable[Any],
    options: ArrayOptions = ArrayOptions(),
    weights_sha256: str = "",
    truth_name: str = TRUTH,
) -> DetectionResult:
    """Compare DetectionArray messages with those of the truth, associated by stamp. Raises InputError.

    A node does not publish detections below its score_threshold, so the precision-recall curve ends there. Compare AP
    only between bags with the same threshold. weights_sha256, truth_name: copied into the result.
    """
    published = list(detections)
    true = sorted(truths, key=lambda message: stamp_ns(message.header))
    images, unclear = pair_by_stamp(true, published, options)
    choice = choose_classes_of(true, published, options)
    names = [str(stamp_ns(truth.header)) for truth, _ in images]
    image_truths = [_image_truth(truth, choice) for truth, _ in images]
    found = [message for _, message in images if message is not None]
    return DetectionResult(
        protocol=options.protocol,
        look="bag",
        scores=score_detections(
            image_truths,
            [_image_detections(message, choice) for _, message in images],
            choice.classes,
            PROTOCOLS[options.protocol],
            options.score_threshold,
            names,
        ),
        images=len(images),
        crops_per_image=float(np.mean([len(each.regions) for each in found])) if found else None,
        seconds_per_image=float(np.mean([each.inference_seconds for each in found])) if found else None,
        classes={category: choice.meaning(category) for category in choice.of_category},
        model=found[0].model if found else "",
        weights_sha256=weights_sha256,
        settings={
            "smallest_score": min((float(box.score) for each in found for box in each.detections), default=0.0),
            "tolerance_s": options.tolerance_s,
            "unanswered": options.unanswered,
        },
        truth=truth_name,
        truth_sha256=truth_sha256(names, image_truths, choice.classes),
        notes=_notes(len(true), len(published), found, unclear, options),
    )


def pair_by_stamp(
    truths: Sequence[Any], published: Sequence[Any], options: ArrayOptions
) -> tuple[list[tuple[Any, Any | None]], int]:
    """Return the evaluated messages of the truth, each with the answer for its image, None where there is none.

    truths: by ascending stamp. Where stamps repeat, the messages of a stamp are paired in order if there are as many of
    both, since each image then has its answer. Otherwise they are left out: the second value counts such truths.
    """
    true_of, found_of = _indices_by_stamp(truths), _indices_by_stamp(published)
    repeated = {stamp for of_stamp in (true_of, found_of) for stamp, group in of_stamp.items() if len(group) > 1}
    single = [index for index, truth in enumerate(truths) if stamp_ns(truth.header) not in repeated]
    associated = _associate(
        [stamp_ns(truths[index].header) for index in single], sorted(found_of.keys() - repeated), options.tolerance_s
    )
    partners = {single[k]: published[found_of[stamp][0]] for k, stamp in associated.items()}
    unclear: set[int] = set()
    for stamp in repeated & true_of.keys() & found_of.keys():
        if len(true_of[stamp]) == len(found_of[stamp]):
            pairs_of_stamp = zip(true_of[stamp], found_of[stamp], strict=True)
            partners.update({index: published[other] for index, other in pairs_of_stamp})
        else:
            unclear.update(true_of[stamp])
    if not partners and published and truths:
        shared = f" ({len(unclear)} share theirs with others)" if unclear else ""
        raise InputError(
            f"none of the {len(published)} messages of the node has the stamp of one of the {len(truths)} of the truth "
            f"within {options.tolerance_s:g} s{shared}; check that both are of the same recording"
        )
    pairs = [
        (truth, partners.get(index))
        for index, truth in enumerate(truths)
        if index in partners or (options.unanswered == "miss" and index not in unclear)
    ]
    return pairs, len(unclear)


def _indices_by_stamp(messages: Sequence[Any]) -> dict[int, list[int]]:
    groups: dict[int, list[int]] = {}
    for index, message in enumerate(messages):
        groups.setdefault(stamp_ns(message.header), []).append(index)
    return groups


def read_with_truth(
    bag: Path, truth_bag: Path | None, topic: str, truth_topic: str, kind: str
) -> tuple[list[Any], list[Any]]:
    """Return the messages of a topic of a bag, and those of the truth in it, or in `truth_bag`. Raises InputError."""
    with open_bag(bag) as opened:
        found = read_arrays(opened, topic, kind)
        truths = read_arrays(opened, truth_topic, kind) if truth_bag is None else []
    if truth_bag is not None:
        with open_bag(truth_bag) as opened:
            truths = read_arrays(opened, truth_topic, kind)
    return found, truths


def read_arrays(bag: Bag, topic: str, kind: str) -> list[Any]:
    """Return all messages of a topic. kind: its type. Raises InputError for an empty topic or one of another type."""
    found = bag.filled_topic(topic)
    if found.type != kind:
        raise InputError(f"{found.name} in {bag.path} is a {found.type}, no {kind}")
    return [item.message for item in bag.messages([found.name])]


def _associate(true: Sequence[int], found: Sequence[int], tolerance_s: float) -> dict[int, int]:
    """Return index into `true` -> associated stamp of `found`, the nearest pairs first, each stamp once.

    true, found: stamps, sorted, nanoseconds.
    """
    stamps = np.array(found, np.int64)
    tolerance = round(tolerance_s * 1e9)
    pairs = []
    for index, stamp in enumerate(true):
        low, high = np.searchsorted(stamps, [stamp - tolerance, stamp + tolerance + 1])
        pairs += [(abs(int(other) - stamp), index, int(other)) for other in stamps[low:high]]
    partners: dict[int, int] = {}
    used: set[int] = set()
    for _, index, other in sorted(pairs):
        if index not in partners and other not in used:
            partners[index] = other
            used.add(other)
    return partners


def choose_classes_of(truths: Sequence[Any], found: Sequence[Any], options: ArrayOptions) -> ClassChoice:
    """Choose the evaluated classes from the names in messages with `detections`."""
    categories, known = _class_names(truths), _class_names([*truths, *found])
    if not categories and options.classes is None:
        return ClassChoice((), {}, {})
    return choose_classes(categories, known, options.classes)


def _class_names(messages: Sequence[Any]) -> tuple[str, ...]:
    """Return the class names in messages, sorted by class id."""
    boxes = (box for message in messages for box in message.detections if not is_ignored_region(box.class_name))
    numbers = {box.class_name: int(box.class_id) for box in boxes}
    return tuple(sorted(numbers, key=lambda name: (numbers[name], name)))


def _image_truth(message: Any, choice: ClassChoice) -> ImageTruth:
    boxes = [box for box in message.detections if box.class_name in choice.of_category]
    labels = _labels(boxes, choice.of_category)
    regions = [box for box in message.detections if is_ignored_region(box.class_name)]
    unscored = np.array([box.score == 0 for box in boxes], bool)
    return ImageTruth(corners_of(boxes), labels, np.zeros(len(boxes), bool), unscored, corners_of(regions))


def _image_detections(message: Any | None, choice: ClassChoice) -> ImageDetections:
    boxes = [] if message is None else [box for box in message.detections if box.class_name in choice.of_class]
    scores = np.array([box.score for box in boxes], np.float64)
    return ImageDetections(corners_of(boxes), scores, _labels(boxes, choice.of_class))


def _labels(boxes: Sequence[Any], index: Mapping[str, int]) -> np.ndarray:
    return np.array([index[box.class_name] for box in boxes], np.int64)


def corners_of(boxes: Sequence[Any]) -> np.ndarray:
    """Return (N, 4) float64 xyxy, pixels."""
    values = np.array([(box.center_x, box.center_y, box.size_x, box.size_y) for box in boxes], np.float64)
    centers, halves = values.reshape(-1, 4)[:, :2], values.reshape(-1, 4)[:, 2:] / 2
    return np.hstack([centers - halves, centers + halves])


def _notes(true: int, published: int, found: Sequence[Any], unclear: int, options: ArrayOptions) -> tuple[str, ...]:
    """true, published: number of messages. found: messages of the node that are associated with the truth.

    unclear: number of truth messages whose answer is not known since stamps repeat.
    """
    associated = len(found)
    notes = [f"{associated} of {true} images with truth are answered (stamps within {options.tolerance_s:g} s)"]
    if unclear:
        notes.append(f"{unclear} images with truth share their stamp, and not all were answered: they are left out")
    if associated + unclear < true:
        verb = "left out" if options.unanswered == "skip" else "counted as missed with all their objects"
        notes.append(f"the other {true - associated - unclear} are {verb}")
    if associated < published:
        notes.append(f"{published - associated} answers have no truth and are left out")
    if any(not each.trained for each in found):
        notes.append("the network has random weights: these figures mean nothing")
    return tuple(notes)
