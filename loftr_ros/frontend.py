"""The matching front end: images in, answers on keyframes, pairs and the trajectory out. It knows no ROS.

The live node and the offline replay both run it, so that they give the same answers.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from loftr_ros.answers import FrameAnswer, KeyframeInfo, PairAnswer
from loftr_ros.geometry.scale import unknown_scale
from loftr_ros.geometry.two_view import RelativePose, TwoViewSettings, estimate_relative_pose, failed_pose
from loftr_ros.keyframes import FIRST, Decision, KeyframePolicy, decide, is_too_soon
from loftr_ros.matcher import Features, Matcher, MatcherSettings, Matches
from loftr_ros.tracking import measure_tracking
from loftr_ros.tracks import KeypointIds, name_matches
from perception_common.camera import Camera
from perception_common.errors import InputError


@dataclass(frozen=True)
class FrontendSettings:
    """How images are matched, and when they become keyframes.

    match_last: keyframes that a new one is matched with.
    """

    matcher: MatcherSettings = field(default_factory=MatcherSettings)
    policy: KeyframePolicy = field(default_factory=KeyframePolicy)
    two_view: TwoViewSettings = field(default_factory=TwoViewSettings)
    match_last: int = 2

    def __post_init__(self) -> None:
        if self.match_last < 1:
            raise InputError(f"match_last must be at least 1, not {self.match_last}")


@dataclass(frozen=True, eq=False)
class Keyframe:
    """A keyframe and what it needs to be matched again. image: (H, W) uint8."""

    info: KeyframeInfo
    features: Features
    image: np.ndarray


@dataclass
class Stopwatch:
    """Seconds spent in each stage of one image."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of a block to a stage."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


