"""The matching front end: images in; keyframes, pairs and the trajectory out. It knows no ROS.

The live node and the offline replay both run it, so their results are equal.

    frontend = Frontend(Matcher.load("loftr_lite", "default", choose_device()))
    frontend.sensors.add_range(message)                   # where there are sensors; see sensors/
    result = frontend.process(stamp_ns, gray, camera)     # see results.py
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic

import numpy as np

from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.image_matcher import Encoded, ImageMatcher, MatcherSettings, check_gray
from loftr_ros.keyframes.overlap import measure_view_change
from loftr_ros.keyframes.policy import Decision, KeyframePolicy, Outcome, ViewChange, decide, decide_first, is_too_soon
from loftr_ros.keyframes.quality import Quality, QualityMonitor, QualitySettings
from loftr_ros.keyframes.store import Place, recovery_candidates
from loftr_ros.loops.checks import TRIAL_COST, Check, within_budget
from loftr_ros.loops.places import Places
from loftr_ros.loops.retrieval import GAP, loop_candidates, similar_places
from loftr_ros.loops.settings import LoopSettings
from loftr_ros.loops.verification import refusal
from loftr_ros.matching.keyframe import EstimatedPair, Keyframe
from loftr_ros.matching.memory import KeyframeMemory
from loftr_ros.matching.pair_matching import PairMatching
from loftr_ros.pair_estimation import PairSettings, cameras_of, mount_of
from loftr_ros.results import FrameResult, KeyframeInfo, PairResult
from loftr_ros.sensors.gravity import Gravity, gravity_in_camera
from loftr_ros.sensors.suite import Sensors
from loftr_ros.tracks.keypoint_ids import RADIUS, REPEATED_KEYPOINT_RADIUS
from loftr_ros.tracks.register import KeypointRegister
from loftr_ros.tracks.statistics import TrackStatistics
from loftr_ros.tracks.window import KEYFRAMES, TrackWindow
from loftr_ros.trajectory.chain import KeyframeChain
from loftr_ros.turning.expectation import expected_turns
from loftr_ros.turning.features import TurnedFeatures
from loftr_ros.turning.following import Following
from loftr_ros.turning.matching import Rotation, TurnedMatcher, View
from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.timing.stage_timer import StageTimer

KEYFRAME_MEMORY = 256 << 20  # bytes; the default of the parameter keyframe_memory_mb
IMAGE_SHARE = 0.25  # of that, for images of keyframes without features; such an image takes a tenth of its features
# Candidates that an image which lost the track is matched with in full, after rough trials of all of them. On 19 images
# of a simulated survey at 320x240, with one right candidate among five, the right one was always the first.
RECOVERY_MATCHINGS = 2
TURNED_SHARE = 0.25  # memory for turned features of keyframes, beside that of the keyframes and as a share of it


@dataclass(frozen=True)
class FrontendSettings:
    """How images are matched, and when they become keyframes.

    match_last: number of keyframes that a new one is matched with. memory: bytes for keyframes; the least recently used
    ones are dropped. recovery_candidates: number of older keyframes that an image is compared with when the track is
    lost. keypoint_radius: pixels of the original image within which keypoints get one id. loops: the search for loops.
    rotation: whether images are turned by right angles before they are matched, see `TurnedMatcher`.
    """

    matcher: MatcherSettings = field(default_factory=MatcherSettings)
    policy: KeyframePolicy = field(default_factory=KeyframePolicy)
    quality: QualitySettings = field(default_factory=QualitySettings)
    pair: PairSettings = field(default_factory=PairSettings)
    match_last: int = 2
    memory: int = KEYFRAME_MEMORY
    recovery_candidates: int = 5
    keypoint_radius: float = RADIUS
    loops: LoopSettings = field(default_factory=LoopSettings)
    rotation: Rotation = "auto"

    def __post_init__(self) -> None:
        if self.match_last < 1:
            raise InputError(f"match_last must be at least 1, not {self.match_last}")

    @property
    def image_memory(self) -> int:
        """Bytes of `memory` for images of keyframes whose features had to go."""
        return int(IMAGE_SHARE * self.memory) if self.loops.checks and not self.loops.store else 0


@dataclass(frozen=True)
class NextIds:
    """The first ids of keyframes and of keypoints that were not given."""

    keyframe: int = 0
    keypoint: int = 0


class Frontend(Generic[Encoded]):
    """Keeps keyframes, the ids of their keypoints and the trajectory. Use it from one thread at a time.

    sensors: the sensors beside the camera; other threads may add readings. next_ids: of the front end that this one
    replaces, so that the ids of its keyframes, which others may still ask for, do not come to mean other ones.
    """

    def __init__(
        self,
        matcher: ImageMatcher[Encoded],
        settings: FrontendSettings = FrontendSettings(),
        next_ids: NextIds = NextIds(),
    ):
        self.sensors = Sensors(settings.pair.sensors)
        self._memory: KeyframeMemory[Encoded] = KeyframeMemory(
            settings.memory - settings.image_memory, settings.image_memory, settings.loops.store, next_ids.keyframe
        )
        self._keypoints = KeypointRegister(next_ids.keypoint)
        self._waiting: tuple[Check, ...] = ()  # checks for loops that later images make
        self._turned_features: TurnedFeatures[Encoded] = TurnedFeatures(0)
        self._settings = settings
        self._matcher = matcher
        self._pairs = PairMatching(
            TurnedMatcher(matcher, settings.rotation, self._turned_features),
            settings.pair,
            self.sensors,
            Places(),
            None if matcher.repeats_keypoints else self._keypoints,
        )
        self.apply(settings)
        self.forget()

    @property
    def settings(self) -> FrontendSettings:
        """The settings in force."""
        return self._settings

    @property
    def model(self) -> str:
        """Name of the matcher's model."""
        return self._matcher.name

    @property
    def trained(self) -> bool:
        """False: the matcher has random weights and its matches mean nothing."""
        return self._matcher.trained

    @property
    def next_ids(self) -> NextIds:
        """The first ids that were not given."""
        return NextIds(self._memory.next_id, self._keypoints.next_id)

    @property
    def keyframes_made(self) -> int:
        """Number of keyframes made so far, dropped ones and those of the front end before included."""
        return self._memory.next_id

    @property
    def keyframes_kept(self) -> tuple[int, ...]:
        """Ids of the keyframes that can still be matched, oldest first."""
        return self._memory.ids

    @property
    def keyframe_bytes(self) -> int:
        """Memory of the kept keyframes, of their images and of turned features, bytes."""
        return self._memory.nbytes + self._turned_features.nbytes

    @property
    def problem(self) -> str:
        """One line about images of old keyframes that cannot be kept on disk; empty while all is well."""
        return self._memory.problem

    @property
    def trajectory(self) -> KeyframeChain:
        """The chained poses of the keyframes."""
        return self._trajectory

    def apply(self, settings: FrontendSettings) -> None:
        """Use other settings from the next image on; kept keyframes stay valid."""
        if settings.quality != self._settings.quality:
            self._monitor = QualityMonitor(settings.quality)
        self._settings = settings
        self._matcher = self._matcher.with_settings(settings.matcher)
        self._turned_features.limit_bytes = int(TURNED_SHARE * settings.memory)
        self._pairs.turned = TurnedMatcher(self._matcher, settings.rotation, self._turned_features)
        self._pairs.settings = settings.pair
        self.sensors.settings = settings.pair.sensors
        features = settings.memory - settings.image_memory
        self._drop(self._memory.resize(features, settings.image_memory, pinned=settings.match_last + 1))
        if not settings.loops.checks:
            self._waiting = ()

    def forget(self) -> None:
        """Start a new trajectory. Ids are not used again; readings of sensors are kept."""
        self._memory.clear()
        self._places = self._pairs.places = Places()
        self._pairs.last_step = None
        self._waiting = ()
        self._turned_features.clear()
        self._following = Following()
        self._keypoints.clear()
        self._trajectory = KeyframeChain()
        self._tracks = TrackWindow()
        self._monitor = QualityMonitor(self._settings.quality)

    def process(
        self,
        stamp_ns: int,
        image: np.ndarray,
        camera: Camera | None,
        *,
        frame_id: str = "",
        mount: Callable[[], np.ndarray | None] = lambda: None,
    ) -> FrameResult:
        """Match an image (H, W) uint8 with the last keyframe; make it a keyframe when the policy decides so.

        camera: of the image, None while it is unknown (pairs then have no pose). mount: returns T_base_camera (4, 4),
        the pose of the camera in the vehicle, None where it is unknown; it may wait, so only a new keyframe calls it.
        Raises InputError for anything but a gray image.
        """
        check_gray(image)
        timer = StageTimer()
        height, width = image.shape
        # The id is used up only when the image becomes a keyframe.
        info = KeyframeInfo(self._memory.next_id, stamp_ns, frame_id, width, height, camera)
        last = next(iter(self._memory.newest(1)), None)
        seconds = (stamp_ns - last.info.stamp_ns) / 1e9 if last else 0.0
        if last and (too_soon := is_too_soon(self._settings.policy, seconds)):
            return self._result(info, too_soon, timer)
        with timer.stage("quality"):
            quality = self._monitor.assess(image, stamp_ns / 1e9)
        if last is None:
            return self._process_first(info, image, quality, timer, mount)
        return self._process_next(last, info, image, quality, timer, mount)

    def complete_mounts(self, lookup: Callable[[str, int], np.ndarray | None]) -> None:
        """Look up the mounts of kept keyframes that have none: their transforms may have arrived meanwhile.

        lookup: returns T_base_camera (4, 4) of a frame_id at a stamp in nanoseconds, or None.
        """
        self._memory.complete_mounts(lookup)

    def _process_first(
        self,
        info: KeyframeInfo,
        image: np.ndarray,
        quality: Quality,
        timer: StageTimer,
        mount: Callable[[], np.ndarray | None],
    ) -> FrameResult:
        decision = decide_first(self._settings.policy, quality)
        if decision.makes_keyframe:
            with timer.stage("network"):
                encoded = self._matcher.encode(image)
            keyframe = Keyframe(
                replace(info, T_base_camera=mount()), encoded, image, self.sensors.at(info.stamp_ns, info.frame_id)
            )
            self._keep(keyframe)
            self._places.start(self._trajectory.start(keyframe.info), encoded.descriptor)
            return self._result(info, decision, timer, gravity=self._gravity(keyframe))
        return self._result(info, decision, timer)

    def _process_next(
        self,
        last: Keyframe[Encoded],
        info: KeyframeInfo,
        image: np.ndarray,
        quality: Quality,
        timer: StageTimer,
        mount: Callable[[], np.ndarray | None],
    ) -> FrameResult:
        with timer.stage("network"):
            self._turned_features.drop(info.id)  # of the image before, if that became no keyframe
            rotation = self._pairs.sensed_rotation(last, info, self.sensors.at(info.stamp_ns, info.frame_id))
            turns = expected_turns(rotation, default=self._following.turns)
            found = self._pairs.turned.match(
                self._pairs.view(last), View(info.id, image), turns, weak=self._following.weak
            )
            self._following = self._following.after_match(found)
            matches = found.matches
        effort = TRIAL_COST * found.trials + found.matchings - 1  # that it took more than an image of known turn
        with timer.stage("geometry"):
            camera0, camera1 = cameras_of(last.info, info) or (None, None)
            seconds = (info.stamp_ns - last.info.stamp_ns) / 1e9
            change = measure_view_change(matches, seconds, camera0, camera1, quality, self._settings.pair.two_view)
        decision = decide(self._settings.policy, change)
        if not decision.makes_keyframe:
            return self._result(info, decision, timer, change, tuple(self._close_loops((), effort, timer)))

        info = replace(info, T_base_camera=mount())
        newer = Keyframe(info, found.newer, image, self.sensors.at(info.stamp_ns, info.frame_id))
        others = self._memory.newest(self._settings.match_last)[:-1]
        again = self._recover(newer, timer) if decision.outcome == Outcome.LOST else None
        self._keep(newer)
        self._following = self._following.after_keyframe()
        first = self._name(again or self._pairs.estimate(last, newer, matches, timer))
        self._places.extend(self._trajectory.extend(first), newer.encoded.descriptor, first)
        pairs = [first]
        if again:
            decision = replace(decision, reason=f"{decision.reason}; found keyframe {again.older.info.id} again")
        else:
            pairs += [self._name(self._pairs.match_as_expected(older, newer, timer)) for older in reversed(others)]
        self._pairs.last_step = pairs[0]
        with timer.stage("tracks"):
            tracks = self._measure_tracks(pairs)
        if decision.outcome != Outcome.LOST:
            pairs += self._close_loops(self._loop_checks(newer, timer), effort, timer)
        return self._result(info, decision, timer, change, tuple(pairs), tracks, self._gravity(newer))

    def _gravity(self, keyframe: Keyframe[Encoded]) -> Gravity | None:
        pair = self._settings.pair
        return gravity_in_camera(keyframe.readings, mount_of(keyframe.info, pair.gimbal_pitch), pair.sensors)

    def _loop_checks(self, newer: Keyframe[Encoded], timer: StageTimer) -> tuple[Check, ...]:
        """Return the old keyframes that probably show the place of the newest one, the most promising first."""
        if newer.info.camera is None:  # no pair would have a pose
            return ()
        with timer.stage("loops"):
            gap = max(self._settings.match_last, GAP)
            candidates = loop_candidates(self._places, self._settings.loops.checks, set(self.keyframes_kept), gap)
        return tuple(Check(newer.info.id, candidate) for candidate in candidates)

    def _close_loops(self, checks: tuple[Check, ...], effort: int, timer: StageTimer) -> list[PairResult]:
        """Match keyframes with old ones within the budget of an image; return the pairs that close loops.

        checks: new ones, which come before those that wait. effort: what the image cost already, in checks.
        """
        if not self._settings.loops.checks:
            return []
        budget = max(1, self._settings.loops.checks - effort)
        tries_turns = self._pairs.turned.turns_images
        now, self._waiting = within_budget((*checks, *self._waiting), budget, tries_turns=tries_turns)
        closures = []
        for check in now:
            expected = check.candidate.expected
            older, newer = (
                self._memory.find(each, self._matcher.encode) for each in (check.candidate.id, check.newer_id)
            )
            if older is None or newer is None:  # dropped meanwhile, or its file is gone
                continue
            rotation, prior = (None, None) if expected is None else (expected.T[:3, :3], expected.prior)
            # weak: few matches mean another place rather than another turn than that of the trajectory or a sensor.
            pair = self._pairs.match(older, newer, timer, rotation, prior=prior, weak=0.0)
            if not refusal(pair.matches, pair.estimate, expected):
                closures.append(replace(self._name(pair), is_loop=True))
        return closures

    def _measure_tracks(self, pairs: list[PairResult]) -> TrackStatistics:
        """Measure the tracks with the pairs of a new keyframe, the one that extended the trajectory first."""
        failed = pairs[0].motion.geometry == Geometry.FAILED
        end = () if failed else self._trajectory.consistent_end(KEYFRAMES)
        poses = {pose.keyframe.id: pose.T_map_camera for pose in end}
        cameras = {pose.keyframe.id: pose.keyframe.camera for pose in end if pose.keyframe.camera is not None}
        return self._tracks.add([pair.named for pair in pairs], poses, cameras)

    def _result(
        self,
        info: KeyframeInfo,
        decision: Decision,
        timer: StageTimer,
        change: ViewChange | None = None,
        pairs: tuple[PairResult, ...] = (),
        tracks: TrackStatistics | None = None,
        gravity: Gravity | None = None,
    ) -> FrameResult:
        return FrameResult(
            stamp_ns=info.stamp_ns,
            frame_id=info.frame_id,
            decision=decision,
            pose=self._trajectory.newest,
            pairs=pairs,
            change=change,
            tracks=tracks,
            gravity=gravity,
            seconds=timer.seconds,
        )

    def match_keyframes(self, older_id: int, newer_id: int) -> PairResult:
        """Match two keyframes on request, as for a loop closure. Raises InputError for one that is not kept.

        The newer image is turned as sensors or the trajectory say; without them all turns are tried.
        """
        if older_id >= newer_id:
            raise InputError(f"keyframe {older_id} is not older than keyframe {newer_id}: give the lower id first")
        return self._name(self._pairs.match(self._keyframe(older_id), self._keyframe(newer_id), StageTimer()))

    def image(self, keyframe_id: int) -> np.ndarray:
        """Return the image (H, W) uint8 of a keyframe. Raises InputError for one that is not kept."""
        return self._keyframe(keyframe_id).image

    def _keyframe(self, keyframe_id: int) -> Keyframe[Encoded]:
        return self._memory.get(keyframe_id, self._matcher.encode)

    def _keep(self, keyframe: Keyframe[Encoded]) -> None:
        self._keypoints.add(keyframe.info.id)
        self._drop(self._memory.add(keyframe))

    def _drop(self, keyframe_ids: tuple[int, ...]) -> None:
        """Forget what belongs to keyframes whose features had to go."""
        self._keypoints.drop(keyframe_ids)
        for keyframe_id in keyframe_ids:
            self._turned_features.drop(keyframe_id)

    def _recover(self, newer: Keyframe[Encoded], timer: StageTimer) -> EstimatedPair[Encoded] | None:
        """Match an image that lost the track with older keyframes; return the best pair that fits, else None."""
        similarity, ids = similar_places(self._places, newer.encoded.descriptor), set(self.keyframes_kept)
        kept = [
            Place(place.id, place.T_map_camera[:3, 3], similarity[place.id])
            for place in self._places.all
            if place.id in ids
        ]
        ids_tried = recovery_candidates(kept, self._settings.recovery_candidates)
        for keyframe_id, turns in self._most_similar(ids_tried, newer, timer):
            older = self._memory.find(keyframe_id, self._matcher.encode)
            if older is None:  # its file is gone
                continue
            pair = self._pairs.match_as_expected(older, newer, timer, turns)
            enough = len(pair.matches) >= self._settings.policy.lost_matches
            if enough and pair.estimate.motion.geometry != Geometry.FAILED:
                return pair
        return None

    def _most_similar(
        self, ids: tuple[int, ...], newer: Keyframe[Encoded], timer: StageTimer
    ) -> list[tuple[int, int | None]]:
        """Return the keyframes to match in full, the best first, each with its best turns, after rough trials of all.

        A matcher that repeats its keypoints has no rough stage: all are matched in full, in their order.
        """
        if self._matcher.repeats_keypoints:
            return [(keyframe_id, None) for keyframe_id in ids]
        known = [older for keyframe_id in ids if (older := self._memory.unencoded(keyframe_id))]
        trials = [(older.info.id, self._pairs.trial(older, newer, timer)) for older in known]
        best_first = sorted(trials, key=lambda each: -each[1].confidence)
        return [(keyframe_id, trial.turns) for keyframe_id, trial in best_first[:RECOVERY_MATCHINGS]]

    def _name(self, pair: EstimatedPair[Encoded]) -> PairResult:
        """Give ids to the keypoints of a pair; they persist while its keyframes are kept."""
        older, newer, matches, estimate = pair.older.info, pair.newer.info, pair.matches, pair.estimate
        is_calibrated = cameras_of(older, newer) is not None
        ids0, ids1 = self._keypoints.name(
            older.id,
            newer.id,
            matches.points0,
            matches.points1,
            radius=REPEATED_KEYPOINT_RADIUS if self._matcher.repeats_keypoints else self._settings.keypoint_radius,
            inlier=estimate.motion.inliers if is_calibrated else None,  # no estimator ran: no calibration
        )
        return PairResult(
            older=older,
            newer=newer,
            matches=matches,
            ids0=ids0,
            ids1=ids1,
            motion=estimate.motion,
            scale=estimate.scale,
            dynamic=estimate.moving.flags,
            dynamic_reason=estimate.moving.reason,
        )
