"""The command `evaluate_motion`: how good the relative poses and the trajectory in a bag are."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from perception_common.cli import run
from perception_common.errors import InputError
from replay_ros.bags.reader import Bag, open_bag
from replay_ros.evaluation.evaluation_commands import write_json
from replay_ros.evaluation.motion_edges import edge_of_message, trajectory_of_poses
from replay_ros.evaluation.motion_metrics import UNNAMED, evaluate_motion
from replay_ros.evaluation.motion_results import MotionResult
from replay_ros.evaluation.motion_text import render
from replay_ros.evaluation.motion_truth import TOLERANCE, find_truth_topic, parse_base_optical, read_truth

RELATIVE_POSE = "yolc_ros/msg/RelativePose"
POSE_STAMPED = "geometry_msgs/msg/PoseStamped"

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
    options = _parse(argv)
    with ExitStack() as stack:
        bag = stack.enter_context(open_bag(options.bag))
        truth_bag = bag if options.truth_bag is None else stack.enter_context(open_bag(options.truth_bag))
        result = _evaluate(bag, truth_bag, options)
    print("\n".join(render(result)))
    if options.json:
        write_json(options.json, {"bag": str(options.bag), **asdict(result)})
    return 0


def _evaluate(bag: Bag, truth_bag: Bag, options: argparse.Namespace) -> MotionResult:
    source = options.truth or find_truth_topic(truth_bag)
    if source is None:
        raise InputError(f"{truth_bag.path} has no topic, or several, named ground_truth; say which with --truth")
    truth = read_truth(
        source,
        truth_bag,
        child_frame=options.truth_frame,
        T_base_optical=None if options.base_optical is None else parse_base_optical(options.base_optical),
    )
    topics = [options.relative_pose_topic] if options.relative_pose_topic else _named(bag, RELATIVE_POSE)
    if len(topics) != 1 or bag.topic(topics[0]).type != RELATIVE_POSE:
        there = ", ".join(topics) or "none"
        raise InputError(f"{bag.path} must have one topic of {RELATIVE_POSE} ({there}); use --relative-pose-topic")
    edges = [edge_of_message(item.message) for item in bag.messages(topics)]
    # The trajectory lies beside the relative poses: loftr/pose beside loftr/relative_pose.
    pose_topic = options.pose_topic or f"{bag.topic(topics[0]).name.rpartition('/')[0]}/pose"
    trajectory = None
    if options.pose_topic or pose_topic in _named(bag, POSE_STAMPED):
        if bag.topic(pose_topic).type != POSE_STAMPED:
            raise InputError(f"{pose_topic} in {bag.path} is a {bag.topic(pose_topic).type}, no {POSE_STAMPED}")
        trajectory = trajectory_of_poses(item.message for item in bag.messages([pose_topic]))
    return evaluate_motion(
        edges, truth, trajectory=trajectory, estimator=options.estimator, tolerance=options.tolerance
    )


def _named(bag: Bag, type_name: str) -> list[str]:
    return [topic.name for topic in bag.of_type(type_name)]


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
    options = parser.parse_args(argv)
    if not options.tolerance > 0:
        raise InputError(f"--tolerance is {options.tolerance:g} s; give one above 0")
    return options


if __name__ == "__main__":
    run(main)
