"""Compare two results of replay: which metrics improved, which got worse."""

from __future__ import annotations

import argparse
from pathlib import Path

from perception_common.cli import number
from perception_common.errors import InputError
from replay_ros.result.compare import DEFAULT_TOLERANCE, compare, comparison_lines, setup_differences
from replay_ros.result.replay_result import read_result

NAME = "compare"


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    examples = f"""\
examples:
  {prog} before.json after.json
  {prog} before.json after.json --tolerance 0.1 --fail-if-worse
"""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("a", type=Path, help="result of replay, the earlier one")
    parser.add_argument("b", type=Path, help="result of replay, the later one")
    add_tolerance(parser)
    parser.add_argument("--fail-if-worse", action="store_true", help="exit with status 1 when a metric got worse")
    return parser


def add_tolerance(parser: argparse.ArgumentParser) -> None:
    """Add the option --tolerance, which `tolerance_of` reads."""
    parser.add_argument(
        "--tolerance",
        type=number,
        default=DEFAULT_TOLERANCE,
        help=f"relative change up to which a metric counts as the same (default: {DEFAULT_TOLERANCE})",
    )


def tolerance_of(given: argparse.Namespace) -> float:
    """Return the tolerance. Raises InputError for one that is out of range."""
    tolerance: float = given.tolerance
    if not 0 <= tolerance < 1:
        raise InputError(f"--tolerance must lie in 0 to 1, not {tolerance:g}")
    return tolerance


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Run the command. With --fail-if-worse, returns 1 when a metric got worse. Raises InputError."""
    given = build_parser(prog).parse_args(arguments)
    tolerance = tolerance_of(given)
    a, b = read_result(given.a), read_result(given.b)
    changes = compare(a, b, tolerance)
    notes = list(setup_differences(a, b))
    print("\n".join([*notes, *([""] if notes else []), *comparison_lines(changes)]))
    return int(given.fail_if_worse and any(change.verdict == "worse" for change in changes))
