"""The command `replay`: a bag through the nodes or without them; writes a bag, a result and a report."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from perception_common.cli import number
from perception_common.errors import InputError
from perception_common.resources import find_config
from perception_common.text.ros_names import node_namespace
from replay_ros.bags.own_parameters import find_own_parameters
from replay_ros.live.player import INTERRUPTED
from replay_ros.live.replay import LiveOptions
from replay_ros.offline.replay import OfflineOptions
from replay_ros.replay import ReplayRequest, describe_answers, describe_replay, replay
from replay_ros.result.completeness import missing_answers
from replay_ros.result.peak_rate import PeakSearch

NAME = "replay"
STATUS_INCOMPLETE = 3  # 1 is an error without a result, 2 a wrong command line
STATUS_INTERRUPTED = 130  # as shells and `perception_common.cli` have it
LIVE_ONLY = ("lockstep", "rate", "running_nodes", "answer_timeout", "find_peak")


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    example = f"""\
examples:
  {prog} flight_bag answers                            every image in order, the same bytes each time
  {prog} flight_bag answers --live --rate 1.0          through the nodes over DDS, as on a vehicle
  {prog} flight_bag answers --live --lockstep --params-file my.yaml
  {prog} flight_bag answers --live --find-peak         and the highest rate that the nodes keep up with

writes the bag `answers` with inputs and outputs, `answers.json` with the figures and `answers.html` to look at. Where
the bag holds ground truth (topics named ground_truth, as `flight` writes them) the outputs are compared with it. When a
replay without --live is broken off, the same command continues it. A live one that is broken off keeps its answers so
far.

exit status: 0 when everything was answered; 3 when the results are there and something is missing, which the last line
names: images without an answer, or no relative poses for want of a calibration (leave matching out with --no-matching);
130 after Ctrl-C; 1 for an error.
"""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, epilog=example, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bag", type=Path, help="bag to play")
    parser.add_argument("out", type=Path, help="bag to write: inputs and outputs")
    add_offline_options(parser)
    _add_live_options(parser)
    parser.add_argument("--json", type=Path, help="the result (default: OUT.json)")
    parser.add_argument("--force", action="store_true", help="replace a bag that is there")
    return parser


def add_offline_options(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add what is read and how it is replayed, but for `--live` and the files of a single bag."""
    parser.add_argument("--image-topic", help="needed when the bag holds several")
    parser.add_argument("--camera-info-topic", help="default: camera_info beside the image")
    parser.add_argument("--namespace", default="", help="of the nodes and of their topics")
    parser.add_argument(
        "--params-file",
        type=Path,
        help="parameters of the nodes (default: parameters.yaml in the bag, else config/perception.yaml)",
    )
    parser.add_argument("--no-detection", action="store_true", help="without yolc_node")
    parser.add_argument("--no-matching", action="store_true", help="without loftr_node")
    parser.add_argument("--limit", type=int, help="images to play")
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap")
    parser.add_argument("--truth", metavar="TOPIC|FILE", help="true poses (default: the topic named ground_truth)")
    parser.add_argument("--no-report", action="store_true", help="without OUT.html")


def _add_live_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--live", action="store_true", help="through the nodes over DDS")
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--lockstep", action="store_true", help="live: send the next image when the last is answered")
    pace.add_argument("--rate", type=number, help="live: times the bag's speed (default: 1)")
    parser.add_argument("--running-nodes", action="store_true", help="live: use running nodes; start none")
    parser.add_argument("--answer-timeout", type=number, help="live: seconds to wait in lockstep (default: 60)")
    parser.add_argument("--find-peak", action="store_true", help="live: search the highest rate that is answered")
    parser.add_argument("--max-loss", type=number, help="share of images lost at the peak rate (default: 0.05)")
    parser.add_argument("--peak-budget", type=number, help="seconds for this search (default: 120)")


def parse(arguments: list[str] | None = None, prog: str = NAME) -> ReplayRequest:
    """Return what a command line asks for. Raises InputError for options that contradict each other."""
    given = build_parser(prog).parse_args(arguments)
    _check(given)
    request = offline_request(given, given.bag, given.out)
    if given.live:
        request = replace(request, options=_live_options(given, _common_options(given, given.bag, given.out)))
    return request if given.json is None else replace(request, json=given.json)


