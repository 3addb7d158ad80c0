"""The command `bag_info`: what is in a bag, how well it was recorded, and what this package can do with it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from replay_ros.bags.inspection.inspect_bag import inspect_bag
from replay_ros.bags.inspection.report import describe_report
from replay_ros.bags.reader import open_bag

NAME = "bag_info"


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Return the parser of the command line; `prog` is the name that its help shows."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Report what is in a rosbag2, how well it was recorded, and what this package can do with it.",
        epilog=f"example:\n  {prog} flight_bag\n  {prog} flight_bag --json > flight_bag.json\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bag", type=Path, metavar="BAG", help="folder of the bag, or one .mcap or .db3 file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Run the command. Raises InputError for a path that is not a bag and for a damaged bag."""
    options = build_parser(prog).parse_args(arguments)
    with open_bag(options.bag, tell=lambda *_: None) as bag:  # the report has the remarks
        report = inspect_bag(bag)
    print(json.dumps(asdict(report), indent=2) if options.json else describe_report(report))
    return 0
