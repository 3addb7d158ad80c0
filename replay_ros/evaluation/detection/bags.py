"""How good the detections in a replayed bag are: DetectionArray answers against DetectionArray truth, by their stamps.

`flight` and `make_bag` write such truth as `ground_truth/detections`. There a score of 0 marks an object that is not
scored, and a class whose name begins with "ignore" an ignored region. Messages may come from rosbags or from rclpy.
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

ANSWERS, TRUTH = "yolc/detections", "ground_truth/detections"
TYPE = "yolc_ros/msg/DetectionArray"


@dataclass(frozen=True)
class ArrayOptions:
    """How arrays are compared.

    protocol: name of the protocol. classes: as --classes of evaluate_detection; None: all classes of the truth.
    score_threshold: of the operating point. tolerance_s: largest difference of stamps. unanswered: images with truth
    and without an answer are left out ("skip", how good the answers are), or all their objects count as missed
    ("miss", how good the node is that drops images).
    """

    protocol: str = "coco-500"
    classes: str | None = None
    score_threshold: float = 0.3
    tolerance_s: float = 0.0
    unanswered: Literal["skip", "miss"] = "skip"

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise InputError(f"unknown protocol {self.protocol!r}; there are {', '.join(PROTOCOLS)}")
        if self.tolerance_s < 0:
            raise InputError(f"the tolerance of stamps must not be negative, but is {self.tolerance_s:g} s")


def score_bag(
    answers: Path,
    truth: Path | None = None,
    answers_topic: str = ANSWERS,
    truth_topic: str = TRUTH,
    options: ArrayOptions = ArrayOptions(),
    weights_sha256: str = "",
) -> DetectionResult:
    """Compare the detections of a replayed bag with the truth in it, or in another bag. Raises InputError."""
    with open_bag(answers) as bag:
        answered = _arrays(bag, answers_topic)
        true = _arrays(bag, truth_topic) if truth is None else None
    if true is None:
        with open_bag(truth or answers) as bag:
            true = _arrays(bag, truth_topic)
    return score_arrays(answered, true, options, weights_sha256, f"{truth or answers}, {truth_topic}")


def score_arrays(
    answers: Iterable[Any],
    truths: Iterable[Any],
    options: ArrayOptions = ArrayOptions(),
    weights_sha256: str = "",
    truth_name: str = TRUTH,
) -> DetectionResult:
    """Compare DetectionArray answers with DetectionArray truth, associated by stamp. Raises InputError.

    Answers below a node's score_threshold were never published, so AP is that of a curve cut off there: compare it
    with that of bags answered with the same threshold. weights_sha256, truth_name: for the result.
    """
    by_stamp = {stamp_ns(message.header): message for message in reversed(list(answers))}
    true = sorted(truths, key=lambda message: stamp_ns(message.header))
    partners = _associate([stamp_ns(each.header) for each in true], sorted(by_stamp), options.tolerance_s)
    if not partners and by_stamp and true:
        raise InputError(
            f"no stamp of the {len(by_stamp)} answers is one of the {len(true)} in the truth within "
            f"{options.tolerance_s:g} s; are they of the same recording?"
        )
    evaluated = [index for index in range(len(true)) if index in partners or options.unanswered == "miss"]
    found = [by_stamp[partners[index]] if index in partners else None for index in evaluated]
    choice = _choose(true, list(by_stamp.values()), options)
    names = [str(stamp_ns(true[index].header)) for index in evaluated]
    image_truths = [_truth(true[index], choice) for index in evaluated]
    answered = [each for each in found if each is not None]
    return DetectionResult(
        protocol=options.protocol,
        look="bag",
        scores=score_detections(
            image_truths,
            [_detections(each, choice) for each in found],
            choice.classes,
            PROTOCOLS[options.protocol],
            options.score_threshold,
            names,
        ),
        images=len(evaluated),
        crops_per_image=float(np.mean([len(each.regions) for each in answered])) if answered else None,
        seconds_per_image=float(np.mean([each.inference_seconds for each in answered])) if answered else None,
        classes={category: choice.meaning(category) for category in choice.of_category},
        model=answered[0].model if answered else "",
        weights_sha256=weights_sha256,
        settings={
            "smallest_score": min((float(box.score) for each in answered for box in each.detections), default=0.0),
            "tolerance_s": options.tolerance_s,
            "unanswered": options.unanswered,
        },
        truth=truth_name,
        truth_sha256=truth_sha256(names, image_truths, choice.classes),
        notes=_notes(len(true), len(by_stamp), len(partners), answered, options),
    )


def _arrays(bag: Bag, topic: str) -> list[Any]:
    found = bag.topic(topic)
    if found.type != TYPE:
        raise InputError(f"{found.name} in {bag.path} is a {found.type}, no {TYPE}")
    return [item.message for item in bag.messages([found.name])]


def _associate(true: Sequence[int], answered: Sequence[int], tolerance_s: float) -> dict[int, int]:
    """Index into `true` -> stamp of its answer. Both sorted, nanoseconds; the nearest first, each answer once."""
    stamps = np.array(answered, np.int64)
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


def _choose(truths: Sequence[Any], answers: Sequence[Any], options: ArrayOptions) -> ClassChoice:
    categories, known = _class_names(truths), _class_names([*truths, *answers])
    if not categories and options.classes is None:
        return ClassChoice((), {}, {})
    return choose_classes(categories, known, options.classes)


def _class_names(messages: Sequence[Any]) -> tuple[str, ...]:
    """Names in messages, by their number."""
    boxes = (box for message in messages for box in message.detections if not is_ignored_region(box.class_name))
    numbers = {box.class_name: int(box.class_id) for box in boxes}
    return tuple(sorted(numbers, key=lambda name: (numbers[name], name)))


def _truth(message: Any, choice: ClassChoice) -> ImageTruth:
    boxes = [box for box in message.detections if box.class_name in choice.of_category]
    labels = _labels(boxes, choice.of_category)
    regions = [box for box in message.detections if is_ignored_region(box.class_name)]
    unscored = np.array([box.score == 0 for box in boxes], bool)
    return ImageTruth(_corners(boxes), labels, np.zeros(len(boxes), bool), unscored, _corners(regions))


def _detections(message: Any | None, choice: ClassChoice) -> ImageDetections:
    boxes = [] if message is None else [box for box in message.detections if box.class_name in choice.of_class]
    scores = np.array([box.score for box in boxes], np.float64)
    return ImageDetections(_corners(boxes), scores, _labels(boxes, choice.of_class))


def _labels(boxes: Sequence[Any], index: Mapping[str, int]) -> np.ndarray:
    return np.array([index[box.class_name] for box in boxes], np.int64)


def _corners(boxes: Sequence[Any]) -> np.ndarray:
    """(N, 4) float64 xyxy, pixels."""
    values = np.array([(box.center_x, box.center_y, box.size_x, box.size_y) for box in boxes], np.float64)
    centers, halves = values.reshape(-1, 4)[:, :2], values.reshape(-1, 4)[:, 2:] / 2
    return np.hstack([centers - halves, centers + halves])


def _notes(
    true: int, answered: int, associated: int, messages: Sequence[Any], options: ArrayOptions
) -> tuple[str, ...]:
    notes = [f"{associated} of {true} images with truth are answered (stamps within {options.tolerance_s:g} s)"]
    if associated < true:
        verb = "left out" if options.unanswered == "skip" else "counted as missed with all their objects"
        notes.append(f"the other {true - associated} are {verb}")
    if associated < answered:
        notes.append(f"{answered - associated} answers have no truth and are left out")
    if any(not each.trained for each in messages):
        notes.append("the network has random weights: these figures mean nothing")
    return tuple(notes)
