"""True poses of the camera from a topic of a bag or a TUM file, and their association with stamps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from perception_common.errors import InputError
from perception_common.geometry import matrix_from_quaternion, quaternion_fault, transform
from perception_common.stamps import stamp_ns
from perception_common.text.problems import shortened
from perception_common.tum import Trajectory, read_tum
from replay_ros.bags.datasets.ground_truth import interpolate_rotation
from replay_ros.bags.reader import Bag
from replay_ros.evaluation.motion.results import Association

TOLERANCE = 0.05  # seconds between a pose and its truth (empirical)
SAME_POSE = 1e-6  # metres, and entries of a rotation matrix: rounding of a pose that is published twice
TF = "tf2_msgs/msg/TFMessage"
TRANSFORM = "geometry_msgs/msg/TransformStamped"
TYPES = (
    "geometry_msgs/msg/PoseStamped",
    "geometry_msgs/msg/PoseWithCovarianceStamped",
    "nav_msgs/msg/Odometry",
    TRANSFORM,
    TF,
)


@dataclass(frozen=True, eq=False)
class TrueMotion:
    """The true poses of the optical frame.

    source: file or topic. notes: on poses that were left out. is_exact: False where the poses tell a covariance.
    """

    source: str
    trajectory: Trajectory
    notes: tuple[str, ...] = ()
    is_exact: bool = True


def read_truth(
    source: str, bag: Bag | None, *, child_frame: str | None = None, T_base_optical: np.ndarray | None = None
) -> TrueMotion:
    """Read the truth from a TUM file, or from a topic of the bag when there is no such file.

    child_frame: of the transforms to use, where a topic holds several. T_base_optical: (4, 4), pose of the optical
    frame in the body frame of the truth; None: the truth is of the optical frame. Raises InputError when neither file
    nor topic exists, and for topics of other types.
    """
    path = Path(source).expanduser()
    if path.is_file():
        truth = TrueMotion(str(path), read_tum(path))
    elif bag is None:
        raise InputError(f"the truth {source} is not a file; give a TUM file (stamp tx ty tz qx qy qz qw)")
    else:
        truth = _read_topic(bag, source, child_frame)
    if T_base_optical is None:
        return truth
    moved = Trajectory.from_matrices(truth.trajectory.stamps_ns, truth.trajectory.matrices() @ T_base_optical)
    return replace(truth, source=f"{truth.source}, moved to the optical frame", trajectory=moved)


def find_truth_topic(bag: Bag) -> str | None:
    """Return the only pose topic with "ground_truth" or "groundtruth" in its name; None for none or several."""
    names = [topic.name for topic in bag.of_type(*TYPES) if "groundtruth" in topic.name.lower().replace("_", "")]
    return names[0] if len(names) == 1 else None


def associate(
    stamps_ns: np.ndarray, truth: Trajectory, tolerance: float = TOLERANCE
) -> tuple[np.ndarray, np.ndarray, Association]:
    """Find the true pose at each stamp (N,), nanoseconds.

    A stamp is matched when the nearest true pose lies within `tolerance` seconds. Its pose is interpolated between two
    true poses that are at most twice the tolerance apart, else the nearest one is taken. Returns (matched (N,) bool,
    poses (N, 4, 4), identity where unmatched, Association).
    """
    stamps = np.asarray(stamps_ns, np.int64)
    limit = round(tolerance * 1e9)
    after = np.searchsorted(truth.stamps_ns, stamps)
    last = len(truth) - 1
    before, after = np.clip(after - 1, 0, last), np.clip(after, 0, last)
    gaps_before, gaps_after = (np.abs(stamps - truth.stamps_ns[index]) for index in (before, after))
    gaps = np.minimum(gaps_before, gaps_after)
    matched = gaps <= limit
    poses = np.tile(np.eye(4), (len(stamps), 1, 1))
    for k in np.flatnonzero(matched):
        i, j = int(before[k]), int(after[k])
        span = int(truth.stamps_ns[j] - truth.stamps_ns[i])
        is_between = truth.stamps_ns[i] <= stamps[k] <= truth.stamps_ns[j]
        if gaps[k] == 0 or not is_between or span > 2 * limit:
            fraction = 0.0 if gaps_before[k] < gaps_after[k] else 1.0
        else:
            fraction = float(gaps_before[k] / span)
        rotation = matrix_from_quaternion(interpolate_rotation(truth.orientations[i], truth.orientations[j], fraction))
        poses[k] = transform(rotation, (1 - fraction) * truth.positions[i] + fraction * truth.positions[j])
    found = gaps[matched] / 1e9
    return (
        matched,
        poses,
        Association(
            tolerance_s=tolerance,
            poses=len(stamps),
            matched=int(matched.sum()),
            unmatched=int((~matched).sum()),
            median_gap_s=float(np.median(found)) if len(found) else None,
            largest_gap_s=float(found.max()) if len(found) else None,
        ),
    )


def _read_topic(bag: Bag, name: str, child_frame: str | None) -> TrueMotion:
    topic = bag.topic(name)
    if topic.type not in TYPES:
        raise InputError(f"{topic.name} in {bag.path} is a {topic.type}; the truth must be one of {', '.join(TYPES)}")
    poses: dict[int, np.ndarray] = {}
    contradicting: set[int] = set()  # stamps, as of a recording in which they start over
    children: set[str] = set()
    broken: list[str] = []
    is_exact = True
    for item in bag.messages([topic.name]):
        is_exact = is_exact and not np.any(getattr(getattr(item.message, "pose", None), "covariance", 0.0))
        for stamp, child, position, orientation in _poses(item.message, topic.type):
            children.add(child)
            if child_frame is None or child == child_frame:
                p = np.array([getattr(position, axis) for axis in "xyz"])
                q = np.array([getattr(orientation, axis) for axis in "xyzw"])
                fault = quaternion_fault(q) if np.isfinite(p).all() else "has a position that is not finite"
                if fault:
                    broken.append(f"the pose at {stamp / 1e9:.6f} s {fault}")
                    continue
                pose = transform(matrix_from_quaternion(q), p)
                if not np.allclose(poses.setdefault(stamp, pose), pose, atol=SAME_POSE):
                    contradicting.add(stamp)
    if child_frame is None and len(children) > 1:
        raise InputError(
            f"{topic.name} in {bag.path} has transforms of {', '.join(sorted(children))}; "
            "say which are the truth with --truth-frame"
        )
    for stamp in contradicting:
        del poses[stamp]
    if contradicting and not poses:
        raise InputError(
            f"{topic.name} in {bag.path} has other poses at each stamp when it repeats: "
            "evaluate parts of the recording in which the stamps increase"
        )
    if broken and not poses:
        raise InputError(f"{topic.name} in {bag.path}: none of its {len(broken)} poses can be used; {broken[0]}")
    if not poses:
        there = f"no transform of {child_frame}, only of {', '.join(sorted(children))}" if children else "no poses"
        raise InputError(f"{topic.name} in {bag.path} holds {there}")
    stamps = sorted(poses)
    chosen = f", frame {child_frame}" if child_frame else ""
    chosen += f", without {len(contradicting)} stamps that have several poses" if contradicting else ""
    trajectory = Trajectory.from_matrices(stamps, [poses[stamp] for stamp in stamps])
    notes = (f"{len(broken)} poses of {topic.name} left out ({shortened(broken)})",) if broken else ()
    return TrueMotion(f"{topic.name} ({topic.type}{chosen})", trajectory, notes, is_exact)


def _poses(message: Any, type_name: str) -> Iterator[tuple[int, str, Any, Any]]:
    """Yield (stamp, child frame, position, orientation) of all poses in a message."""
    if type_name == TF:
        for each in message.transforms:
            yield from _poses(each, TRANSFORM)
    elif type_name == TRANSFORM:
        motion = message.transform
        yield stamp_ns(message.header), message.child_frame_id, motion.translation, motion.rotation
    else:
        pose = message.pose if type_name.endswith("/PoseStamped") else message.pose.pose
        yield stamp_ns(message.header), getattr(message, "child_frame_id", ""), pose.position, pose.orientation
