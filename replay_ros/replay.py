"""The command `replay`: a bag through the nodes, recorded with their answers in a new bag."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from perception_common.errors import InputError
from perception_common.resources import find_config
from replay_ros.live import LiveOptions, replay_live, summary

EXAMPLE = """\
examples:
  replay flight_bag answers_bag --live --lockstep
  replay flight_bag answers_bag --live --rate 1.0 --params-file my.yaml --json result.json
"""


def parse(arguments: list[str] | None) -> tuple[LiveOptions, Path | None]:
    """Read the command line. Raises InputError for what cannot be done."""
    parser = argparse.ArgumentParser(
        prog="replay", description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bag", type=Path, help="bag to play")
    parser.add_argument("out", type=Path, help="bag to write: inputs and answers")
    parser.add_argument("--live", action="store_true", help="through the nodes over DDS")
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--lockstep", action="store_true", help="send the next image when the last one is answered")
    pace.add_argument("--rate", type=float, default=1.0, help="times the bag's speed (default: 1)")
    parser.add_argument("--image-topic", help="needed when the bag holds several")
    parser.add_argument("--camera-info-topic", help="default: camera_info beside the image")
    parser.add_argument("--namespace", default="", help="of the nodes")
    parser.add_argument("--params-file", type=Path, help="parameters of the nodes (default: config/perception.yaml)")
    parser.add_argument("--no-detection", action="store_true", help="without yolc_node")
    parser.add_argument("--no-matching", action="store_true", help="without loftr_node")
    parser.add_argument("--running-nodes", action="store_true", help="use nodes that run already; start none")
    parser.add_argument("--limit", type=int, help="images to play")
    parser.add_argument("--answer-timeout", type=float, default=60.0, help="seconds to wait in lockstep (default: 60)")
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap")
    parser.add_argument("--json", type=Path, help="write the result here too")
    parser.add_argument("--force", action="store_true", help="replace a bag that is there")
    given = parser.parse_args(arguments)
    if not given.live:
        raise InputError("replay without the nodes is not there yet: add --live")
    if given.rate <= 0:
        raise InputError(f"--rate must be positive, not {given.rate:g}")
    options = LiveOptions(
        bag=given.bag,
        out=given.out,
        pace="lockstep" if given.lockstep else "rate",
        rate=given.rate,
        image_topic=given.image_topic,
        camera_info_topic=given.camera_info_topic,
        namespace=given.namespace,
        detection=not given.no_detection,
        matching=not given.no_matching,
        start_nodes=not given.running_nodes,
        params_file=given.params_file or find_config("perception.yaml"),
        limit=given.limit,
        answer_timeout=given.answer_timeout,
        storage=given.storage,
        force=given.force,
    )
    return options, given.json


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the status is 1 when images were left unanswered in lockstep."""
    options, json_file = parse(arguments)
    result = replay_live(options)
    text = json.dumps(summary(result), indent=2)
    print(text)
    if json_file:
        json_file.write_text(text + "\n")
    lost = options.pace == "lockstep" and any(result.answered(topic) < len(result.frames) for topic in result.awaited)
    return int(lost)
