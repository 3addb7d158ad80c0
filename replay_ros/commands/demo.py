"""The command `demo`: a flight through both nodes over DDS, ending in a report to look at."""

from __future__ import annotations

import argparse
from pathlib import Path

from replay_ros.demo import run_demo, run_thermal_demo
from replay_ros.replay import describe_replay
from replay_ros.result.completeness import missing_answers

NAME = "demo"


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    example = f"""\
examples:
  {prog}                                   a simulated city block, and thermal images
  {prog} flight/images --camera camera.yaml
  {prog} recorded_bag --out my_output
"""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, epilog=example, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "flight", type=Path, nargs="?", help="bag, folder of images or video (default: a simulated one)"
    )
    parser.add_argument("--camera", type=Path, help="camera file, for a folder or a video (see make_bag)")
    parser.add_argument("--limit", type=int, help="images at most")
    parser.add_argument("--out", type=Path, default=Path("demo_output"), help="folder to write (default: demo_output)")
    return parser


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Run the command."""
    given = build_parser(prog).parse_args(arguments)
    result = run_demo(given.flight, given.out, given.camera, given.limit)
    print("\n".join(describe_replay(result)))
    for missing in missing_answers(result):
        print(f"  not answered: {missing}")
    print(f"open {given.out / 'report.html'}; result: {given.out / 'result.json'}, bag: {given.out / 'answers'}")
    if given.flight is None:
        run_thermal_demo(given.out)
        print(f"open {given.out / 'thermal.html'}: yolc_lite_thermal on five thermal images")
    return 0
