"""The tree of frames that /tf and /tf_static describe, looked up by stamp. Pure; `transforms.py` fills it.

tf2_ros does the same where it is installed; this needs the messages alone, and none of them to be tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from loftr_ros.sensors.buffer import StampedBuffer
from loftr_ros.sensors.readings import rotation_between
from perception_common.geometry import inverse, matrix_from_quaternion, transform
from perception_common.stamps import stamp_ns

_SIZE = 1000  # transforms kept of each moving frame
_MAX_GAP = 1.0  # seconds between two transforms that are interpolated


@dataclass(frozen=True, eq=False)
class StampedTransform:
    """T_parent_child (4, 4) at a stamp."""

    stamp_ns: int
    T: np.ndarray


class TransformTree:
    """Frames by name, each below one parent; static frames have one transform for all time. Thread-safe."""

    def __init__(self, max_age: float = 0.2):
        """max_age: seconds by which the transform of a moving frame may miss the stamp asked for."""
        self._max_age = max_age
        self._parents: dict[str, str] = {}
        self._static: dict[str, np.ndarray] = {}
        self._moving: dict[str, StampedBuffer[StampedTransform]] = {}

    def add(self, message: Any, *, is_static: bool) -> None:
        """Add a geometry_msgs/TransformStamped; one that is not finite is left out."""
        t, q = message.transform.translation, message.transform.rotation
        position, turn = np.array([t.x, t.y, t.z]), np.array([q.x, q.y, q.z, q.w])
        if not np.isfinite(position).all() or not 0.5 < np.linalg.norm(turn) < 2.0:
            return
        child, T = _name(message.child_frame_id), transform(matrix_from_quaternion(turn), position)
        if is_static:
            self._static[child] = T
        else:
            self._moving.setdefault(child, StampedBuffer(_SIZE)).add(StampedTransform(stamp_ns(message.header), T))
        self._parents[child] = _name(message.header.frame_id)

    def lookup(self, target: str, source: str, stamp_ns: int) -> np.ndarray | None:
        """Return T_target_source (4, 4) at a stamp (p_target = T p_source), None where the tree does not know it."""
        from_target = self._way_up(_name(target), stamp_ns)
        from_source = self._way_up(_name(source), stamp_ns)
        for ancestor, T_ancestor_source in from_source.items():
            if ancestor in from_target:
                return inverse(from_target[ancestor]) @ T_ancestor_source
        return None

    def _way_up(self, frame: str, stamp_ns: int) -> dict[str, np.ndarray]:
        """Return T_ancestor_frame of the frame itself and all its ancestors, nearest first."""
        way = {frame: np.eye(4)}
        T = np.eye(4)
        while frame in self._parents and self._parents[frame] not in way:  # a ring has no end
            step = self._step(frame, stamp_ns)
            if step is None:
                break
            frame, T = self._parents[frame], step @ T
            way[frame] = T
        return way

    def _step(self, frame: str, stamp_ns: int) -> np.ndarray | None:
        if frame in self._static:
            return self._static[frame]
        found = self._moving[frame].between(stamp_ns, _between, _MAX_GAP)
        return found.value.T if found is not None and found.age <= self._max_age else None


def _between(a: StampedTransform, b: StampedTransform, share: float) -> StampedTransform:
    position = (1 - share) * a.T[:3, 3] + share * b.T[:3, 3]
    rotation = rotation_between(a.T[:3, :3], b.T[:3, :3], share)
    return StampedTransform(round(a.stamp_ns + share * (b.stamp_ns - a.stamp_ns)), transform(rotation, position))


def _name(frame: str) -> str:
    return frame.removeprefix("/")
