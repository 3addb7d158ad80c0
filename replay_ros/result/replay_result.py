"""The result of a replay, offline or live, as one JSON file beside the output bag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
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
from replay_ros.result.provenance import Provenance
from replay_ros.result.timing import Timing, diagnosed_latencies, percentiles_ms

SCHEMA = "yolc_ros/replay_result/1"


@dataclass(frozen=True)
class ReplayResult:
    """Result of one replay.

    out: the output bag. frames: number of replayed images. seconds: duration of the replay. topics: number of messages
    written, by topic. refused: reasons why images have no result, with the number of images. detection, motion:
    evaluation against the ground truth of the bag, motion as `dataclasses.asdict(MotionResult)`; None: not evaluated.
    nodes: last diagnostics of each live node. warnings: what makes the results doubtful, as an odd calibration.
    """

    kind: Literal["offline", "live"]
    out: str
    image_topic: str
    frames: int
    seconds: float
    topics: dict[str, int]
    refused: dict[str, int]
    timing: Timing
    provenance: Provenance
    detection: DetectionResult | None = None
    motion: dict[str, Any] | None = None
    nodes: dict[str, dict[str, str]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def latencies(timing: Timing) -> dict[str, dict[str, float | None]]:
    """Return p50, p95 and p99 of each stage, milliseconds."""
    return {stage.name: percentiles_ms(stage.seconds) for stage in timing.stages}


def node_latencies(result: ReplayResult) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return p50, p95 and p99 in milliseconds by node and stage, as each live node measured them."""
    return {name: stages for name, values in result.nodes.items() if (stages := diagnosed_latencies(values))}


def write_result(path: Path, result: ReplayResult) -> None:
    """Write the JSON file, with percentiles of the stages for human readers. Raises InputError."""
    detection = None if result.detection is None else detection_result_to_mapping(result.detection)
    content = asdict(replace(result, detection=None)) | {
        "detection": detection,
        "latency": latencies(result.timing),
        "node_latency": node_latencies(result),
    }
    write_json(path, {"schema": SCHEMA, **content})


def read_result(path: Path) -> ReplayResult:
    """Read the JSON file of `write_result`. Raises InputError for other files."""
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise InputError(f"{path}: is not a result of replay of this version ({SCHEMA}); replay the bag again")
    try:
        return _result_of_mapping(content, path)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: is a broken result of replay ({error!r}); replay the bag again") from error


def _result_of_mapping(content: Mapping[str, Any], path: Path) -> ReplayResult:
    detection = content["detection"]
    return ReplayResult(
        kind=content["kind"],
        out=content["out"],
        image_topic=content["image_topic"],
        frames=content["frames"],
        seconds=content["seconds"],
        topics=content["topics"],
        refused=content["refused"],
        timing=from_mapping(Timing, content["timing"], f"{path}: timing"),
        provenance=Provenance(**content["provenance"]),
        detection=None if detection is None else detection_result_from_mapping(detection),
        motion=content["motion"],
        nodes=content["nodes"],
        warnings=tuple(content.get("warnings", ())),
    )
