"""Results of the detection evaluation, in plain values: `dataclasses.asdict` of any of these is JSON.

A figure without a value is None, never NaN. AP, precision and recall lie between 0 and 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from perception_common.config import from_mapping
from perception_common.errors import InputError
from perception_common.text.json_files import parse_json

SCHEMA = "yolc_ros/detection_result/1"


@dataclass(frozen=True)
class Curve:
    """Precision over recall of one class at IoU 0.5, highest score first, thinned to some hundred points.

    Each point is a hit, with the precision and recall of the detections down to its score.
    """

    recall: tuple[float, ...]
    precision: tuple[float, ...]
    score: tuple[float, ...]


@dataclass(frozen=True)
class OperatingPoint:
    """Quality of the detections above a score threshold at IoU 0.5, as a subscriber of the node gets them.

    score: the threshold. hits: objects found; false: detections without an object; missed: objects not found. precision
    is None without detections, recall without objects, f1 without either.
    """

    score: float
    hits: int
    false: int
    missed: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class ReliabilityBin:
    """The boxes with a score from low to high. score: their mean. precision: share of right ones at IoU 0.5."""

    low: float
    high: float
    count: int
    score: float
    precision: float


@dataclass(frozen=True)
class Reliability:
    """Whether scores are probabilities. error: expected calibration error of the boxes from `from_score` on, 0 to 1."""

    error: float | None
    from_score: float
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class. objects: number that counts. best: the operating point with the highest F1."""

    ap: float | None
    ap50: float | None
    ap75: float | None
    objects: int
    operating: OperatingPoint
    best: OperatingPoint
    curve: Curve


@dataclass(frozen=True)
class ImageCounts:
    """Counts of one image at the operating point. name: file or stamp (nanoseconds)."""

    name: str
    hits: int
    false: int
    missed: int


@dataclass(frozen=True)
class DetectionScores:
    """Scores by one protocol.

    ap: the protocol's AP (over IoU 0.5 to 0.95, UAVDT: at 0.7), ap50 and ap75: at one IoU. by_size: AP of "small",
    "medium", "large" objects. recall: mean of the largest recalls by the number of detections ("1", "10", ...).
    operating, best: all classes together, at the given score threshold and at that with the highest F1. by_class: the
    classes with objects. by_score: operating points of all classes together over the score threshold. reliability: of
    the scores from the given threshold on. Both are absent from results of earlier versions.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    by_size: dict[str, float | None]
    recall: dict[str, float | None]
    operating: OperatingPoint
    best: OperatingPoint
    by_class: dict[str, ClassScores]
    by_image: tuple[ImageCounts, ...]
    by_score: tuple[OperatingPoint, ...] = ()
    reliability: Reliability | None = None


@dataclass(frozen=True)
class PairedDifference:
    """The AP50 of a detector minus that of the `reference`.

    low, high: 95 % interval. not_worse: share of the draws in which it is at least that of the reference.
    """

    reference: str
    ap50: float
    low: float
    high: float
    not_worse: float


@dataclass(frozen=True)
class DetectionResult:
    """Scores, and everything that they depend on.

    protocol: its name. look: name of the inference mode, as "LSM on", "LSM off", "slicing 640", "bag". images: number
    evaluated. crops_per_image, seconds_per_image: means of the crops and of the inference time without reading the
    file; None where unknown. classes: category of the truth -> classes of the network. model, weights_sha256: "" where
    unknown. settings: of the detector and of the inference mode. truth: file, folder or topic; truth_sha256: of its
    annotations. notes: caveats of the figures. versus: the difference to the first look of a comparison; None for it.
    """

    protocol: str
    look: str
    scores: DetectionScores
    images: int
    crops_per_image: float | None
    seconds_per_image: float | None
    classes: dict[str, str]
    model: str
    weights_sha256: str
    settings: dict[str, Any]
    truth: str
    truth_sha256: str
    notes: tuple[str, ...] = ()
    versus: PairedDifference | None = None

    def to_json(self) -> str:
        """Return the result as JSON text; `detection_result_from_json` reads it."""
        return json.dumps(detection_result_to_mapping(self), indent=1, allow_nan=False)


def detection_result_to_mapping(result: DetectionResult) -> dict[str, Any]:
    """Return the result as plain values: "schema", the scores, and what they depend on, on one level."""
    content = asdict(result)
    return {"schema": SCHEMA, **content.pop("scores"), **content}


def detection_result_from_mapping(content: Mapping[str, Any]) -> DetectionResult:
    """Read the result of `detection_result_to_mapping`; additional keys are ignored. Raises InputError."""
    if not isinstance(content, Mapping) or content.get("schema") != SCHEMA:
        raise InputError(f"this is no result of evaluate_detection of this version ({SCHEMA}); evaluate again")
    names = {each.name for each in fields(DetectionResult)}
    scores = {each.name: content[each.name] for each in fields(DetectionScores) if each.name in content}
    try:
        return from_mapping(
            DetectionResult,
            {name: value for name, value in content.items() if name in names} | {"scores": scores},
            "detection",
        )
    except InputError as error:
        raise InputError(f"this result of evaluate_detection is broken ({error}); evaluate again") from error


def detection_result_from_json(text: str) -> DetectionResult:
    """Read the result of `DetectionResult.to_json`. Raises InputError."""
    try:
        content = parse_json(text)
    except InputError as error:
        raise InputError(f"this result of evaluate_detection {error}") from error
    return detection_result_from_mapping(content if isinstance(content, dict) else {})
