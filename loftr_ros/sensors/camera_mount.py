"""The mount of the camera on the vehicle, T_base_camera by stamp: fixed by a parameter, or from transforms."""

from __future__ import annotations

from typing import Any

import numpy as np

from loftr_ros.base_frame import parse_mount
from perception_common.sensors.transform_tree import Missing, TransformLookup, TransformTree


class CameraMount:
    """T_base_camera (4, 4), pose of the optical frame in the vehicle's base frame, at a stamp. Thread-safe.

    base_frame: name of the base; empty: do not use transforms. base_from_optical: "x y z qx qy qz qw", in place of
    transforms. With both empty the mount is unknown. Raises InputError for a text that is no mount.
    """

    def __init__(self, base_frame: str, base_from_optical: str):
        self.base_frame = base_frame
        self._fixed = parse_mount(base_from_optical) if base_from_optical else None
        self._tree = TransformTree()

    @property
    def is_asked_for(self) -> bool:
        """Whether the user gave a base frame or a mount at all."""
        return self._fixed is not None or bool(self.base_frame)

    @property
    def needs_transforms(self) -> bool:
        """Whether the mount comes from /tf and /tf_static."""
        return self._fixed is None and bool(self.base_frame)

    @property
    def invalid_transforms(self) -> int:
        """Number of the transforms that were left out: not finite, or without a unit quaternion."""
        return self._tree.invalid

    def add(self, message: Any, *, is_static: bool) -> None:
        """Add a tf2_msgs/TFMessage of /tf, or of /tf_static."""
        self._tree.add_all(message, is_static=is_static)

    def begin_image(self, stamp_ns: int) -> None:
        """Take the stamp of each image, in order: one that jumps back means that the clock restarted."""
        self._tree.begin_image(stamp_ns)

    def lookup(self, optical_frame: str, stamp_ns: int) -> np.ndarray | None:
        """Return T_base_camera (4, 4) at a stamp; None where it is unknown."""
        return self.find(optical_frame, stamp_ns).T

    def find(self, optical_frame: str, stamp_ns: int, wait: float = 0.0) -> TransformLookup:
        """Look T_base_camera up at a stamp; wait up to `wait` seconds for a transform that is late."""
        if not self.needs_transforms:
            unknown = TransformLookup(None, Missing.NEVER, "neither base_frame nor base_from_optical is given")
            return unknown if self._fixed is None else TransformLookup(self._fixed)
        return self._tree.wait(self.base_frame, optical_frame, stamp_ns, wait)
