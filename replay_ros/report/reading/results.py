"""Reads result JSON files for the report.

A file is one object with any of these keys, as `replay` writes them (`replay_ros.result.replay_result`):

    "detection"   a result of evaluate_detection (`evaluation.detection.results`), or a list of them
    "motion"      a MotionResult (`evaluation.motion.results`)
    "timing"      a Timing (`replay_ros.result.timing`)
    "answers"     a list of NodeAnswers (`replay_ros.result.answers`), with "stamps", "left_out", "stopped", "not_done"
    "provenance"  {GROUP: {NAME: VALUE}} or {NAME: VALUE}: settings, hashes of input, weights, configuration, commit

or a bare result of evaluate_detection or evaluate_motion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from perception_common.config import from_mapping
from perception_common.errors import InputError
from perception_common.text.json_files import read_json
from replay_ros.evaluation.detection import results as detection_results
from replay_ros.evaluation.detection.results import DetectionResult
from replay_ros.result.answers import NodeAnswers
from replay_ros.result.image_stamps import ImageStamps, describe_stamps
from replay_ros.result.timing import Timing

KEYS = ("detection", "motion", "timing", "provenance", "answers")


@dataclass(frozen=True, eq=False)
class Results:
    """The parts that the files hold, else empty or None.

    motion: a MotionResult as plain values. oddities: sentences about what a replay found odd or left out.
    """

    detections: tuple[DetectionResult, ...] = ()
    motion: Mapping[str, Any] | None = None
    timing: Timing | None = None
    provenance: Mapping[str, Any] | None = None
    answers: tuple[NodeAnswers, ...] = ()
    oddities: tuple[str, ...] = ()


def read_results(paths: Sequence[Path]) -> Results:
    """Read result files. Detections add up; of the other parts the last file counts. Raises InputError."""
    results = Results()
    for path in paths:
        content = _read_parts(path)
        found = content.get("detection") or []
        detections = [
            detection_results.detection_result_from_mapping(each)
            for each in (found if isinstance(found, list) else [found])
        ]
        others = {key: content[key] for key in KEYS[1:] if content.get(key)}
        if "timing" in others:
            others["timing"] = from_mapping(Timing, others["timing"], f"{path}: timing")
        if "answers" in others:
            others["answers"] = tuple(from_mapping(NodeAnswers, each, f"{path}: answers") for each in others["answers"])
            others["oddities"] = tuple(_oddities(content, path))
        results = replace(results, detections=(*results.detections, *detections), **others)
    return results


def _oddities(content: Mapping[str, Any], path: Path) -> Iterator[str]:
    if content.get("stopped"):
        yield f"the replay stopped before the end of the bag: {content['stopped']}"
    yield from (f"{count} messages were left out: {cause}" for cause, count in content.get("left_out", {}).items())
    yield from (f"the bag is not complete: {loss}" for loss in content.get("losses", ()))
    yield from content.get("without_camera", {})
    yield from content.get("not_done", ())
    if content.get("stamps"):
        yield from describe_stamps(from_mapping(ImageStamps, content["stamps"], f"{path}: stamps"))


def _read_parts(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: is not a JSON object; give a result file of replay")
    if content.get("schema") == detection_results.SCHEMA:
        return {"detection": content}
    if "association" in content:
        return {"motion": content}
    if not any(key in content for key in KEYS):
        raise InputError(f"{path} holds none of {', '.join(KEYS)}: give a result of replay or of an evaluation")
    return content
