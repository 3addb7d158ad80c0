"""The tree of frames of /tf and /tf_static with lookup by stamp: what tf2_ros does, without the need to install it.

The node fills it from subscriptions (loftr_ros/ros/mount_lookup.py), the replay from a bag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from loftr_ros.sensors.buffer import StampedBuffer
from loftr_ros.sensors.readings import is_orientation, pose_between, stamp_between
from perception_common.geometry import inverse, matrix_from_quaternion, transform
from perception_common.stamps import stamp_ns

_SIZE = 1000  # transforms that are kept of each moving frame
_MAX_GAP = 1.0  # seconds between two transforms to interpolate
_MAX_AGE = 0.2  # seconds between the nearest transform and the requested stamp, outside of interpolation


@dataclass(frozen=True, eq=False)
class StampedTransform:
    """Pose of a child frame in its parent frame, T_parent_child (4, 4), at a stamp."""

    stamp_ns: int
    T_parent_child: np.ndarray


class TransformTree:
    """Frames by name, each with one parent and either one static transform or stamped ones. Thread-safe."""

    def __init__(self, max_age: float = _MAX_AGE):
        """max_age: seconds between the transform of a moving frame and the requested stamp."""
        self._max_age = max_age
        self._parents: dict[str, str] = {}
        self._static: dict[str, np.ndarray] = {}
        self._moving: dict[str, StampedBuffer[StampedTransform]] = {}

    def add(self, message: Any, *, is_static: bool) -> None:
        """Add a geometry_msgs/TransformStamped; an invalid one (not finite, no unit quaternion) is ignored."""
        t, q = message.transform.translation, message.transform.rotation
        position, quaternion = np.array([t.x, t.y, t.z]), np.array([q.x, q.y, q.z, q.w])
        if not np.isfinite(position).all() or not is_orientation(quaternion):
            return
        child, T = _name(message.child_frame_id), transform(matrix_from_quaternion(quaternion), position)
        if is_static:
            self._static[child] = T
        else:
            self._moving.setdefault(child, StampedBuffer(_SIZE)).add(StampedTransform(stamp_ns(message.header), T))
        self._parents[child] = _name(message.header.frame_id)

    def lookup(self, target: str, source: str, stamp_ns: int) -> np.ndarray | None:
        """Return T_target_source (4, 4) at a stamp, p_target = T p_source; None for frames that are not connected."""
        target_ancestors = self._ancestors(_name(target), stamp_ns)
        source_ancestors = self._ancestors(_name(source), stamp_ns)
        for ancestor, T_ancestor_source in source_ancestors.items():
            if ancestor in target_ancestors:
                return inverse(target_ancestors[ancestor]) @ T_ancestor_source
        return None

    def _ancestors(self, frame: str, stamp_ns: int) -> dict[str, np.ndarray]:
        """Return T_ancestor_frame (4, 4) of the frame itself and all its ancestors, nearest first."""
        T = np.eye(4)
        ancestors = {frame: T}
        while frame in self._parents and self._parents[frame] not in ancestors:  # a cycle would not end
            T_parent_frame = self._parent_transform(frame, stamp_ns)
            if T_parent_frame is None:
                break
            frame, T = self._parents[frame], T_parent_frame @ T
            ancestors[frame] = T
        return ancestors

    def _parent_transform(self, frame: str, stamp_ns: int) -> np.ndarray | None:
        if frame in self._static:
            return self._static[frame]
        found = self._moving[frame].between(stamp_ns, _interpolate, _MAX_GAP)
        return found.value.T_parent_child if found is not None and found.age <= self._max_age else None


def _interpolate(a: StampedTransform, b: StampedTransform, share: float) -> StampedTransform:
    return StampedTransform(stamp_between(a, b, share), pose_between(a.T_parent_child, b.T_parent_child, share))


def _name(frame: str) -> str:
    return frame.removeprefix("/")
