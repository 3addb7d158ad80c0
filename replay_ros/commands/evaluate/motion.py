"""Evaluates the relative poses and the trajectory in a bag against ground truth."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np

from loftr_ros.base_frame import parse_mount
from perception_common.atomic_file import check_writable
from perception_common.cli import number
from perception_common.errors import InputError
from perception_common.text.json_files import write_json
from replay_ros.evaluation.motion.bags import MotionBagOptions, evaluate_motion_of_bag
from replay_ros.evaluation.motion.metrics import UNNAMED
from replay_ros.evaluation.motion.text import motion_lines
from replay_ros.evaluation.motion.truth import TOLERANCE

NAME = "evaluate_motion"

_DESCRIPTION = """\
Compare the relative poses of a replayed bag, their covariances and the chained trajectory with the ground truth: pose
AUC@5/10/20, NEES, ATE and RPE (evo), drift per metre. The truth is a topic of PoseStamped,
PoseWithCovarianceStamped, Odometry, TransformStamped or TFMessage, or a TUM file (stamp tx ty tz qx qy qz qw).
"""


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=_DESCRIPTION,
        epilog=f"""\
example:
  {prog} replayed --truth /ground_truth/pose --json motion.json
  {prog} replayed --truth mocap.tum --base-optical 0.1,0,0,-0.5,0.5,-0.5,0.5 --tolerance 0.02
""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bag", type=Path, metavar="BAG", help="bag with the output of loftr_node")
    add_motion_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    return parser


def add_motion_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of an evaluation, but for those of a single bag."""
    parser.add_argument(
        "--truth", metavar="TOPIC|FILE", help="true poses (default: the only topic with ground_truth in its name)"
    )
    parser.add_argument("--truth-bag", type=Path, metavar="BAG", help="bag with the truth topic (default: BAG)")
    parser.add_argument("--truth-frame", metavar="FRAME", help="child frame of the transforms that are the truth")
    parser.add_argument(
        "--base-optical",
        metavar="x,y,z,qx,qy,qz,qw",
        help="pose of the camera's optical frame in the frame of the truth (default: the truth is of the camera)",
    )
    tolerance = f"largest stamp difference of a pose and its truth, seconds (default: {TOLERANCE})"
    parser.add_argument("--tolerance", type=number, default=TOLERANCE, metavar="S", help=tolerance)
    parser.add_argument("--relative-pose-topic", metavar="TOPIC", help="default: the only topic of this type")
    parser.add_argument("--pose-topic", metavar="TOPIC", help="trajectory (default: `pose` beside the relative poses)")
    parser.add_argument("--estimator", default=UNNAMED, metavar="TEXT", help="pose estimator, copied into the result")


def motion_options(given: argparse.Namespace) -> MotionBagOptions:
    """Return what the options of `add_motion_options` say. Raises InputError."""
    return MotionBagOptions(
        truth=given.truth,
        truth_bag=given.truth_bag,
        truth_frame=given.truth_frame,
        T_base_optical=_mount(given.base_optical),
        relative_pose_topic=given.relative_pose_topic,
        pose_topic=given.pose_topic,
        estimator=given.estimator,
        tolerance=given.tolerance,
    )


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Run the command. Raises InputError for bags, topics and files that cannot be used."""
    given = build_parser(prog).parse_args(arguments)
    check_writable(given.json)
    result = evaluate_motion_of_bag(given.bag, motion_options(given))
    print("\n".join(motion_lines(result)))
    if given.json:
        write_json(given.json, {"bag": str(given.bag), **asdict(result)})
    if not result.association.matched:
        raise InputError(
            f"{given.bag}: none of its {result.association.poses} poses has a true pose within "
            f"{result.association.tolerance_s:g} s, so nothing was compared; check that {result.truth} is of this "
            "recording and has its clock"
        )
    return 0


def _mount(text: str | None) -> np.ndarray | None:
    return None if text is None else parse_mount(text, "--base-optical", normalise=True)
