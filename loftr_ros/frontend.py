"""The matching front end: images in, answers on keyframes, pairs and the trajectory out. It knows no ROS.

The live node and the offline replay both run it, so that they give the same answers.

    frontend = Frontend(Matcher.load("loftr_lite", "default", choose_device()))
    frontend.sensors.add_range(message)                   # where there are sensors; see sensors/
    answer = frontend.process(stamp_ns, gray, camera)     # answers.py
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from loftr_ros.geometry.two_view.estimation import Geometry
from loftr_ros.keyframes.overlap import measure_view_change
from loftr_ros.keyframes.policy import Decision, KeyframePolicy, Outcome, ViewChange, decide, decide_first, is_too_soon
from loftr_ros.keyframes.quality import QualityMonitor, QualitySettings
from loftr_ros.keyframes.store import KeyframeStore, Place, recovery_candidates
from loftr_ros.matcher import Features, Matcher, MatcherSettings, Matches
from loftr_ros.pair_estimation import PairMotion, PairSettings, cameras_of, estimate_pair, expected_motion
from loftr_ros.results import FrameResult, KeyframeInfo, PairResult
from loftr_ros.sensors.suite import FrameReadings, Sensors
from loftr_ros.tracks.keypoint_ids import RADIUS, KeypointIds, name_matches
from loftr_ros.tracks.statistics import TrackStatistics
from loftr_ros.tracks.window import TrackWindow
from loftr_ros.trajectory.chain import PoseChain
from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.stage_timer import StageTimer


@dataclass(frozen=True)
class FrontendSettings:
    """How images are matched, and when they become keyframes.

    match_last: keyframes that a new one is matched with. memory: bytes for keyframes; the ones used longest ago leave.
    recovery_candidates: older keyframes that an image is matched with when the track is lost. keypoint_radius: pixels
    of the original image within which keypoints are one place.
    """

    matcher: MatcherSettings = field(default_factory=MatcherSettings)
    policy: KeyframePolicy = field(default_factory=KeyframePolicy)
    quality: QualitySettings = field(default_factory=QualitySettings)
    pair: PairSettings = field(default_factory=PairSettings)
    match_last: int = 2
    memory: int = 256 << 20
    recovery_candidates: int = 5
    keypoint_radius: float = RADIUS

    def __post_init__(self) -> None:
        if self.match_last < 1:
            raise InputError(f"match_last must be at least 1, not {self.match_last}")


@dataclass(frozen=True, eq=False)
class Keyframe:
    """A keyframe and what it needs to be matched again. image: (H, W) uint8. readings: as of its making."""

    info: KeyframeInfo
    features: Features
    image: np.ndarray
    readings: FrameReadings

    @property
    def nbytes(self) -> int:
        """Memory that keeping this costs."""
        depth = self.readings.depth
        return self.features.nbytes + self.image.nbytes + (depth.value.depth.nbytes if depth else 0)


class Frontend:
    """Keeps keyframes, the names of their keypoints and the trajectory. For use from one thread at a time.

    sensors: what stands beside the camera; other threads may add to it.
    """

    def __init__(self, matcher: Matcher, settings: FrontendSettings = FrontendSettings()):
        self.sensors = Sensors(settings.pair.sensors)
        self._next_keyframe_id = 0
        self._next_keypoint_id = 0
        self._store: KeyframeStore[Keyframe] = KeyframeStore(settings.memory)
        self._matcher = matcher
        self._settings = settings
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

    @property
    def keyframes_kept(self) -> tuple[int, ...]:
        """The ids of the keyframes that can be matched."""
        return self._store.ids

    @property
    def keyframe_bytes(self) -> int:
        """Memory that the kept keyframes take."""
        return self._store.nbytes

    @property
    def trajectory(self) -> PoseChain:
        """The chained poses of the keyframes."""
        return self._trajectory

    def apply(self, settings: FrontendSettings) -> None:
        """Use other settings from the next image on; what was kept stays valid."""
        if settings.quality != self._settings.quality:
            self._monitor = QualityMonitor(settings.quality)
        self._settings = settings
        self._matcher = self._matcher.with_settings(settings.matcher)
        self.sensors.settings = settings.pair.sensors
        for gone in self._store.resize(settings.memory, pinned=settings.match_last + 1):
            del self._keypoints[gone]

    def forget(self) -> None:
        """Start a new trajectory; ids are not used again. Readings of sensors stay."""
        self._store.clear()
        self._keypoints: dict[int, KeypointIds] = {}
        self._trajectory = PoseChain()
        self._tracks = TrackWindow()
        self._monitor = QualityMonitor(self._settings.quality)
        self._last_step: PairResult | None = None

    def process(
        self,
        stamp_ns: int,
        image: np.ndarray,
        camera: Camera | None,
        *,
        frame_id: str = "",
        T_base_camera: np.ndarray | None = None,
    ) -> FrameResult:
        """Match an image (H, W) uint8 with the last keyframe; make it a keyframe when the policy says so.

        camera: of the image, None while it is not known (pairs have no pose then). T_base_camera: (4, 4), where the
        camera sits on the vehicle; None where it is not known. Raises InputError for anything but a gray image.
        """
        if image.ndim != 2 or image.dtype != np.uint8 or 0 in image.shape:
            raise InputError(
                f"expected a gray image (H, W) uint8, got {image.shape} {image.dtype}; convert with to_gray"
            )
        watch = StageTimer()
        height, width = image.shape
        # The id is its own only once it becomes a keyframe.
        info = KeyframeInfo(self._next_keyframe_id, stamp_ns, frame_id, width, height, camera, T_base_camera)

        def answer(
            decision: Decision,
            tracking: ViewChange | None = None,
            pairs: tuple[PairResult, ...] = (),
            tracks: TrackStatistics | None = None,
        ) -> FrameResult:
            newest = self._trajectory.newest
            return FrameResult(stamp_ns, frame_id, decision, newest, pairs, tracking, tracks, watch.seconds)

        last = next(iter(self._store.newest(1)), None)
        seconds = (stamp_ns - last.info.stamp_ns) / 1e9 if last else 0.0
        if last and (too_soon := is_too_soon(self._settings.policy, seconds)):
            return answer(too_soon)
        with watch.stage("quality"):
            quality = self._monitor.judge(image, stamp_ns / 1e9)
        if last is None:
            decision = decide_first(self._settings.policy, quality)
            if decision.makes_keyframe:
                with watch.stage("network"):
                    features = self._matcher.encode(image)
                self._keep(Keyframe(info, features, image, self.sensors.at(stamp_ns)))
                self._trajectory.start(info)
            return answer(decision)

        with watch.stage("network"):
            features = self._matcher.encode(image)
            matches = self._matcher.match(last.features, features)
        with watch.stage("geometry"):
            camera0, camera1 = cameras_of(last.info, info) or (None, None)
            tracking = measure_view_change(matches, seconds, camera0, camera1, quality, self._settings.pair.two_view)
        decision = decide(self._settings.policy, tracking)
        if not decision.makes_keyframe:
            return answer(decision, tracking)

        newer = Keyframe(info, features, image, self.sensors.at(stamp_ns))
        others = self._store.newest(self._settings.match_last)[:-1]
        found = self._recover(newer, watch) if decision.outcome == Outcome.LOST else None
        self._keep(newer)
        if found:
            decision = replace(decision, reason=f"{decision.reason}; found keyframe {found.older.info.id} again")
            pairs = [self._name(found)]
        else:
            pairs = [self._name(self._judge(last, newer, matches, watch))]
            pairs += [self._name(self._match(older, newer, watch)) for older in reversed(others)]
        self._trajectory.extend(pairs[0])
        self._last_step = pairs[0]
        with watch.stage("tracks"):
            tracks = self._tracks.add(pairs, self._trajectory)
        return answer(decision, tracking, tuple(pairs), tracks)

    def match_keyframes(self, older_id: int, newer_id: int) -> PairResult:
        """Match two keyframes on request, as for a loop closure. Raises InputError for one that is not kept."""
        if older_id >= newer_id:
            raise InputError(f"keyframe {older_id} is not older than keyframe {newer_id}: give the lower id first")
        return self._name(self._match(self._keyframe(older_id), self._keyframe(newer_id), StageTimer()))

    def image(self, keyframe_id: int) -> np.ndarray:
        """Return the image (H, W) uint8 of a keyframe. Raises InputError for one that is not kept."""
        return self._keyframe(keyframe_id).image

    def _keyframe(self, keyframe_id: int) -> Keyframe:
        keyframe = self._store.get(keyframe_id)
        if keyframe is None and keyframe_id < self._next_keyframe_id:
            raise InputError(f"keyframe {keyframe_id} is no longer kept: kept are {_words(self._store.ids)}")
        if keyframe is None:
            raise InputError(f"there is no keyframe {keyframe_id}: kept are {_words(self._store.ids)}")
        return keyframe

    def _keep(self, keyframe: Keyframe) -> None:
        self._next_keyframe_id += 1
        self._keypoints[keyframe.info.id] = KeypointIds()
        for gone in self._store.add(keyframe.info.id, keyframe):
            del self._keypoints[gone]

    def _recover(self, newer: Keyframe, watch: StageTimer) -> JudgedPair | None:
        """Match an image that lost the track with older keyframes; the first pair that fits, None where none does."""
        places = [Place(pose.keyframe.id, pose.T_map_camera[:3, 3]) for pose in self._trajectory.poses]
        kept = [place for place in places if place.id in self._store]
        for keyframe_id in recovery_candidates(kept, self._settings.recovery_candidates):
            pair = self._match(self._keyframe(keyframe_id), newer, watch)
            enough = len(pair.matches) >= self._settings.policy.lost_matches
            if enough and pair.judged.motion.geometry != Geometry.FAILED:
                return pair
        return None

    def _match(self, older: Keyframe, newer: Keyframe, watch: StageTimer) -> JudgedPair:
        with watch.stage("network"):
            matches = self._matcher.match(older.features, newer.features)
        return self._judge(older, newer, matches, watch)

    def _judge(self, older: Keyframe, newer: Keyframe, matches: Matches, watch: StageTimer) -> JudgedPair:
        with watch.stage("geometry"):
            # Detections and depths may come after their image.
            older, newer = (
                replace(each, readings=self.sensors.at(each.info.stamp_ns, each.readings)) for each in (older, newer)
            )
            expected = expected_motion(self._last_step, older.info, newer.info)
            judged = estimate_pair(
                *(older.info, newer.info, older.readings, newer.readings), matches, self._settings.pair, expected
            )
        return JudgedPair(older, newer, matches, judged)

    def _name(self, pair: JudgedPair) -> PairResult:
        """Give ids to the keypoints of a pair, which persist while its keyframes are kept."""
        older, newer, matches, judged = pair.older.info, pair.newer.info, pair.matches, pair.judged
        named = name_matches(
            self._keypoints.get(older.id, KeypointIds()),
            self._keypoints.get(newer.id, KeypointIds()),
            matches.points0,
            matches.points1,
            self._next_keypoint_id,
            radius=self._settings.keypoint_radius,
            inlier=judged.motion.inliers if cameras_of(older, newer) else None,  # nobody was asked without cameras
        )
        after = {older.id: named.keypoints0, newer.id: named.keypoints1}
        self._keypoints |= {keyframe_id: ids for keyframe_id, ids in after.items() if keyframe_id in self._store}
        self._next_keypoint_id = named.next_id
        moving = judged.moving
        return PairResult(
            *(older, newer, matches, named.ids0, named.ids1, judged.motion, judged.scale, moving.flags, moving.reason)
        )


@dataclass(frozen=True, eq=False)
class JudgedPair:
    """A pair whose keypoints have no names yet."""

    older: Keyframe
    newer: Keyframe
    matches: Matches
    judged: PairMotion


def _words(ids: tuple[int, ...]) -> str:
    """Ids in words, runs of them in short."""
    return f"{ids[0]} to {ids[-1]}, {len(ids)} of them" if ids else "none"
