"""Reads result JSON files for the report: figures that were computed apart from it.

One object with any of these keys, as `replay` writes them (`replay_ros.result.replay_result`); several files add up:

    "detection"   a result of evaluate_detection (`evaluation.detection_results`), or a list of them
    "motion"      a MotionResult (`evaluation.motion_results`)
    "timing"      a TimingSection (`replay_ros.result.timing`)
    "refused"     {REASON: IMAGES} that were not answered
    "provenance"  {GROUP: {NAME: VALUE}} or {NAME: VALUE}: settings, hashes of input, weights, configuration, commit

or a bare result of evaluate_detection or evaluate_motion.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from perception_common.errors import InputError
from replay_ros.evaluation.detection.results import SCHEMA, DetectionResult, detection_result_from_mapping
from replay_ros.evaluation.motion.metrics import UNNAMED
from replay_ros.report.content import Drops, PrecisionRecall, Resources, Stage, Table, TimingSection
from replay_ros.result.timing import timing_from_mapping

KEYS = ("detection", "motion", "timing", "provenance", "refused")


@dataclass(frozen=True, eq=False)
class Results:
    """What the files hold; empty parts were in none of them. motion: a MotionResult as plain values."""

    detections: tuple[DetectionResult, ...] = ()
    motion: Mapping[str, Any] | None = None
    timing: Mapping[str, Any] | None = None
    provenance: Mapping[str, Any] | None = None
    refused: Mapping[str, int] | None = None


def read_results(paths: Sequence[Path]) -> Results:
    """Read result files; of a part that several of them hold, the last one counts. Raises InputError."""
    results = Results()
    for path in paths:
        content = _read(path)
        if content.get("schema") == SCHEMA:
            content = {"detection": content}
        if "association" in content:
            content = {"motion": content}
        if not any(key in content for key in KEYS):
            raise InputError(f"{path} holds none of {', '.join(KEYS)}: give a result of replay or of an evaluation")
        found = content.get("detection") or []
        detections = [detection_result_from_mapping(each) for each in (found if isinstance(found, list) else [found])]
        others = {key: content[key] for key in KEYS[1:] if content.get(key)}
        results = replace(results, detections=(*results.detections, *detections), **others)
    return results


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): give a result file of replay") from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}): give a result file of replay") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is no JSON object: give a result file of replay")
    return content


def curves(detections: Sequence[DetectionResult]) -> tuple[PrecisionRecall, ...]:
    """Return the curves of every class, named by the look and protocol too where there are several."""
    found = []
    for result in detections:
        suffix = f" · {result.look} · {result.protocol}" if len(detections) > 1 else ""
        for name, scores in result.scores.by_class.items():
            recall, precision = np.array(scores.curve.recall), np.array(scores.curve.precision)
            found.append(PrecisionRecall(name + suffix, recall, precision, scores.ap50))
    return tuple(found)


def detection_tables(detections: Sequence[DetectionResult]) -> list[Table]:
    """Return a table of the runs beside each other, and one of the classes of each."""
    if not detections:
        return []
    columns = ("look", "protocol", "AP", "AP50", "AP75", "small", "medium", "large", "crops/image", "s/image")
    rows = tuple(
        (
            each.look,
            each.protocol,
            *map(_share, (each.scores.ap, each.scores.ap50, each.scores.ap75)),
            *(_share(each.scores.by_size.get(size)) for size in ("small", "medium", "large")),
            number(each.crops_per_image),
            number(each.seconds_per_image),
        )
        for each in detections
    )
    tables = [Table("Detection", columns, rows, " ".join(dict.fromkeys(n for each in detections for n in each.notes)))]
    for each in detections:
        rows = tuple(
            (
                name,
                *map(_share, (scores.ap, scores.ap50, scores.ap75)),
                str(scores.objects),
                *map(_share, (scores.operating.precision, scores.operating.recall, scores.best.f1)),
                f"{scores.best.score:.2f}",
            )
            for name, scores in each.scores.by_class.items()
        )
        title = "By class" + (f", {each.look}, {each.protocol}" if len(detections) > 1 else "")
        heads = ("class", "AP", "AP50", "AP75", "objects", "precision", "recall", "best F1", "at score")
        note = f"Precision and recall of detections from score {each.scores.operating.score:.2f} on, at IoU 0.5."
        tables.append(Table(title, heads, rows, note))
    return tables


def motion_tables(motion: Mapping[str, Any] | None) -> list[Table]:
    """Return the figures of a MotionResult. Raises InputError when it is none."""
    if motion is None:
        return []
    try:
        rows = list(_motion_rows(motion))
        notes = " ".join(motion["notes"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"the motion in this result is broken ({error!r}); evaluate again") from error
    return [Table("Motion", ("figure", "value", "of what"), tuple(rows), notes)]


def _motion_rows(motion: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    there = motion["association"]
    tolerance = f"within {there['tolerance_s']:g} s of {motion['truth']}"
    rows = [("Poses with truth", f"{there['matched']} of {there['poses']}", tolerance)]
    if poses := motion["poses"]:
        rows += [
            (
                f"AUC@{limit}°",
                _share(value),
                f"{poses['edges']} pairs" + (f", {poses['estimator']}" if poses["estimator"] != UNNAMED else ""),
            )
            for limit, value in poses["auc"].items()
        ]
        rows.append(("Within 5°", f"{poses['success_5deg']} of {poses['edges']}", f"{poses['failures']} failed"))
        rows.append(("Rotation error", f"{number(poses['median_rotation_deg'])}°", "median"))
        rows.append(("Direction error", f"{number(poses['median_direction_deg'])}°", "median"))
        if poses["median_length_error"] is not None:
            rows.append(("Length error", f"{100 * poses['median_length_error']:.1f} %", "median, metric edges"))
    if path := motion["trajectory"]:
        aligned = path["alignment"] + (f", scale {path['scale']:.3g}" if path["alignment"] == "Sim3" else "")
        rows.append(("ATE", f"{path['ate_m']['rmse']:.3g} m", f"rmse, {path['length_m']:.1f} m flown, {aligned}"))
        rows.append(("RPE", f"{path['rpe_m']['rmse']:.3g} m, {path['rpe_deg']['rmse']:.3g}°", "rmse between poses"))
        if path["drift"] is not None:
            rows.append(("Drift", f"{100 * path['drift']:.2f} %", "of the length flown, at the end"))
    if calibration := motion["calibration"]:
        low, high = calibration["expected"]
        rows.append(
            ("NEES per degree of freedom", f"{calibration['nees_per_dof']:.2f}", f"honest: {low:.2f} to {high:.2f}")
        )
        rows.append(("Inside 95 %", f"{100 * calibration['inside_95']:.0f} %", f"{calibration['edges']} pairs"))
    if tracks := motion["tracks"]:
        rows.append(("Tracks", str(tracks["tracks"]), f"mean length {tracks['mean_length']:.1f} keyframes"))
        if tracks["reprojection_px"] is not None:
            rows.append(("Reprojection error", f"{tracks['reprojection_px']:.2f} px", "median of triangulated tracks"))
    return rows


def timing(content: Mapping[str, Any] | None, frame_of: Mapping[int, int]) -> TimingSection:
    """Return the timing of a result; stamps of images that are not in the bag are left out. Raises InputError."""
    if content is None:
        return TimingSection()
    try:
        measured = timing_from_mapping(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"the timing in this result is broken ({error!r}); replay again") from error
    stages = []
    for stage in measured.stages:
        known = [
            (frame_of[at], took) for at, took in zip(stage.stamps_ns, stage.seconds, strict=True) if at in frame_of
        ]
        stages.append(Stage(stage.name, np.array([at for at, _ in known], int), np.array([took for _, took in known])))
    drops = [
        Drops(each.node, each.images, np.array([frame_of[stamp] for stamp in each.lost if stamp in frame_of], int))
        for each in measured.drops
    ]
    use = measured.resources
    if use is None:
        return TimingSection(tuple(stages), tuple(drops))
    gpu = None if use.gpu_memory_mib is None else np.array(use.gpu_memory_mib)
    resources = Resources(np.array(use.seconds), np.array(use.cpu_percent), np.array(use.memory_mib), gpu)
    return TimingSection(tuple(stages), tuple(drops), resources)


def provenance_tables(provenance: Mapping[str, Any] | None) -> list[Table]:
    """Return a table of each group; values that belong to none come first."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, value in (provenance or {}).items():
        rows = _flat(value, "") if isinstance(value, Mapping) else [(name, _text(value))]
        groups.setdefault(name if isinstance(value, Mapping) else "replay", []).extend(rows)
    return [Table(name, ("", ""), tuple(rows)) for name, rows in groups.items() if rows]


def _flat(content: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    rows = []
    for name, value in content.items():
        rows += _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [(prefix + name, _text(value))]
    return rows


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def number(value: float | None) -> str:
    """Return three digits of a number, a dash for None."""
    return "-" if value is None else f"{value:.3g}"
