"""Replay or evaluate many bags, on this machine or on a Ray cluster, and compare what two such fleets found."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from perception_common.backends.devices import default_threads
from perception_common.cli import number
from perception_common.errors import InputError
from replay_ros.commands.compare import add_tolerance, tolerance_of
from replay_ros.commands.evaluate.detection import (
    add_detection_options,
    check_options,
    dataset_of,
    network_of,
    options_of_bags,
    topics_of,
)
from replay_ros.commands.evaluate.motion import add_motion_options, motion_options
from replay_ros.commands.replay import STATUS_INCOMPLETE, add_offline_options, offline_request
from replay_ros.fleet.engines.engine import Engine
from replay_ros.fleet.engines.local import LocalEngine
from replay_ros.fleet.engines.on_ray import LOCAL, RayEngine
from replay_ros.fleet.inputs import find_sources, is_bag
from replay_ros.fleet.overview.compare import compare_fleets, fleet_lines
from replay_ros.fleet.overview.page import write_overview
from replay_ros.fleet.overview.statistics import causes, summary_lines
from replay_ros.fleet.record import RESULTS, Record, read_records, write_records
from replay_ros.fleet.run import Fleet
from replay_ros.fleet.task import Resources
from replay_ros.fleet.work.detection import SHARD_IMAGES, plan_bags, run_datasets
from replay_ros.fleet.work.motion import plan_motion
from replay_ros.fleet.work.replay import plan_replays

NAME = "fleet"
_IS_SOURCE: dict[str, Callable[[Path], bool]] = {
    "coco": lambda path: path.suffix == ".json",
    "visdrone": lambda path: (path / "annotations").is_dir(),
    "uavdt": lambda path: (path / "UAV-benchmark-M").is_dir(),
    "bag": is_bag,
}
_EPILOG = """\
A bag is one task and is never cut: keyframes, tracks, ids, trajectory and searched scale lead from image to image. Only
the images of a dataset (`{prog} evaluate detection COCO.json`) are independent: they are predicted in shards. Answers
are those of `yolc replay` and `yolc evaluate` with as many threads, byte for byte but for times.

writes into --output: results.jsonl (a line for each bag), overview.html, the answers and reports, logs/ and done/, by
which the same command goes on after it was broken off. A task whose worker dies is repeated; a bag that cannot be used
is reported with its cause and ends nothing else.

exit status: 0 when everything is there; 3 when something is missing or failed, which the last lines name; 130 after
Ctrl-C; 1 for an error.
"""


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    examples = f"""\
examples:
  {prog} replay flights --output release_2 --workers 4
  {prog} replay 'flights/*' night.txt --output release_2 --ray local --cpus 1 --params-file my.yaml
  {prog} replay flights --output release_2 --ray 10.0.0.1:6379 --cpus 2 --gpus 0.5 --memory-mb 6000
  {prog} evaluate motion release_2/bags --output motion_2 --truth /ground_truth/pose
  {prog} evaluate detection cars.json vans.json --output cars_2 --classes car --workers 2
  {prog} compare release_1 release_2 --fail-if-worse

"""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__,
        epilog=examples + _EPILOG.format(prog=prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_replay(_command(commands, "replay", "replay each bag without nodes, as `yolc replay`", "flights --output new"))
    evaluate = commands.add_parser("evaluate", help="compare with the ground truth, as `yolc evaluate`")
    kinds = evaluate.add_subparsers(metavar="KIND", required=True)
    about = "score the detections in bags, or of a network on datasets"
    _add_detection(_command(kinds, "detection", about, "cars.json --output cars --workers 2"))
    about = "score the relative poses and trajectories in bags"
    _add_motion(_command(kinds, "motion", about, "new/bags --output motion"))
    _add_compare(_command(commands, "compare", "compare the results of two fleets", "old new --fail-if-worse"))
    return parser


def _command(
    group: argparse._SubParsersAction[argparse.ArgumentParser], name: str, about: str, example: str
) -> argparse.ArgumentParser:
    parser = group.add_parser(name, help=about, description=f"{about.capitalize()}.")
    parser.epilog = f"example: {parser.prog} {example}"
    return parser


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bags", nargs="+", metavar="BAG", help="bags, folders of bags, 'patterns*' or lists (.txt)")
    _add_fleet_options(parser)
    add_offline_options(parser.add_argument_group("replay, as in `yolc replay`"))
    parser.set_defaults(run=_replay, force=True)


def _add_detection(parser: argparse.ArgumentParser) -> None:
    sources = (
        "COCO files, folders of VisDrone or UAVDT, or bags, as --dataset says; also folders of them, or lists (.txt)"
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help=sources)
    _add_fleet_options(parser)
    parser.add_argument(
        "--shard-images",
        type=int,
        default=SHARD_IMAGES,
        metavar="N",
        help=f"images of a dataset that make one task (default: {SHARD_IMAGES})",
    )
    add_detection_options(parser)
    parser.set_defaults(run=partial(_evaluate_detection, parser), predictions=None)


def _add_motion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bags", nargs="+", metavar="BAG", help="replayed bags, folders of them, 'patterns*' or lists")
    _add_fleet_options(parser)
    add_motion_options(parser)
    parser.set_defaults(run=_evaluate_motion)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", type=Path, help="--output of the earlier fleet")
    parser.add_argument("b", type=Path, help="--output of the later fleet")
    add_tolerance(parser)
    worse = "exit with status 1 when the median of a metric got worse or another bag fails"
    parser.add_argument("--fail-if-worse", action="store_true", help=worse)
    parser.set_defaults(run=_compare)


def _add_fleet_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("fleet")
    group.add_argument("--output", type=Path, required=True, metavar="DIR", help="results; the same one goes on")
    group.add_argument(
        "--ray",
        metavar="local|ADDRESS",
        help="run on Ray: a cluster of this machine for the time of the command, or HOST:PORT of one that runs, whose "
        "nodes all see the bags and --output under the same paths (default: workers without Ray)",
    )
    workers = "on this machine (default: 1; with --ray local as many as the cores hold)"
    group.add_argument("--workers", type=int, metavar="N", help=workers)
    cores = "cores and threads of each task (default: with --ray 1, else those of the machine over --workers)"
    group.add_argument("--cpus", type=int, metavar="N", help=cores)
    group.add_argument("--gpus", type=number, default=0.0, metavar="X", help="GPUs of each task, with --ray")
    group.add_argument("--memory-mb", type=int, default=0, metavar="N", help="memory of each task, MiB, with --ray")
    retries = f"times that a task is repeated whose worker dies (default: {Fleet.retries})"
    group.add_argument("--retries", type=int, default=Fleet.retries, metavar="N", help=retries)
    group.add_argument("--redo", action="store_true", help="replace results that were made with other options")


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Run the command. The status is 3 when something failed or is missing. Raises InputError."""
    given = build_parser(prog).parse_args(arguments)
    status: int = given.run(given, prog)
    return status


