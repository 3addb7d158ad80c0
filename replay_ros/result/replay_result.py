"""The result of a replay, offline or live, as one JSON file beside the output bag."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from perception_common.config import from_mapping
from perception_common.errors import InputError
from perception_common.text.json_files import read_json, write_json
from replay_ros.evaluation.detection.results import (
    DetectionResult,
    detection_result_from_mapping,
    detection_result_to_mapping,
)
from replay_ros.evaluation.places import PlaceFigures
from replay_ros.result.answers import NodeAnswers
from replay_ros.result.image_stamps import ImageStamps
from replay_ros.result.provenance import Provenance
from replay_ros.result.timing import Timing, diagnosed_latencies, percentiles_ms

SCHEMA = "yolc_ros/replay_result/2"


@dataclass(frozen=True)
class ReplayResult:
    """Result of one replay.

    out: the output bag. frames: number of replayed images. seconds: duration of the replay. topics: number of messages
    written, by topic. answers: what became of each image at each node. detection, motion, places: evaluation against
    the ground truth of the bag, motion as `dataclasses.asdict(MotionResult)`; None: not evaluated. nodes: last
    diagnostics of each live node. stamps: what is odd about the stamps of the images. pairs_without_camera: relative
    poses without a usable calibration; without_camera: why, with the number of images offline, and 1 live. left_out:
    messages of other inputs that could not be decoded, by topic and cause. losses: what of the bag could not be read.
    stopped: why the replay ended before the end of the bag; "" at the end. not_done: what else was asked for and
    failed, as evaluations. warnings: what makes the results doubtful, as an odd calibration.
    """

    kind: Literal["offline", "live"]
    out: str
    image_topic: str
    frames: int
    seconds: float
    topics: dict[str, int]
    answers: tuple[NodeAnswers, ...]
    timing: Timing
    provenance: Provenance
    detection: DetectionResult | None = None
    motion: dict[str, Any] | None = None
    nodes: dict[str, dict[str, str]] = field(default_factory=dict)
    stamps: ImageStamps | None = None
    pairs_without_camera: int = 0
    without_camera: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    losses: tuple[str, ...] = ()
    stopped: str = ""
    not_done: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    places: PlaceFigures | None = None


def latencies(timing: Timing) -> dict[str, dict[str, float | None]]:
    """Return p50, p95 and p99 of each stage, milliseconds."""
    return {stage.name: percentiles_ms(stage.seconds) for stage in timing.stages}


def node_latencies(result: ReplayResult) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return p50, p95 and p99 in milliseconds by node and stage, as each live node measured them."""
    return {name: stages for name, values in result.nodes.items() if (stages := diagnosed_latencies(values))}


def write_result(path: Path, result: ReplayResult) -> None:
    """Write the JSON file, with counts and percentiles for human readers. Raises InputError."""
    detection = None if result.detection is None else detection_result_to_mapping(result.detection)
    content = asdict(replace(result, detection=None)) | {
        "counts": {node.node: _counts(node) for node in result.answers},
        "detection": detection,
        "latency": latencies(result.timing),
        "node_latency": node_latencies(result),
    }
    write_json(path, {"schema": SCHEMA, **content})


def _counts(node: NodeAnswers) -> dict[str, int]:
    return {
        "images": node.images,
        "answered": node.answered,
        "refused": node.refused_images,
        "missed": len(node.missed),
    }


def read_result(path: Path) -> ReplayResult:
    """Read the JSON file of `write_result`. Raises InputError for other files."""
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise InputError(f"{path}: is not a result of replay of this version ({SCHEMA}); replay the bag again")
    names = {each.name for each in fields(ReplayResult)}
    plain = {name: value for name, value in content.items() if name in names and name != "detection"}
    detection = content.get("detection")
    try:
        return replace(
            from_mapping(ReplayResult, plain, "result"),
            detection=None if detection is None else detection_result_from_mapping(detection),
        )
    except InputError as error:
        raise InputError(f"{path}: is a broken result of replay ({error}); replay the bag again") from error
