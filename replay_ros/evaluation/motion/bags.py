"""Evaluates the motion in a replayed bag: relative poses and trajectory against truth from a topic or a TUM file."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perception_common.errors import InputError
from perception_common.tum import Trajectory
from replay_ros.bags.reader import Bag, open_bag
from replay_ros.evaluation.motion.edges import edge_of_message, trajectory_of_poses
from replay_ros.evaluation.motion.metrics import UNNAMED, evaluate_motion
from replay_ros.evaluation.motion.odometry import compare_odometry
from replay_ros.evaluation.motion.results import MotionResult, OdometryConsistency
from replay_ros.evaluation.motion.tracks import track_figures
from replay_ros.evaluation.motion.truth import TOLERANCE, TrueMotion, find_truth_topic, read_truth

RELATIVE_POSE = "yolc_ros/msg/RelativePose"
CORRESPONDENCES = "yolc_ros/msg/Correspondences"
ODOMETRY = "nav_msgs/msg/Odometry"
POSE_STAMPED = "geometry_msgs/msg/PoseStamped"


@dataclass(frozen=True, eq=False)
class MotionBagOptions:
    """Which topics of a bag to compare with which ground truth.

    truth: topic or TUM file; None: the only topic named ground_truth. truth_bag: bag with the truth topic; None: the
    evaluated bag. truth_frame: child frame of the transforms that are the truth. T_base_optical: (4, 4), pose of the
    optical frame in the frame of the truth; None: the truth is of the optical frame. relative_pose_topic: None: the
    only topic of its type. pose_topic: the trajectory; None: `pose` beside the relative poses. estimator: description,
    copied into the result. tolerance: largest stamp difference of a pose and its truth, seconds.
    """

    truth: str | None = None
    truth_bag: Path | None = None
    truth_frame: str | None = None
    T_base_optical: np.ndarray | None = None
    relative_pose_topic: str | None = None
    pose_topic: str | None = None
    estimator: str = UNNAMED
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        if not self.tolerance > 0:
            raise InputError(f"the stamp tolerance is {self.tolerance:g} s; it must be above 0")


def evaluate_motion_of_bag(path: Path, options: MotionBagOptions = MotionBagOptions()) -> MotionResult:
    """Compare the motion in a bag with the truth. Raises InputError for unusable bags, topics and files."""
    with ExitStack() as stack:
        bag = stack.enter_context(open_bag(path))
        truth_bag = bag if options.truth_bag is None else stack.enter_context(open_bag(options.truth_bag))
        return _evaluate(bag, truth_bag, options)


def _evaluate(bag: Bag, truth_bag: Bag, options: MotionBagOptions) -> MotionResult:
    source = options.truth or find_truth_topic(truth_bag)
    if source is None:
        raise InputError(f"{truth_bag.path} has no topic or several topics named ground_truth; say which with --truth")
    truth = read_truth(source, truth_bag, child_frame=options.truth_frame, T_base_optical=options.T_base_optical)
    # Topics that end with _base hold the same motion in the vehicle's base frame.
    of_cameras = [name for name in _topics_of(bag, RELATIVE_POSE) if not name.endswith("_base")]
    topics = [options.relative_pose_topic] if options.relative_pose_topic else of_cameras
    if len(topics) != 1 or bag.filled_topic(topics[0]).type != RELATIVE_POSE:
        found = ", ".join(topics) or "none"
        raise InputError(f"{bag.path} must have one topic of {RELATIVE_POSE} ({found}); use --relative-pose-topic")
    edges = [edge_of_message(item.message) for item in bag.messages(topics)]
    beside = bag.topic(topics[0]).name
    matches = (item.message for item in bag.messages(_topics_of(bag, CORRESPONDENCES)[:1]))
    return evaluate_motion(
        edges,
        truth,
        trajectory=_read_trajectory(bag, options.pose_topic, beside),
        estimator=options.estimator,
        tolerance=options.tolerance,
        tracks=track_figures(matches, truth.trajectory, options.tolerance),
        odometry=_compare_odometry(bag, beside, truth, options) if truth.is_exact else None,
    )


def _compare_odometry(
    bag: Bag, beside: str, truth: TrueMotion, options: MotionBagOptions
) -> OdometryConsistency | None:
    """Compare `odometry` in the namespace of the topic `beside`, if any, of the optical frame or a known base."""
    topic = f"{beside.rpartition('/')[0]}/odometry"
    if topic not in _topics_of(bag, ODOMETRY):
        return None
    messages = [item.message for item in bag.messages([topic])]
    optical = next((item.message.header.frame_id for item in bag.messages([beside])), "")
    is_of_camera = bool(messages) and messages[0].child_frame_id == optical
    T_child_optical = np.eye(4) if is_of_camera else options.T_base_optical
    if T_child_optical is None:  # where the base is on the camera's path is not known
        return None
    return compare_odometry(messages, truth.trajectory, T_child_optical, options.tolerance)


def _read_trajectory(bag: Bag, pose_topic: str | None, beside: str) -> Trajectory | None:
    """Read the published poses; without `pose_topic` from `pose` in the namespace of the topic `beside`, if any."""
    topic = pose_topic or f"{beside.rpartition('/')[0]}/pose"
    if not pose_topic and topic not in _topics_of(bag, POSE_STAMPED):
        return None
    if bag.filled_topic(topic).type != POSE_STAMPED:
        raise InputError(f"{topic} in {bag.path} is a {bag.topic(topic).type}, no {POSE_STAMPED}")
    return trajectory_of_poses(item.message for item in bag.messages([topic]))


def _topics_of(bag: Bag, type_name: str) -> list[str]:
    return [topic.name for topic in bag.of_type(type_name)]
