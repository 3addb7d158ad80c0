"""A replay from end to end: a bag through the nodes or without them, scored, with a result file and a report."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from replay_ros.bags.reader import open_bag
from replay_ros.evaluation.detection.bags import TRUTH, score_bag
from replay_ros.evaluation.motion.bags import MotionBagOptions, evaluate_motion_of_bag
from replay_ros.evaluation.motion.truth import find_truth_topic
from replay_ros.live.replay import LiveOptions, replay_live
from replay_ros.offline.replay import OfflineOptions, replay_offline
from replay_ros.outputs import DETECTIONS
from replay_ros.report.build import read_content
from replay_ros.report.reading.results import read_results
from replay_ros.report.to_html import write_html
from replay_ros.result.peak_rate import PeakRate
from replay_ros.result.replay_result import ReplayResult, latencies, write_result


@dataclass(frozen=True)
class ReplayRequest:
    """What to replay. json, report: files to write; None: no report. truth: of the poses, a topic or a TUM file."""

    options: OfflineOptions | LiveOptions
    json: Path
    report: Path | None
    truth: str | None = None


def replay(request: ReplayRequest) -> ReplayResult:
    """Replay, compare with the ground truth, and write result and report. Raises InputError."""
    options = request.options
    result = replay_live(options) if isinstance(options, LiveOptions) else replay_offline(options)
    result = score_replay(result, request.truth)
    write_result(request.json, result)
    if request.report:
        content = read_content(options.out, read_results([request.json]), result.image_topic, request.truth)
        write_html(content, request.report)
    return result


def score_replay(result: ReplayResult, truth: str | None = None) -> ReplayResult:
    """Compare the outputs in the bag with its ground truth. truth: of the poses, a topic or a TUM file."""
    out = Path(result.out)
    with open_bag(out) as bag:
        has_boxes = bag.topics.get(f"/{TRUTH}") is not None and any(DETECTIONS in name for name in result.topics)
        has_poses = truth is not None or find_truth_topic(bag) is not None
        edges = next((name for name in result.topics if name.endswith("loftr/relative_pose")), None)
        detections = next((name for name in result.topics if name.endswith(DETECTIONS)), "")
    detection = motion = None
    if has_boxes:
        model = result.provenance.configuration.get("yolc_node", {}).get("model", "")
        detection = score_bag(out, None, detections, weights_sha256=result.provenance.weights.get(model, ""))
    if has_poses and edges:
        two_view = result.provenance.configuration.get("loftr_node", {})
        estimator = f"{two_view.get('estimator', '?')}, {two_view.get('inlier_threshold', '?')} px"
        found = evaluate_motion_of_bag(out, MotionBagOptions(truth, relative_pose_topic=edges, estimator=estimator))
        motion = json.loads(json.dumps(asdict(found)))  # as it comes back from the file
    return replace(result, detection=detection, motion=motion)


def describe_replay(result: ReplayResult) -> Iterable[str]:
    """Describe the result of a replay in lines of text."""
    yield f"{result.frames} images of {result.image_topic} in {result.seconds:.1f} s ({result.kind})"
    for name, times in latencies(result.timing).items():
        figures = ", ".join(f"{key.removesuffix('_ms')} {ms:.0f} ms" for key, ms in times.items() if ms is not None)
        yield f"  {name}: {figures or 'no answer'}"
    for dropped in result.timing.drops:
        yield f"  {dropped.node}: {len(dropped.lost)} of {dropped.images} images without an answer"
    if (peak := result.timing.peak) is not None:
        yield from describe_peak(peak)
    for warning in result.warnings:
        yield f"  warning: {warning}"
    for reason, count in result.refused.items():
        yield f"  {count} images: {reason}"
    if result.detection is not None and result.detection.scores.ap50 is not None:
        scores = result.detection.scores
        yield f"  detection ({result.detection.protocol}): AP {scores.ap:.3f}, AP50 {scores.ap50:.3f}"
    if result.motion is not None and (poses := result.motion["poses"]):
        auc = "/".join(f"{value:.2f}" for value in poses["auc"].values())
        yield f"  relative poses: {poses['success_5deg']} of {poses['edges']} under 5 degrees, AUC@5/10/20 {auc}"
    if result.motion is not None and (path := result.motion["trajectory"]):
        yield f"  trajectory ({path['alignment']}): ATE {path['ate_m']['rmse']:.2f} m over {path['length_m']:.0f} m"


def describe_peak(peak: PeakRate) -> Iterable[str]:
    """Describe the peak rate that was found and the rates that were tried."""
    limit = f"at most {100 * peak.max_loss:g} % lost"
    found = "lower than every rate tried" if peak.rate_hz is None else f"{peak.rate_hz:.2f} images/s"
    yield f"  peak rate ({limit}): {found}{'' if peak.is_bounded else ', or more: no rate tried was too high'}"
    for trial in sorted(peak.trials, key=lambda each: each.rate_hz):
        yield f"    {trial.rate_hz:8.2f}/s: {trial.lost} of {trial.sent} lost ({trial.seconds:.1f} s)"
