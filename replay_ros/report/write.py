"""The command `report`: what a replay showed, as one HTML file to open, mail and keep."""

from __future__ import annotations

import argparse
from pathlib import Path

from perception_common.errors import InputError
from replay_ros.report.reading.from_bag import read_content
from replay_ros.report.reading.from_result import read_results
from replay_ros.report.render import write_html
from replay_ros.report.selection import MAX_PICTURES
from replay_ros.report.to_rerun import write_rerun

EXAMPLE = """\
examples:
  replay flight_bag answers --live --lockstep && report answers
  report answers --result result.json --result detection.json --out report.html
  report answers --truth mocap.tum --rerun report.rrd
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Raises InputError for bags and results that cannot be used."""
    parser = argparse.ArgumentParser(
        prog="report", description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bag", type=Path, help="that replay wrote")
    parser.add_argument(
        "--result", type=Path, action="append", default=[], help="JSON of replay or of an evaluation; repeatable"
    )
    parser.add_argument("--out", type=Path, default=Path("report.html"), help="file to write (default: report.html)")
    parser.add_argument("--image-topic", help="needed when the bag holds several")
    parser.add_argument(
        "--truth", metavar="TOPIC|FILE", help="poses of the camera (default: the topic named ground_truth)"
    )
    parser.add_argument(
        "--pictures", type=int, default=MAX_PICTURES, help=f"frames to show at most (default: {MAX_PICTURES})"
    )
    parser.add_argument("--rerun", type=Path, metavar="FILE.rrd", help="write a recording for the Rerun viewer too")
    given = parser.parse_args(arguments)
    if given.pictures < 1:
        raise InputError(f"--pictures is {given.pictures}; give at least 1")
    content = read_content(given.bag, read_results(given.result), given.image_topic, given.truth, given.pictures)
    write_html(content, given.out)
    print(f"{given.out}: {len(content.frames)} frames, {given.out.stat().st_size / 1e6:.1f} MB. {content.shown}")
    if given.rerun:
        write_rerun(content, given.rerun)
        print(f"{given.rerun}: open it with `rerun {given.rerun}`")
    return 0