class Frontend:
    """Keeps the last keyframes, the names of their keypoints and the trajectory. For use from one thread at a time."""

    def __init__(self, matcher: Matcher, settings: FrontendSettings = FrontendSettings()):
        self._next_keyframe_id = 0
        self._next_keypoint_id = 0
        self._matcher = matcher
        self.apply(settings)
        self.forget()

    @property
    def settings(self) -> FrontendSettings:
        """The settings in force."""
        return self._settings

    @property
    def model(self) -> str:
        """The network variant."""
        return self._matcher.name

    @property
    def trained(self) -> bool:
        """Whether the weights come from a file; else the matches mean nothing."""
        return self._matcher.trained

    @property
    def keyframes_made(self) -> int:
        """How many keyframes were made so far, those that were forgotten included."""
        return self._next_keyframe_id

    def apply(self, settings: FrontendSettings) -> None:
        """Use other settings from the next image on; what was kept stays valid."""
        self._settings = settings
        self._matcher = self._matcher.with_settings(settings.matcher)

    def forget(self) -> None:
        """Start a new trajectory; ids are not used again."""
        self._keyframes: deque[Keyframe] = deque()
        self._keypoints: dict[int, KeypointIds] = {}
        self._T_map_newest = np.eye(4)

    def process(self, stamp_ns: int, image: np.ndarray, camera: Camera | None, *, frame_id: str = "") -> FrameAnswer:
        """Match an image (H, W) uint8 with the last keyframe; make it a keyframe when the policy says so.

        camera: of the image, None while it is not known (pairs have no pose then).
        """
        watch = Stopwatch()

        def answer(
            decision: Decision, pairs: tuple[PairAnswer, ...] = (), matches: int = 0, displacement: float = 0.0
        ) -> FrameAnswer:
            newest, T_map_newest = self._keyframes[-1].info, self._T_map_newest
            return FrameAnswer(
                *(stamp_ns, frame_id, decision, newest, pairs, T_map_newest, matches, displacement, watch.seconds)
            )

        if not self._keyframes:
            with watch.stage("network"):
                features = self._matcher.encode(image)
            self._keep(stamp_ns, frame_id, features, image, camera)
            return answer(FIRST)

        last, settings = self._keyframes[-1], self._settings
        seconds = (stamp_ns - last.info.stamp_ns) / 1e9
        if too_soon := is_too_soon(settings.policy, seconds):
            return answer(too_soon)
        with watch.stage("network"):
            features = self._matcher.encode(image)
            matches = self._matcher.match(last.features, features)
        with watch.stage("geometry"):
            tracking = measure_tracking(matches, seconds, last.info.camera, camera, settings=settings.two_view)
        decision, displacement = decide(settings.policy, tracking), tracking.displacement
        if not decision.makes_keyframe:
            return answer(decision, (), len(matches), displacement)

        others = list(self._keyframes)[-settings.match_last : -1]
        newer = self._keep(stamp_ns, frame_id, features, image, camera)
        pairs = [self._answer_pair(last, newer, matches, watch)]
        self._T_map_newest = self._T_map_newest @ pairs[0].matrix
        pairs += [self._match_pair(older, newer, watch) for older in reversed(others)]
        return answer(decision, tuple(pairs), len(matches), displacement)

    def match_keyframes(self, older_id: int, newer_id: int) -> PairAnswer:
        """Match two keyframes on request, as for a loop closure. Raises InputError for one that is not kept."""
        if older_id >= newer_id:
            raise InputError(f"keyframe {older_id} is not older than {newer_id}")
        return self._match_pair(self._keyframe(older_id), self._keyframe(newer_id), Stopwatch())

    def image(self, keyframe_id: int) -> np.ndarray:
        """Return the image (H, W) uint8 of a keyframe. Raises InputError for one that is not kept."""
        return self._keyframe(keyframe_id).image

    def _keyframe(self, keyframe_id: int) -> Keyframe:
        for keyframe in self._keyframes:
            if keyframe.info.id == keyframe_id:
                return keyframe
        if keyframe_id < self._next_keyframe_id:
            raise InputError(f"keyframe {keyframe_id} is no longer kept")
        raise InputError(f"there is no keyframe {keyframe_id} yet: the next one is {self._next_keyframe_id}")

    def _keep(
        self, stamp_ns: int, frame_id: str, features: Features, image: np.ndarray, camera: Camera | None
    ) -> Keyframe:
        """Keep a new keyframe; the oldest one leaves."""
        height, width = image.shape
        info = KeyframeInfo(self._next_keyframe_id, stamp_ns, frame_id, width, height, camera)
        keyframe = Keyframe(info, features, image)
        self._next_keyframe_id += 1
        self._keyframes.append(keyframe)
        self._keypoints[info.id] = KeypointIds()
        while len(self._keyframes) > self._settings.match_last + 1:  # the new one and those that it is matched with
            del self._keypoints[self._keyframes.popleft().info.id]
        return keyframe

    def _match_pair(self, older: Keyframe, newer: Keyframe, watch: Stopwatch) -> PairAnswer:
        with watch.stage("network"):
            matches = self._matcher.match(older.features, newer.features)
        return self._answer_pair(older, newer, matches, watch)

    def _answer_pair(self, older: Keyframe, newer: Keyframe, matches: Matches, watch: Stopwatch) -> PairAnswer:
        """Find out what the matches of two keyframes say, and name their keypoints."""
        with watch.stage("geometry"):
            motion = _motion(older.info, newer.info, matches, self._settings.two_view)
            id0, id1 = older.info.id, newer.info.id
            points0, points1 = matches.points0, matches.points1
            named = name_matches(self._keypoints[id0], self._keypoints[id1], points0, points1, self._next_keypoint_id)
            self._keypoints |= {id0: named.keypoints0, id1: named.keypoints1}
            self._next_keypoint_id = named.next_id
        return PairAnswer(
            *(older.info, newer.info, matches, named.ids0, named.ids1, motion),
            scale=unknown_scale("no source of scale"),
            dynamic=np.zeros(len(matches), bool),
        )


def _motion(older: KeyframeInfo, newer: KeyframeInfo, matches: Matches, settings: TwoViewSettings) -> RelativePose:
    camera0, camera1 = older.camera, newer.camera
    if camera0 is None and camera1 is not None and camera1.matches_size(older.width, older.height):
        camera0 = camera1  # its camera_info came late
    if camera0 is None or camera1 is None:
        return failed_pose(len(matches), "no usable camera_info, see /diagnostics")
    return estimate_relative_pose(
        *(matches.points0, matches.points1, camera0, camera1, settings),
        confidence=matches.confidence,
        spread=matches.spread,
    )
