"""What the matching front end answers: frozen values that hold all that a message, a bag or a report needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.scale import Scale, ScaleSource, scaled
from loftr_ros.geometry.two_view import RelativePose
from loftr_ros.keyframes import Decision
from loftr_ros.matcher import Matches
from perception_common.camera import Camera
from perception_common.geometry import transform


@dataclass(frozen=True)
class KeyframeInfo:
    """An image that others are matched against.

    id: counts up from 0, never reused. stamp_ns, frame_id: of the image. width, height: pixels of the original image.
    camera: None where its calibration is not known.
    """

    id: int
    stamp_ns: int
    frame_id: str
    width: int
    height: int
    camera: Camera | None


@dataclass(frozen=True, eq=False)
class PairAnswer:
    """What the matches of two keyframes say.

    ids0, ids1: (N,) uint32, keypoint ids of the matches in the older and the newer keyframe. motion: of the newer
    camera in the older one, its translation of length 1. scale: the metres to it, or UNKNOWN with the reason.
    dynamic: (N,) bool, matches on a detected vehicle or person.
    """

    older: KeyframeInfo
    newer: KeyframeInfo
    matches: Matches
    ids0: np.ndarray
    ids1: np.ndarray
    motion: RelativePose
    scale: Scale
    dynamic: np.ndarray

    @property
    def is_metric(self) -> bool:
        """Whether `matrix` is in metres."""
        return self.scale.source != ScaleSource.UNKNOWN

    @property
    def matrix(self) -> np.ndarray:
        """Pose (4, 4) of the newer camera in the older one; metres where the scale is known, else of length 1."""
        translation, _ = scaled(self.motion.translation, self.motion.covariance, self.scale)
        return transform(self.motion.rotation, translation)

    @property
    def covariance(self) -> np.ndarray:
        """Covariance (6, 6) of `matrix`, in the convention of geometry/covariance.py."""
        return scaled(self.motion.translation, self.motion.covariance, self.scale)[1]


@dataclass(frozen=True, eq=False)
class FrameAnswer:
    """What became of one image.

    stamp_ns, frame_id: of the image. keyframe: the newest one after this image, None while there is none. pairs: those
    of a new keyframe, the one that continues the trajectory first. T_map_camera: (4, 4), of the newest keyframe.
    matches: their number with the keyframe that was newest before this image. displacement: their median length over
    the image's long side. seconds: what the stages "network" and "geometry" took.
    """

    stamp_ns: int
    frame_id: str
    decision: Decision
    keyframe: KeyframeInfo | None
    pairs: tuple[PairAnswer, ...]
    T_map_camera: np.ndarray
    matches: int
    displacement: float
    seconds: Mapping[str, float]

    @property
    def new_keyframe(self) -> KeyframeInfo | None:
        """The keyframe that the image became; None when it became none."""
        return self.keyframe if self.decision.makes_keyframe else None
