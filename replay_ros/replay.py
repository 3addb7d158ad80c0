"""A replay from end to end: a bag through the nodes or without them, scored, with a result file and a report."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from loftr_ros.ros.messages import RELATIVE_POSE
from perception_common.atomic_file import check_writable
from perception_common.errors import InputError
from replay_ros.bags.reader import open_bag
from replay_ros.evaluation.detection.bags import TRUTH, score_bag
from replay_ros.evaluation.detection.results import DetectionResult
from replay_ros.evaluation.motion.bags import MotionBagOptions, evaluate_motion_of_bag
from replay_ros.evaluation.motion.truth import find_truth_topic
from replay_ros.evaluation.places import OBJECTS, describe_places, score_places_of_bag
from replay_ros.live.player import INTERRUPTED
from replay_ros.live.replay import LiveOptions, replay_live
from replay_ros.offline.replay import OfflineOptions, replay_offline
from replay_ros.outputs import DETECTIONS
from replay_ros.report.build import read_content
from replay_ros.report.reading.results import read_results
from replay_ros.report.to_html import write_html
from replay_ros.result.answers import refused_images
from replay_ros.result.image_stamps import describe_stamps
from replay_ros.result.peak_rate import PeakRate
from replay_ros.result.place_files import placed_objects, write_geojson, write_kml
from replay_ros.result.replay_result import ReplayResult, latencies, write_result


@dataclass(frozen=True)
class ReplayRequest:
    """What to replay. json, report: files to write; None: no report. truth: of the poses, a topic or a TUM file."""

    options: OfflineOptions | LiveOptions
    json: Path
    report: Path | None
    truth: str | None = None


def replay(request: ReplayRequest) -> ReplayResult:
    """Replay, compare with the ground truth, and write result and report.

    An evaluation or a report that fails stands in `not_done` of the result. After an interrupt only the result is
    written. Raises InputError where there is no result.
    """
    options = request.options
    for path in (request.json, request.report):
        if path is not None and (path.parent.is_dir() or path.parent != options.out.parent):  # which the bag makes
            check_writable(path)
    result = replay_live(options) if isinstance(options, LiveOptions) else replay_offline(options)
    write_result(request.json, result)
    if request.report:
        request.report.unlink(missing_ok=True)  # that of the bag that was replaced
    if result.stopped == INTERRUPTED:
        return result
    result = score_replay(result, request.truth)
    try:
        _write_place_files(result)
    except InputError as error:
        result = replace(result, not_done=(*result.not_done, f"no files of places: {error}"))
    write_result(request.json, result)
    if request.report:
        try:
            content = read_content(options.out, read_results([request.json]), result.image_topic, request.truth)
            write_html(content, request.report)
        except InputError as error:
            result = replace(result, not_done=(*result.not_done, f"no report: {error}"))
            write_result(request.json, result)
    return result


def score_replay(result: ReplayResult, truth: str | None = None) -> ReplayResult:
    """Compare the outputs in the bag with its ground truth. truth: of the poses, a topic or a TUM file.

    What cannot be compared stands in `not_done` of the result.
    """
    not_done = []
    detection = motion = places = None
    try:
        detection = _score_detections(result)
    except InputError as error:
        not_done.append(f"detections were not evaluated: {error}")
    try:
        motion = _score_motion(result, truth)
    except InputError as error:
        not_done.append(f"the motion was not evaluated: {error}")
    try:
        topic = _objects_topic(result)
        places = None if topic is None else score_places_of_bag(Path(result.out), topic)
    except InputError as error:
        not_done.append(f"the places of objects were not evaluated: {error}")
    return replace(result, detection=detection, motion=motion, places=places, not_done=(*result.not_done, *not_done))


def _objects_topic(result: ReplayResult) -> str | None:
    return next((name for name, count in result.topics.items() if name.endswith(OBJECTS) and count), None)


def _write_place_files(result: ReplayResult) -> None:
    """Write GeoJSON and KML beside the bag, where objects were located."""
    topic, out = _objects_topic(result), Path(result.out)
    if topic is None:
        return
    with open_bag(out) as bag:
        objects = placed_objects(item.message for item in bag.messages([topic]))
    write_geojson(out.parent / f"{out.name}.geojson", objects)
    write_kml(out.parent / f"{out.name}.kml", objects)


def _score_detections(result: ReplayResult) -> DetectionResult | None:
    out = Path(result.out)
    topic = next((name for name in result.topics if name.endswith(DETECTIONS)), None)
    with open_bag(out) as bag:
        truth = bag.topics.get(f"/{TRUTH}")
    if topic is None or truth is None or not truth.count:
        return None
    model = result.provenance.configuration.get("yolc_node", {}).get("model", "")
    return score_bag(out, None, topic, weights_sha256=result.provenance.weights.get(model, ""))


def _score_motion(result: ReplayResult, truth: str | None) -> dict[str, Any] | None:
    out = Path(result.out)
    edges = next((name for name in result.topics if name.endswith(RELATIVE_POSE)), None)
    with open_bag(out) as bag:
        has_truth = truth is not None or find_truth_topic(bag) is not None
    if edges is None or not has_truth:
        return None
    two_view = result.provenance.configuration.get("loftr_node", {})
    estimator = f"{two_view.get('estimator', '?')}, {two_view.get('inlier_threshold', '?')} px"
    found = evaluate_motion_of_bag(out, MotionBagOptions(truth, relative_pose_topic=edges, estimator=estimator))
    plain: dict[str, Any] = json.loads(json.dumps(asdict(found)))  # as it comes back from the file
    return plain


def describe_replay(result: ReplayResult) -> Iterable[str]:
    """Describe the result of a replay in lines of text."""
    yield f"{result.frames} images of {result.image_topic} in {result.seconds:.1f} s ({result.kind})"
    for name, times in latencies(result.timing).items():
        figures = ", ".join(f"{key.removesuffix('_ms')} {ms:.0f} ms" for key, ms in times.items() if ms is not None)
        yield f"  {name}: {figures or 'no answer'}"
    for node in result.answers:
        if node.ambiguous:
            yield f"  {node.node}: {node.ambiguous} answers are to one of several images with the same stamp"
    if (peak := result.timing.peak) is not None:
        yield from describe_peak(peak)
    for warning in result.warnings:
        yield f"  warning: {warning}"
    for refusal in refused_images(result.answers):
        yield f"  {len(refusal.images)} images refused, first image {refusal.images[0]}: {refusal.cause}"
    for cause, count in result.without_camera.items():
        yield f"  {count} images without calibration: {cause}" if result.kind == "offline" else f"  {cause}"
    for cause, count in result.left_out.items():
        yield f"  {count} messages left out: {cause}"
    for oddity in describe_stamps(result.stamps) if result.stamps is not None else ():
        yield f"  {oddity}"
    if result.detection is not None and result.detection.scores.ap50 is not None:
        scores = result.detection.scores
        yield f"  detection ({result.detection.protocol}): AP {scores.ap:.3f}, AP50 {scores.ap50:.3f}"
    if result.places is not None:
        yield f"  objects on the ground: {describe_places(result.places)}"
    if result.motion is not None and (poses := result.motion["poses"]):
        auc = "/".join(f"{value:.2f}" for value in poses["auc"].values())
        yield f"  relative poses: {poses['success_5deg']} of {poses['edges']} under 5 degrees, AUC@5/10/20 {auc}"
    if result.motion is not None and (path := result.motion["trajectory"]):
        yield f"  trajectory ({path['alignment']}): ATE {path['ate_m']['rmse']:.2f} m over {path['length_m']:.0f} m"


def describe_answers(result: ReplayResult) -> str:
    """Say in one line what became of the images."""
    return f"{result.frames} images: " + "; ".join(node.describe() for node in result.answers)


def describe_peak(peak: PeakRate) -> Iterable[str]:
    """Describe the peak rate that was found and the rates that were tried."""
    limit = f"at most {100 * peak.max_loss:g} % lost"
    found = "lower than every rate tried" if peak.rate_hz is None else f"{peak.rate_hz:.2f} images/s"
    yield f"  peak rate ({limit}): {found}{'' if peak.is_bounded else ', or more: no rate tried was too high'}"
    for trial in sorted(peak.trials, key=lambda each: each.rate_hz):
        yield f"    {trial.rate_hz:8.2f}/s: {trial.lost} of {trial.sent} lost ({trial.seconds:.1f} s)"