def offline_request(given: argparse.Namespace, bag: Path, out: Path) -> ReplayRequest:
    """Return the replay of a bag into `out`. given: `add_offline_options`, and `force`. Raises InputError."""
    if given.limit is not None and given.limit < 1:
        raise InputError(f"--limit must be at least 1, not {given.limit}")
    beside = {suffix: out.with_name(f"{out.name}.{suffix}") for suffix in ("json", "html")}
    return ReplayRequest(
        options=OfflineOptions(**_common_options(given, bag, out)),
        json=beside["json"],
        report=None if given.no_report else beside["html"],
        truth=given.truth,
    )


def _common_options(given: argparse.Namespace, bag: Path, out: Path) -> dict[str, Any]:
    return {
        "bag": bag,
        "out": out,
        "params_file": given.params_file or find_own_parameters(bag) or find_config("perception.yaml"),
        "image_topic": given.image_topic,
        "camera_info_topic": given.camera_info_topic,
        "namespace": node_namespace(given.namespace),
        "detection": not given.no_detection,
        "matching": not given.no_matching,
        "limit": given.limit,
        "storage": given.storage,
        "force": given.force,
    }


def _check(given: argparse.Namespace) -> None:
    if given.rate is not None and given.rate <= 0:
        raise InputError(f"--rate must be positive, not {given.rate:g}")
    if not given.live and (extra := [f"--{name.replace('_', '-')}" for name in LIVE_ONLY if getattr(given, name)]):
        raise InputError(f"{', '.join(extra)} only with --live")
    if (given.max_loss is not None or given.peak_budget is not None) and not given.find_peak:
        raise InputError("--max-loss and --peak-budget only with --find-peak")
    if given.find_peak and given.lockstep:
        raise InputError("--find-peak needs nodes that drop images under overload: leave out --lockstep")
    if given.max_loss is not None and not 0 <= given.max_loss < 1:
        raise InputError(f"--max-loss must lie in 0 to 1, not {given.max_loss:g}")
    if given.peak_budget is not None and given.peak_budget <= 0:
        raise InputError(f"--peak-budget must be positive, not {given.peak_budget:g}")


def _live_options(given: argparse.Namespace, common: dict[str, Any]) -> LiveOptions:
    return LiveOptions(
        **common,
        pace="lockstep" if given.lockstep else "rate",
        rate=given.rate or 1.0,
        start_nodes=not given.running_nodes,
        answer_timeout=given.answer_timeout or 60.0,
        node_log=None if given.running_nodes else given.out.with_name(f"{given.out.name}.nodes.log"),
        peak=_peak_search(given.max_loss, given.peak_budget) if given.find_peak else None,
    )


def _peak_search(max_loss: float | None, budget_s: float | None) -> PeakSearch:
    default = PeakSearch()
    return PeakSearch(
        max_loss=default.max_loss if max_loss is None else max_loss,
        budget_s=default.budget_s if budget_s is None else budget_s,
    )


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Run the command. The status is 0 when everything that was asked for was answered; else one line says why not."""
    request = parse(arguments, prog)
    parameters = request.options.params_file
    if parameters is not None and parameters.parent == request.options.bag:
        print(f"parameters of the bag: {parameters}")
    try:
        with interruptible_once():
            result = replay(request)
    except KeyboardInterrupt:
        print(f"{prog}: interrupted before the first answer: nothing was written", file=sys.stderr)
        return STATUS_INTERRUPTED
    print("\n".join(describe_replay(result)))
    has_report = request.report is not None and request.report.is_file()
    print(f"bag: {result.out}, result: {request.json}" + (f", report: {request.report}" if has_report else ""))
    print(describe_answers(result), flush=True)
    if missing := missing_answers(result):
        print(f"{prog}: not everything was answered: {'; '.join(missing)}", file=sys.stderr)
    if result.stopped == INTERRUPTED:
        return STATUS_INTERRUPTED
    return STATUS_INCOMPLETE if missing else 0


@contextmanager
def interruptible_once() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first SIGINT or SIGTERM in the block, and go on at further ones.

    The first one ends the replay within seconds. `ros2 launch` and a terminal send several, which must not keep it
    from writing the answers so far.
    """
    is_interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal is_interrupted
        if not is_interrupted:
            is_interrupted = True
            raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
