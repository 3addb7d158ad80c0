"""What a replay came to: one JSON file beside the output bag, for both ways to replay."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from perception_common.errors import InputError
from replay_ros.evaluation.detection.results import (
    DetectionResult,
    detection_result_from_mapping,
    detection_result_to_mapping,
)
from replay_ros.result.provenance import Provenance
from replay_ros.result.timing import Timing, diagnosed_latencies, percentiles_ms, timing_from_mapping

SCHEMA = "yolc_ros/replay_result/1"


@dataclass(frozen=True)
class ReplayResult:
    """kind: "offline" or "live". out: the output bag. frames: images replayed. seconds: it took. topics: messages
    written, by topic. refused: why images had no answer, with their number. detection, motion: against the truth in
    the bag, motion as `dataclasses.asdict(MotionResult)`; None: not asked for, or there is no truth. nodes: what each
    live node's last diagnostics said.
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

    def to_json(self) -> str:
        """Return the result as JSON text; the percentiles of the stages are added for who reads it by eye."""
        content = asdict(replace(self, detection=None))
        content["detection"] = None if self.detection is None else detection_result_to_mapping(self.detection)
        content["latency"] = latencies(self.timing)
        content["node_latency"] = node_latencies(self)
        return json.dumps({"schema": SCHEMA, **content}, indent=1, allow_nan=False)


def latencies(timing: Timing) -> dict[str, dict[str, float | None]]:
    """Return p50, p95 and p99 of each stage, milliseconds."""
    return {stage.name: percentiles_ms(stage.seconds) for stage in timing.stages}


def node_latencies(result: ReplayResult) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return p50, p95 and p99 of each stage in milliseconds, as each live node measured them, by node and stage."""
    return {name: stages for name, said in result.nodes.items() if (stages := diagnosed_latencies(said))}


def write_result(path: Path, result: ReplayResult) -> None:
    """Write the JSON file. Raises InputError."""
    try:
        path.write_text(result.to_json() + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def read_result(path: Path) -> ReplayResult:
    """Read what `write_result` wrote. Raises InputError for anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise InputError(f"{path}: is no JSON ({error})") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise InputError(f"{path}: is no result of replay of this version ({SCHEMA}); replay the bag again")
    try:
        return _from_mapping(content)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: is a broken result of replay ({error!r}); replay the bag again") from error


def _from_mapping(content: Mapping[str, Any]) -> ReplayResult:
    plain = ("kind", "out", "image_topic", "frames", "seconds", "topics", "refused", "motion", "nodes")
    detection = content["detection"]
    return ReplayResult(
        **{name: content[name] for name in plain},
        timing=timing_from_mapping(content["timing"]),
        provenance=Provenance(**content["provenance"]),
        detection=None if detection is None else detection_result_from_mapping(detection),
    )
