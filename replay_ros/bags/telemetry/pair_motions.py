"""The motion between consecutive photographs as the pictures show it: keypoints matched, and a relative pose."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from tqdm import tqdm

from loftr_ros.geometry.two_view.ambiguity import MotionPrior
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.matches import Matches
from loftr_ros.sensors.metric import pair_scale
from loftr_ros.sensors.settings import Mount
from loftr_ros.sensors.suite import FrameReadings
from loftr_ros.sift_matcher import Keypoints, SiftMatcher
from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.images.pictures.files import read_gray
from perception_common.sensors.buffer import Aged
from perception_common.sensors.readings import Altitude, Orientation
from replay_ros.bags.datasets.sequences.images import ImageFolder
from replay_ros.bags.telemetry.flight import FrameTelemetry
from replay_ros.bags.telemetry.lens import calibration_of

logger = logging.getLogger(__name__)

LONG_SIDE = 800  # pixels; empirical: at 640 a third of the pairs of an ordinary survey, which overlap by 60 %, is lost
_MIN_INLIERS = 20  # empirical
_FRAME = "camera"


@dataclass(frozen=True, eq=False)
class PairMotion:
    """The pose of the newer camera in the older one: rotation (3, 3), direction (3,) of length 1.

    metres: length of the translation by the altitude; None: unknown.
    """

    older: str
    newer: str
    rotation: np.ndarray
    direction: np.ndarray
    metres: float | None


def pair_motions(folder: ImageFolder, frames: Mapping[str, FrameTelemetry]) -> Iterator[PairMotion]:
    """Yield the motion of each pair of consecutive photographs that match, have a lens, and an attitude.

    Photographs that cannot be read are passed over; the reader of the sequence says so.
    """
    encoded = _encoded(folder, frames)
    progress = tqdm(itertools.pairwise(encoded), total=len(folder) - 1, unit="pair", desc="check", disable=None)
    matcher = SiftMatcher()
    for (older, keypoints0), (newer, keypoints1) in progress:
        if keypoints0 is not None and keypoints1 is not None:
            found = motion_of(older, newer, matcher.match(keypoints0, keypoints1), frames)
            if found is not None:
                yield found


def motion_of(older: str, newer: str, matches: Matches, frames: Mapping[str, FrameTelemetry]) -> PairMotion | None:
    """Return the motion that matches of two photographs show; None where they show none."""
    known0, known1 = frames[older], frames[newer]
    if known0.lens is None or known1.lens is None or known0.rotation is None or known1.rotation is None:
        return None
    camera0, camera1 = _camera(known0, matches.size0), _camera(known1, matches.size1)
    prior = MotionPrior(down=known0.rotation.T @ np.array([0.0, 0.0, -1.0]))
    pose = estimate_relative_pose(
        matches.points0,
        matches.points1,
        camera0,
        camera1,
        confidence=matches.confidence,
        spread=matches.spread,
        prior=prior,
    )
    if pose.geometry not in (Geometry.GENERAL, Geometry.PLANAR) or pose.inliers.sum() < _MIN_INLIERS:
        return None
    scale = pair_scale(
        matches.points0,
        matches.points1,
        camera0,
        camera1,
        pose,
        _readings(known0),
        _readings(known1),
        Mount(camera_frame=_FRAME),
    )
    return PairMotion(older, newer, pose.rotation, pose.translation, None if scale.reason else float(scale.value))


def _encoded(folder: ImageFolder, frames: Mapping[str, FrameTelemetry]) -> Iterator[tuple[str, Keypoints | None]]:
    """Yield name and keypoints of each photograph; None for one that is of no use."""
    matcher = SiftMatcher(MatcherSettings(max_side=LONG_SIDE))
    for file in folder.files:
        known = frames[file.name]
        keypoints = None
        if known.lens is not None and known.rotation is not None:
            try:
                keypoints = matcher.encode(read_gray(file, upright=False))
            except (InputError, cv2.error):
                logger.debug("%s is not checked: it cannot be read", file)
        yield file.name, keypoints


def _camera(known: FrameTelemetry, size: tuple[int, int]) -> Camera:
    assert known.lens is not None
    calibration = calibration_of(known.lens, *size)
    return Camera(
        width=size[0],
        height=size[1],
        K=tuple(calibration.K.ravel().tolist()),
        distortion=calibration.D,
        model=calibration.model,
    )


def _readings(known: FrameTelemetry) -> FrameReadings:
    height, deviation = known.height, known.height_deviation
    has_height = height is not None and deviation is not None and height > 0
    orientation = None if known.rotation is None else Orientation(0, known.rotation, frame=_FRAME)
    return FrameReadings(
        0,
        altitude=Aged(Altitude(0, height or 0.0, deviation or 0.0), 0.0) if has_height else None,
        orientation=None if orientation is None else Aged(orientation, 0.0),
    )
