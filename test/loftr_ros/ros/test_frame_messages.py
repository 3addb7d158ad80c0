"""The messages of an image."""

from types import SimpleNamespace

import numpy as np

from loftr_ros.geometry.scale.result import unknown_scale
from loftr_ros.geometry.two_view.relative_pose import failed_pose
from loftr_ros.keyframes.policy import Decision, Outcome
from loftr_ros.matches import Matches
from loftr_ros.results import FrameResult, KeyframeInfo, PairResult
from loftr_ros.ros.messages import CORRESPONDENCES, KEYFRAME, RELATIVE_POSE, STATUS, frame_messages


def test_a_loop_that_was_found_with_a_later_image_is_published():
    """The image became no keyframe; the loop has the stamp of its own newer keyframe."""
    older, newer = (KeyframeInfo(k, k * 10**9, "camera", 64, 48, None) for k in (3, 20))
    none = np.zeros(0, np.float32)
    matches = Matches(none.reshape(0, 2), none.reshape(0, 2), none, none, none, none, (64, 48), (64, 48))
    loop = PairResult(older, newer, matches, none, none, failed_pose(0, ""), unknown_scale(""), none, is_loop=True)
    tracked = Decision(Outcome.TRACKED, "")
    result = FrameResult(21 * 10**9, "camera", tracked, None, (loop,), None, None, None, {})
    found = dict(frame_messages(SimpleNamespace(model="true", trained=True), result, "map", wants=lambda topic: True))
    assert KEYFRAME not in found
    assert found[STATUS].header.stamp.sec == 21
    named, edge = found[CORRESPONDENCES], found[RELATIVE_POSE]
    assert (named.older.id, named.newer.id) == (edge.older_id, edge.newer_id) == (3, 20)
    assert named.header.stamp.sec == edge.header.stamp.sec == 20
    assert edge.loop
