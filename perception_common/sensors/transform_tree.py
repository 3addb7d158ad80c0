"""The tree of frames of /tf and /tf_static with lookup by stamp: what tf2_ros does, without the need to install it.

A transform is never older than it claims. Between two transforms of a moving frame, at most MAX_GAP_NS apart, the one
at the stamp is interpolated; before the first and after the last one nothing is known. One that is further ahead of the
images than that has a wrong stamp, or they paused: until an image comes near it, it is not used. The node fills the
tree from subscriptions (perception_common/node/transforms.py), the replay from a bag.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from perception_common.geometry import inverse, matrix_from_quaternion, transform
from perception_common.sensors.buffer import StampedBuffer
from perception_common.sensors.readings import is_orientation, pose_between
from perception_common.stamps import stamp_ns

MAX_GAP_NS = 10 * 10**9  # between two transforms to interpolate; the length of tf2's buffer, which bounds it there
RESTART_NS = 10**9  # a transform older than the newest one of its frame by more is not late: the clock restarted
CONTESTED_IMAGES = 300  # for which a frame with two sources is not used; 10 s at 30 Hz
# Transforms that are kept of each moving frame; of a fast one, until a slow one of the same chain has arrived.
_SIZE, _SPAN_NS, _MOST = 1000, 2 * MAX_GAP_NS, 20_000  # the last is 1 kHz over the span, 8 MB


@dataclass(frozen=True, eq=False)
class StampedTransform:
    """Pose of a child frame in its parent frame, T_parent_child (4, 4), at a stamp."""

    stamp_ns: int
    T_parent_child: np.ndarray


class Missing(Enum):
    """Why a transform is unknown. LATE: it is known as soon as the next transform of a frame arrives."""

    UNCONNECTED = "unconnected"
    LATE = "late"
    NEVER = "never"


@dataclass(frozen=True, eq=False)
class TransformLookup:
    """T: (4, 4), T_target_source; None where it is unknown. missing, reason: why it is unknown, else None and empty."""

    T: np.ndarray | None
    missing: Missing | None = None
    reason: str = ""


class _Source(NamedTuple):
    """Where the transforms of a frame come from."""

    parent: str
    is_static: bool

    def __str__(self) -> str:
        return f"{self.parent!r} on {'/tf_static' if self.is_static else '/tf'}"


@dataclass(frozen=True, eq=False)
class _Frame:
    """A frame in its parent: either a static transform (4, 4) or stamped ones. former: the source before this one."""

    source: _Source
    former: _Source | None
    static: np.ndarray | None
    moving: StampedBuffer[StampedTransform]


class TransformTree:
    """Frames by name, each with one parent and either one static transform or stamped ones. Thread-safe.

    A frame that changes to and fro between two sources is contested: nobody can tell which of them is right, so it is
    not used for the next CONTESTED_IMAGES images.
    invalid: count of the transforms that were left out, because they are not finite, have no unit quaternion, join no
    two frames, or have a stamp from long before the others without that the clock restarted, such as 0.
    """

    def __init__(self) -> None:
        self.invalid = 0
        self._frames: dict[str, _Frame] = {}
        self._old: dict[str, StampedTransform] = {}  # by frame: from long before its others; one more is a restart
        self._contested: dict[str, int] = {}  # number of images by then
        self._images = 0
        self._last_image_ns: int | None = None
        self._changed = threading.Condition()

    def add_all(self, message: Any, *, is_static: bool) -> None:
        """Add a tf2_msgs/TFMessage of /tf, or of /tf_static."""
        for each in message.transforms:
            self.add(each, is_static=is_static)

    def add(self, message: Any, *, is_static: bool) -> None:
        """Add a geometry_msgs/TransformStamped. A frame that gets another parent forgets the earlier one."""
        t, q = message.transform.translation, message.transform.rotation
        position, quaternion = np.array([t.x, t.y, t.z]), np.array([q.x, q.y, q.z, q.w])
        child, parent = frame_name(message.child_frame_id), frame_name(message.header.frame_id)
        is_pose = np.isfinite(position).all() and is_orientation(quaternion)
        if not is_pose or not child or not parent or child == parent:
            self.invalid += 1
            return
        T = transform(matrix_from_quaternion(quaternion), position)
        with self._changed:
            if is_static:
                self._frames[child] = self._frame_of(child, _Source(parent, True), T)
            else:
                self._add_moving(child, _Source(parent, False), StampedTransform(stamp_ns(message.header), T))
            self._changed.notify_all()

    def lookup(self, target: str, source: str, stamp_ns: int) -> np.ndarray | None:
        """Return T_target_source (4, 4) at a stamp, p_target = T p_source; None where it is unknown."""
        return self.find(target, source, stamp_ns).T

    def find(self, target: str, source: str, stamp_ns: int) -> TransformLookup:
        """Look a transform up; see `lookup`."""
        with self._changed:
            return self._find(frame_name(target), frame_name(source), stamp_ns)

    def wait(self, target: str, source: str, stamp_ns: int, timeout: float) -> TransformLookup:
        """Look a transform up; wait up to `timeout` seconds for one that is LATE."""
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                found = self._find(frame_name(target), frame_name(source), stamp_ns)
                left = end - time.monotonic()
                if found.missing is not Missing.LATE or left <= 0:
                    return found
                self._changed.wait(left)

    def begin_image(self, stamp_ns: int) -> None:
        """Take the stamp of each image, in order: one that jumps back means that the clock restarted."""
        if self._last_image_ns is not None and stamp_ns < self._last_image_ns:
            self.restart(stamp_ns)
        self._last_image_ns = stamp_ns
        self._images += 1

    def restart(self, stamp_ns: int) -> None:
        """Drop the transforms of a clock that restarted: images go on from this stamp.

        A frame whose transforms are from after the restart already keeps them.
        """
        with self._changed:
            for name, frame in self._frames.items():
                newest = frame.moving.newest
                if newest is not None and newest.stamp_ns > stamp_ns + RESTART_NS:
                    self._start_anew(name)

    def _frame_of(self, child: str, source: _Source, static: np.ndarray | None) -> _Frame:
        """Return a frame without stamped transforms; one that changes its source forgets the earlier one's."""
        before, former = self._frames.get(child), None
        if before is not None:
            former = before.former if before.source == source else before.source
            if source not in (before.source, before.former):
                self._contested.pop(child, None)
            elif source == before.former:
                self._contested[child] = self._images
        self._old.pop(child, None)
        return _Frame(source, former, static, StampedBuffer(_SIZE, _SPAN_NS, _MOST))

    def _is_contested(self, name: str) -> bool:
        return name in self._contested and self._images - self._contested[name] <= CONTESTED_IMAGES

    def _add_moving(self, child: str, source: _Source, reading: StampedTransform) -> None:
        frame = self._frames.get(child)
        if frame is None or frame.source != source:
            frame = self._frames[child] = self._frame_of(child, source, None)
        newest, old = frame.moving.newest, self._old.pop(child, None)
        if newest is None or reading.stamp_ns >= newest.stamp_ns - RESTART_NS:
            self.invalid += old is not None
        elif self._is_ahead(newest) and self._is_with_images(reading):  # the newest one had a wrong stamp
            frame.moving.drop_after(reading.stamp_ns)
        else:
            self._old[child] = reading
            if old is None or not 0 < reading.stamp_ns - old.stamp_ns <= MAX_GAP_NS:
                self.invalid += old is not None
                return
            for name in self._frames:  # the others are older than they claim too
                self._start_anew(name)
            frame.moving.add(old)
        frame.moving.add(reading)

    def _start_anew(self, name: str) -> None:
        """Drop the transforms of a frame from before the clock restarted."""
        moving = self._frames[name].moving
        moving.clear()
        if name in self._old:
            moving.add(self._old.pop(name))

    def _is_ahead(self, reading: StampedTransform) -> bool:
        """Tell whether a transform is from long after the last image."""
        return self._last_image_ns is not None and reading.stamp_ns > self._last_image_ns + MAX_GAP_NS

    def _is_with_images(self, reading: StampedTransform) -> bool:
        """Tell whether the clock of a transform is that of the last image, and did not restart since."""
        return self._last_image_ns is not None and reading.stamp_ns >= self._last_image_ns - RESTART_NS

    def _find(self, target: str, source: str, stamp_ns: int) -> TransformLookup:
        paths = self._paths(target, source)
        below = [*self._ancestors(source), *self._ancestors(target)] if paths is None else [*paths[0], *paths[1]]
        if contested := next((name for name in below if self._is_contested(name)), None):
            frame = self._frames[contested]
            reason = f"{contested!r} is given in turn in {frame.source} and in {frame.former}: stop a publisher"
            return TransformLookup(None, Missing.NEVER, reason)
        if paths is None:
            return TransformLookup(None, Missing.UNCONNECTED, f"/tf has no way from {source!r} to {target!r}")
        below_source, below_target = paths
        found = {frame: self._in_parent(frame, stamp_ns) for frame in (*below_source, *below_target)}
        for kind in (Missing.NEVER, Missing.LATE):
            for each in found.values():
                if each.missing is kind:
                    return each
        return TransformLookup(inverse(_product(found, below_target)) @ _product(found, below_source))

    def _paths(self, target: str, source: str) -> tuple[list[str], list[str]] | None:
        """Return the frames below the common ancestor of two frames, from the source and from the target upwards."""
        of_source, of_target = list(self._ancestors(source)), list(self._ancestors(target))
        common = next((frame for frame in of_source if frame in of_target), None)
        if common is None:
            return None
        return of_source[: of_source.index(common)], of_target[: of_target.index(common)]

    def _ancestors(self, frame: str) -> Iterator[str]:
        """Yield the frame itself and all its ancestors, nearest first."""
        seen = set()
        while frame not in seen:  # a cycle would not end
            yield frame
            seen.add(frame)
            if frame not in self._frames:
                return
            frame = self._frames[frame].source.parent

    def _in_parent(self, name: str, stamp_ns: int) -> TransformLookup:
        frame = self._frames[name]
        if frame.static is not None:
            return TransformLookup(frame.static)
        before, after = frame.moving.neighbours(stamp_ns)
        if after is not None and self._is_ahead(after):
            after = None
        if before is not None and after is not None and after.stamp_ns - before.stamp_ns <= MAX_GAP_NS:
            return TransformLookup(_between(before, after, stamp_ns))
        if after is None and (before is None or stamp_ns - before.stamp_ns <= MAX_GAP_NS):
            return TransformLookup(None, Missing.LATE, f"the next transform of {name!r} on /tf has not arrived")
        if after is None:
            unset = " (its stamp is 0)" if before is not None and before.stamp_ns == 0 else ""
            reason = f"the newest transform of {name!r} on /tf is more than {MAX_GAP_NS / 1e9:g} s old{unset}"
        elif before is None:
            reason = f"/tf has no transform of {name!r} from before the image"
        else:
            reason = f"/tf has no transform of {name!r} for more than {MAX_GAP_NS / 1e9:g} s around the image"
        return TransformLookup(None, Missing.NEVER, reason)


def _product(found: dict[str, TransformLookup], frames: list[str]) -> np.ndarray:
    """Return the pose (4, 4) of the first frame in the parent of the last one; the identity for no frames."""
    T = np.eye(4)
    for frame in frames:
        T_parent_frame = found[frame].T
        assert T_parent_frame is not None
        T = T_parent_frame @ T
    return T


def _between(before: StampedTransform, after: StampedTransform, stamp_ns: int) -> np.ndarray:
    gap = after.stamp_ns - before.stamp_ns
    share = (stamp_ns - before.stamp_ns) / gap if gap else 0.0
    return pose_between(before.T_parent_child, after.T_parent_child, share)


def frame_name(frame: str) -> str:
    """Return the name of a frame without the slash in front that old drivers give."""
    return frame.removeprefix("/")
