"""Write what a replay showed as one HTML file to open, mail and keep."""

from __future__ import annotations

import argparse
from pathlib import Path

from perception_common.errors import InputError
from replay_ros.report.build import read_content
from replay_ros.report.pictures import MAX_PICTURES
from replay_ros.report.reading.results import read_results
from replay_ros.report.to_html import write_html
from replay_ros.report.to_rerun import write_rerun

NAME = "report"


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    examples = f"""\
examples:
  {prog.removesuffix(NAME)}replay flight_bag answers --live --lockstep && {prog} answers
  {prog} answers --result result.json --result detection.json --out report.html
  {prog} answers --truth mocap.tum --rerun report.rrd
"""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bag", type=Path, help="written by replay")
    parser.add_argument(
        "--result", type=Path, action="append", default=[], help="JSON of replay or of an evaluation; repeatable"
    )
    parser.add_argument("--out", type=Path, default=Path("report.html"), help="file to write (default: report.html)")
    parser.add_argument("--image-topic", help="needed when the bag has several")
    parser.add_argument(
        "--truth", metavar="TOPIC|FILE", help="true poses of the camera (default: the topic named ground_truth)"
    )
    parser.add_argument(
        "--pictures", type=int, default=MAX_PICTURES, help=f"frames to show at most (default: {MAX_PICTURES})"
    )
    parser.add_argument("--rerun", type=Path, metavar="FILE.rrd", help="also write a recording for the Rerun viewer")
    return parser


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Run the command. Raises InputError for bags and results that cannot be used."""
    given = build_parser(prog).parse_args(arguments)
    if given.pictures < 1:
        raise InputError(f"--pictures is {given.pictures}; give at least 1")
    content = read_content(
        given.bag,
        read_results(given.result),
        image_topic=given.image_topic,
        truth=given.truth,
        pictures=given.pictures,
    )
    write_html(content, given.out)
    print(f"{given.out}: {len(content.frames)} frames, {given.out.stat().st_size / 1e6:.1f} MB. {content.shown}")
    if given.rerun:
        write_rerun(content, given.rerun)
        print(f"{given.rerun}: open it with `rerun {given.rerun}`")
    return 0
