"""The command `replay`: a bag through the cores or through the nodes; a bag, a result and a report come out."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from perception_common.errors import InputError
from perception_common.resources import find_config
from replay_ros.bags.output_topics import DETECTIONS
from replay_ros.bags.reader import open_bag
from replay_ros.evaluation.detection.bags import TRUTH, score_bag
from replay_ros.evaluation.motion.bags import MotionBagOptions, evaluate_motion_of_bag
from replay_ros.evaluation.motion.truth import find_truth_topic
from replay_ros.live.replay import LiveOptions, replay_live
from replay_ros.offline.replay import OfflineOptions, replay_offline
from replay_ros.report.build import read_content
from replay_ros.report.reading.results import read_results
from replay_ros.report.to_html import write_html
from replay_ros.result.peak_rate import PeakRate, PeakSearch
from replay_ros.result.replay_result import ReplayResult, latencies, write_result

EXAMPLE = """\
examples:
  replay flight_bag answers                            every image in order, the same answers each time
  replay flight_bag answers --live --rate 1.0          what a vehicle would get, through the nodes over DDS
  replay flight_bag answers --live --lockstep --params-file my.yaml
  replay flight_bag answers --live --find-peak         and the highest rate that the nodes keep up with

writes the bag `answers` with inputs and answers, `answers.json` with the figures and `answers.html` to look at. Where
the bag holds ground truth (topics named ground_truth, as `flight` writes them) the answers are compared with it. When a
replay without --live is broken off, the same command goes on from there.
"""


@dataclass(frozen=True)
class ReplayRequest:
    """What to do. json, report: files to write; None: no report. truth: of the poses, a topic or a TUM file."""

    options: OfflineOptions | LiveOptions
    json: Path
    report: Path | None
    truth: str | None = None


def parse(arguments: list[str] | None) -> ReplayRequest:
    """Read the command line. Raises InputError for what cannot be done."""
    parser = argparse.ArgumentParser(
        prog="replay", description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bag", type=Path, help="bag to play")
    parser.add_argument("out", type=Path, help="bag to write: inputs and answers")
    parser.add_argument("--live", action="store_true", help="through the nodes over DDS")
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--lockstep", action="store_true", help="live: send the next image when the last is answered")
    pace.add_argument("--rate", type=float, help="live: times the bag's speed (default: 1)")
    parser.add_argument("--image-topic", help="needed when the bag holds several")
    parser.add_argument("--camera-info-topic", help="default: camera_info beside the image")
    parser.add_argument("--namespace", default="", help="of the nodes and of their topics")
    parser.add_argument("--params-file", type=Path, help="parameters of the nodes (default: config/perception.yaml)")
    parser.add_argument("--no-detection", action="store_true", help="without yolc_node")
    parser.add_argument("--no-matching", action="store_true", help="without loftr_node")
    parser.add_argument("--running-nodes", action="store_true", help="live: use nodes that run already; start none")
    parser.add_argument("--answer-timeout", type=float, help="live: seconds to wait in lockstep (default: 60)")
    parser.add_argument("--find-peak", action="store_true", help="live: search the highest rate that is answered")
    parser.add_argument("--max-loss", type=float, help="share of images lost at the peak rate (default: 0.05)")
    parser.add_argument("--peak-budget", type=float, help="seconds for this search (default: 120)")
    parser.add_argument("--limit", type=int, help="images to play")
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap")
    parser.add_argument("--truth", metavar="TOPIC|FILE", help="true poses (default: the topic named ground_truth)")
    parser.add_argument("--json", type=Path, help="the result (default: OUT.json)")
    parser.add_argument("--no-report", action="store_true", help="without OUT.html")
    parser.add_argument("--force", action="store_true", help="replace a bag that is there")
    given = parser.parse_args(arguments)
    if given.rate is not None and given.rate <= 0:
        raise InputError(f"--rate must be positive, not {given.rate:g}")
    if given.limit is not None and given.limit < 1:
        raise InputError(f"--limit must be at least 1, not {given.limit}")
    live_only = ("lockstep", "rate", "running_nodes", "answer_timeout", "find_peak")
    if not given.live and (extra := [f"--{name.replace('_', '-')}" for name in live_only if getattr(given, name)]):
        raise InputError(f"{', '.join(extra)} only with --live")
    if (given.max_loss is not None or given.peak_budget is not None) and not given.find_peak:
        raise InputError("--max-loss and --peak-budget only with --find-peak")
    if given.find_peak and given.lockstep:
        raise InputError("--find-peak needs nodes that drop what is too much: leave out --lockstep")
    if given.max_loss is not None and not 0 <= given.max_loss < 1:
        raise InputError(f"--max-loss must lie in 0 to 1, not {given.max_loss:g}")
    if given.peak_budget is not None and given.peak_budget <= 0:
        raise InputError(f"--peak-budget must be positive, not {given.peak_budget:g}")
    common = {
        "bag": given.bag,
        "out": given.out,
        "params_file": given.params_file or find_config("perception.yaml"),
        "image_topic": given.image_topic,
        "camera_info_topic": given.camera_info_topic,
        "namespace": given.namespace,
        "detection": not given.no_detection,
        "matching": not given.no_matching,
        "limit": given.limit,
        "storage": given.storage,
        "force": given.force,
    }
    options: OfflineOptions | LiveOptions = (
        LiveOptions(
            **common,
            pace="lockstep" if given.lockstep else "rate",
            rate=given.rate or 1.0,
            start_nodes=not given.running_nodes,
            answer_timeout=given.answer_timeout or 60.0,
            node_log=None if given.running_nodes else given.out.with_name(f"{given.out.name}.nodes.log"),
            peak=_peak_search(given.max_loss, given.peak_budget) if given.find_peak else None,
        )
        if given.live
        else OfflineOptions(**common)
    )
    beside = {suffix: given.out.with_name(f"{given.out.name}.{suffix}") for suffix in ("json", "html")}
    return ReplayRequest(
        options, given.json or beside["json"], None if given.no_report else beside["html"], given.truth
    )


def _peak_search(max_loss: float | None, budget_s: float | None) -> PeakSearch:
    default = PeakSearch()
    return PeakSearch(
        max_loss=default.max_loss if max_loss is None else max_loss,
        budget_s=default.budget_s if budget_s is None else budget_s,
    )


def replay(request: ReplayRequest) -> ReplayResult:
    """Replay, compare with the truth, and write result and report. Raises InputError."""
    options = request.options
    result = replay_live(options) if isinstance(options, LiveOptions) else replay_offline(options)
    result = score_replay(result, request.truth)
    write_result(request.json, result)
    if request.report:
        content = read_content(options.out, read_results([request.json]), result.image_topic, request.truth)
        write_html(content, request.report)
    return result


def score_replay(result: ReplayResult, truth: str | None = None) -> ReplayResult:
    """Compare the answers in the output bag with the truth, as far as it holds any; `truth` is that of the poses."""
    out = Path(result.out)
    with open_bag(out) as bag:
        has_boxes = bag.topics.get(f"/{TRUTH}") is not None and any(DETECTIONS in name for name in result.topics)
        has_poses = truth is not None or find_truth_topic(bag) is not None
        edges = next((name for name in result.topics if name.endswith("loftr/relative_pose")), None)
        answers = next((name for name in result.topics if name.endswith(DETECTIONS)), "")
    detection = motion = None
    if has_boxes:
        model = result.provenance.configuration.get("yolc_node", {}).get("model", "")
        detection = score_bag(out, None, answers, weights_sha256=result.provenance.weights.get(model, ""))
    if has_poses and edges:
        two_view = result.provenance.configuration.get("loftr_node", {})
        estimator = f"{two_view.get('estimator', '?')}, {two_view.get('inlier_threshold', '?')} px"
        found = evaluate_motion_of_bag(out, MotionBagOptions(truth, relative_pose_topic=edges, estimator=estimator))
        motion = json.loads(json.dumps(asdict(found)))  # as it comes back from the file
    return replace(result, detection=detection, motion=motion)


def describe(result: ReplayResult) -> Iterable[str]:
    """Say in lines of text what came of a replay."""
    yield f"{result.frames} images of {result.image_topic} in {result.seconds:.1f} s ({result.kind})"
    for name, times in latencies(result.timing).items():
        figures = ", ".join(f"{key.removesuffix('_ms')} {ms:.0f} ms" for key, ms in times.items() if ms is not None)
        yield f"  {name}: {figures or 'no answer'}"
    for dropped in result.timing.drops:
        yield f"  {dropped.node}: {len(dropped.lost)} of {dropped.images} images without an answer"
    if (peak := result.timing.peak) is not None:
        yield from describe_peak(peak)
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
    """Say what the search for the peak rate found, with the rates that it tried."""
    limit = f"at most {100 * peak.max_loss:g} % lost"
    found = "lower than every rate tried" if peak.rate_hz is None else f"{peak.rate_hz:.2f} images/s"
    yield f"  peak rate ({limit}): {found}{'' if peak.is_bounded else ', or more: no rate tried was too high'}"
    for trial in sorted(peak.trials, key=lambda each: each.rate_hz):
        yield f"    {trial.rate_hz:8.2f}/s: {trial.lost} of {trial.sent} lost ({trial.seconds:.1f} s)"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the status is 1 when images were left unanswered in lockstep."""
    request = parse(arguments)
    result = replay(request)
    print("\n".join(describe(result)))
    print(f"bag: {result.out}, result: {request.json}" + (f", report: {request.report}" if request.report else ""))
    is_lockstep = isinstance(request.options, LiveOptions) and request.options.pace == "lockstep"
    return int(is_lockstep and any(dropped.lost for dropped in result.timing.drops))
