"""The command `evaluate_motion`: how good the relative poses and the trajectory in a bag are."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from loftr_ros.base_frame import parse_mount
from perception_common.cli import run
from perception_common.text.json_files import write_json
from replay_ros.evaluation.motion.bags import MotionBagOptions, evaluate_motion_of_bag
from replay_ros.evaluation.motion.metrics import UNNAMED
from replay_ros.evaluation.motion.text import render
from replay_ros.evaluation.motion.truth import TOLERANCE

_DESCRIPTION = """\
Compare the relative poses of a replayed bag, their covariances and the chained trajectory with the truth: pose
AUC@5/10/20, NEES, ATE and RPE (evo), drift per metre. The truth is a topic of PoseStamped,
PoseWithCovarianceStamped, Odometry, TransformStamped or TFMessage, or a TUM file (stamp tx ty tz qx qy qz qw).
"""

_EXAMPLE = """\
example:
  evaluate_motion replayed --truth /ground_truth/pose --json motion.json
  evaluate_motion replayed --truth mocap.tum --base-optical 0.1,0,0,-0.5,0.5,-0.5,0.5 --tolerance 0.02
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Raises InputError for bags, topics and files that cannot be used."""
    given = _parse(argv)
    base_optical = None
    if given.base_optical is not None:
        base_optical = parse_mount(given.base_optical, "--base-optical", normalise=True)
    options = MotionBagOptions(
        *(given.truth, given.truth_bag, given.truth_frame, base_optical),
        *(given.relative_pose_topic, given.pose_topic, given.estimator, given.tolerance),
    )
    result = evaluate_motion_of_bag(given.bag, options)
    print("\n".join(render(result)))
    if given.json:
        write_json(given.json, {"bag": str(given.bag), **asdict(result)})
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="evaluate_motion",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bag", type=Path, metavar="BAG", help="with the answers of loftr_node")
    parser.add_argument("--truth", metavar="TOPIC|FILE", help="the only topic named ground_truth, unless given")
    parser.add_argument("--truth-bag", type=Path, metavar="BAG", help="where the truth's topic is (BAG)")
    parser.add_argument("--truth-frame", metavar="FRAME", help="child frame of the transforms that are the truth")
    parser.add_argument(
        "--base-optical",
        metavar="x,y,z,qx,qy,qz,qw",
        help="pose of the camera's optical frame in the frame of the truth (the truth is of the optical frame)",
    )
    parser.add_argument(
        "--tolerance", type=float, default=TOLERANCE, metavar="S", help=f"seconds between pose and truth ({TOLERANCE})"
    )
    parser.add_argument("--relative-pose-topic", metavar="TOPIC", help="the only one of its type, unless given")
    parser.add_argument("--pose-topic", metavar="TOPIC", help="the trajectory (`pose` beside the relative poses)")
    parser.add_argument("--estimator", default=UNNAMED, metavar="TEXT", help="what estimated them, for the record")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run(main)