def _replay(given: argparse.Namespace, prog: str) -> int:
    bags = find_sources(given.bags, is_bag)
    with _fleet(given, "replay") as fleet:
        records = fleet.run(plan_replays(bags, partial(offline_request, given), fleet.output))
        return _finish(fleet, records, prog)


def _evaluate_motion(given: argparse.Namespace, prog: str) -> int:
    bags, options = find_sources(given.bags, is_bag), motion_options(given)
    with _fleet(given, "evaluate motion") as fleet:
        return _finish(fleet, fleet.run(plan_motion(bags, options, fleet.output)), prog)


def _evaluate_detection(parser: argparse.ArgumentParser, given: argparse.Namespace, prog: str) -> int:
    check_options(parser, given)
    if given.shard_images < 1:
        raise InputError(f"--shard-images must be at least 1, not {given.shard_images}")
    sources = find_sources(given.sources, _IS_SOURCE[given.dataset])
    with _fleet(given, f"evaluate detection --dataset {given.dataset}") as fleet:
        if given.dataset == "bag":
            tasks = plan_bags(sources, given.truth_bag, topics_of(given), options_of_bags(given), fleet.output)
            return _finish(fleet, fleet.run(tasks), prog)
        datasets = {name: dataset_of(given, path) for name, path in sources.items()}
        records = run_datasets(fleet, datasets, given.images, network_of(given), given.shard_images)
        return _finish(fleet, records, prog)


def _compare(given: argparse.Namespace, prog: str) -> int:
    tolerance = tolerance_of(given)
    comparison = compare_fleets(read_records(given.a), read_records(given.b), tolerance)
    print("\n".join(fleet_lines(comparison)))
    return int(given.fail_if_worse and comparison.is_worse)


@contextmanager
def _fleet(given: argparse.Namespace, kind: str) -> Iterator[Fleet]:
    """Give the fleet that the options describe, and end what it started."""
    if given.workers is not None and given.workers < 1:
        raise InputError(f"--workers must be at least 1, not {given.workers}")
    if given.retries < 0:
        raise InputError(f"--retries must not be negative, but is {given.retries}")
    if given.workers is not None and given.ray not in (None, LOCAL):
        raise InputError("--workers is for this machine: a running cluster takes as many tasks as it has --cpus for")
    if given.ray is None and (given.gpus or given.memory_mb):
        raise InputError("--gpus and --memory-mb are promises that Ray keeps: add --ray local or an address")
    cpus = given.cpus or (1 if given.ray else default_threads(given.workers or 1))
    resources = Resources(cpus, given.gpus, given.memory_mb)
    output = given.output.absolute()

    def start() -> Engine:
        if given.ray is None:
            return LocalEngine(output, resources, given.workers or 1)
        return RayEngine(given.ray, output, resources, given.workers)

    fleet = Fleet(output, kind, start, retries=given.retries, redo=given.redo)
    try:
        yield fleet
    finally:
        fleet.close()


def _finish(fleet: Fleet, records: Sequence[Record], prog: str) -> int:
    """Write results and overview, say what came out, and return the exit status."""
    write_records(fleet.output, records)
    overview = write_overview(fleet.output, fleet.kind, records)
    print("\n".join(summary_lines(records)))
    print(f"results: {fleet.output / RESULTS}, overview: {overview}", flush=True)
    for cause, group in causes(records):
        named = ", ".join(record.name for record in group[:3]) + (", ..." if len(group) > 3 else "")
        print(f"{prog}: {len(group)} of {len(records)} {group[0].status} ({named}): {cause}", file=sys.stderr)
    return 0 if all(record.status == "done" for record in records) else STATUS_INCOMPLETE
