"""Pairs of keyframes and results of a front end, without images."""

from types import SimpleNamespace

import numpy as np
import pytest

from loftr_ros.geometry.scale.result import Scale, ScaleSource, unknown_scale
from loftr_ros.geometry.two_view.relative_pose import Geometry, RelativePose, failed_pose
from loftr_ros.geometry.uncertainty.covariance import rotation_only_covariance
from loftr_ros.keyframes.policy import Decision, Outcome
from loftr_ros.matches import Matches
from loftr_ros.results import FrameResult, KeyframeInfo, PairResult, TrajectoryPose

NOTHING = np.zeros(0)
NO_MATCHES = Matches(*(np.zeros((0, 2)), np.zeros((0, 2)), NOTHING, NOTHING, NOTHING, NOTHING), (320, 240), (320, 240))
DEVIATION_RAD, LENGTH_DEVIATION_M = 1e-3, 1e-2


def keyframe(number, mount=None):
    """A keyframe each second. mount: T_base_camera."""
    return KeyframeInfo(number, number * 10**9, "camera", 320, 240, None, mount)


def pair(older, newer, T, *, geometry=Geometry.GENERAL, is_metric=True):
    """A pair whose newer camera has the pose T (4, 4) in the older one, with errors as the constants say."""
    length = float(np.linalg.norm(T[:3, 3]))
    direction = T[:3, 3] / length if length else np.zeros(3)
    covariance, scale = DEVIATION_RAD**2 * np.eye(6), unknown_scale("no altitude")
    if geometry == Geometry.ROTATION_ONLY:
        covariance = rotation_only_covariance(DEVIATION_RAD**2 * np.eye(3))
    elif is_metric:
        scale = Scale(ScaleSource.ALTITUDE, length, LENGTH_DEVIATION_M**2, np.zeros(6), "")
    motion = RelativePose(T[:3, :3], direction, geometry, NOTHING, 5.0, 0.5, "", covariance, 0.5)
    if geometry == Geometry.FAILED:
        motion, scale = failed_pose(0, "nothing to see"), unknown_scale("no pose")
    return PairResult(older, newer, NO_MATCHES, NOTHING, NOTHING, motion, scale, NOTHING)


def result(info, pairs=(), gravity=None, outcome=Outcome.KEYFRAME):
    """What the front end says of an image; the pose in its own trajectory is left out."""
    pose = TrajectoryPose(info, np.eye(4), is_metric=False, assumed="")
    return FrameResult(info.stamp_ns, "camera", Decision(outcome, ""), pose, tuple(pairs), None, None, gravity, {})


@pytest.fixture(scope="session")
def made():
    return SimpleNamespace(keyframe=keyframe, pair=pair, result=result)
