"""Matches two keyframes, turned as is expected, and estimates their motion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic

import numpy as np

from loftr_ros.image_matcher import Encoded
from loftr_ros.loops.archive import UnencodedKeyframe
from loftr_ros.loops.places import Places
from loftr_ros.matches import Matches
from loftr_ros.matching.keyframe import EstimatedPair, Keyframe, kept_turns
from loftr_ros.pair_estimation import PairSettings, estimate_pair, expected_motion
from loftr_ros.results import KeyframeInfo, PairResult
from loftr_ros.sensors.suite import FrameReadings, Sensors
from loftr_ros.tracks.register import KeypointRegister
from loftr_ros.turning.expectation import expected_turns, sensed_rotation
from loftr_ros.turning.matching import WEAK, Trial, TurnedMatcher, View
from perception_common.timing.stage_timer import StageTimer


@dataclass
class PairMatching(Generic[Encoded]):
    """How the keyframes of a trajectory are matched with each other.

    turned: the matcher. keypoints: known points, which are matched onward; None where the matcher repeats its own.
    last_step: the last pair that extended the trajectory, from which the next motion is expected.
    """

    turned: TurnedMatcher[Encoded]
    settings: PairSettings
    sensors: Sensors
    places: Places
    keypoints: KeypointRegister | None
    last_step: PairResult | None = None

    def match(
        self,
        older: Keyframe[Encoded],
        newer: Keyframe[Encoded],
        timer: StageTimer,
        rotation: np.ndarray | None = None,
        *,
        prior: np.ndarray | None = None,
        weak: float = WEAK,
    ) -> EstimatedPair[Encoded]:
        """Match two keyframes and estimate their motion; their keypoints get no ids yet.

        rotation: (3, 3), expected one of the newer camera in the older one; None: that of sensors or the trajectory,
        and where these know none, all turns are tried. prior: (4, 4), expected motion, None: that of the last step.
        weak: see `TurnedMatcher.match`.
        """
        if rotation is None:
            rotation = self._expected_rotation(older, newer)
        turns = expected_turns(rotation, kept=kept_turns(older, newer))
        return self._match_turned(older, newer, turns, timer, weak=weak, prior=prior)

    def trial(self, older: UnencodedKeyframe, newer: Keyframe[Encoded], timer: StageTimer) -> Trial:
        """Match two keyframes roughly, on small images, turned as sensors say, else in all four turns."""
        with timer.stage("network"):
            rotation = self.sensed_rotation(older, newer.info, newer.readings)
            turns = expected_turns(rotation) if self.turned.turns_images else 0
            return self.turned.trial(View(older.info.id, older.image), newer.view, expected=turns)

    def match_as_expected(
        self, older: Keyframe[Encoded], newer: Keyframe[Encoded], timer: StageTimer, tried: int | None = None
    ) -> EstimatedPair[Encoded]:
        """Match two keyframes turned as sensors or the trajectory say, else as `tried`; try no other turn.

        tried: quarter turns that a trial found best; None: those of the kept features.
        """
        kept = kept_turns(older, newer)
        default = kept if tried is None else tried
        turns = expected_turns(self._expected_rotation(older, newer), kept=kept, default=default)
        return self._match_turned(older, newer, turns, timer, weak=0.0)

    def estimate(
        self,
        older: Keyframe[Encoded],
        newer: Keyframe[Encoded],
        matches: Matches,
        timer: StageTimer,
        prior: np.ndarray | None = None,
    ) -> EstimatedPair[Encoded]:
        """Estimate the motion of a matched pair. prior: (4, 4), expected motion, None: that of the last step."""
        with timer.stage("geometry"):
            # Detections and depths may arrive after their image.
            older, newer = (
                replace(each, readings=self.sensors.at(each.info.stamp_ns, each.info.frame_id, each.readings))
                for each in (older, newer)
            )
            estimate = estimate_pair(
                older.info,
                newer.info,
                older.readings,
                newer.readings,
                matches,
                self.settings,
                expected=expected_motion(self.last_step, older.info, newer.info) if prior is None else prior,
            )
        return EstimatedPair(older, newer, matches, estimate)

    def view(self, older: Keyframe[Encoded]) -> View[Encoded]:
        """Return a keyframe as the older one of a pair."""
        return replace(older.view, known=self.keypoints.known_points(older.info.id) if self.keypoints else None)

    def sensed_rotation(
        self, older: UnencodedKeyframe | Keyframe[Encoded], newer: KeyframeInfo, readings: FrameReadings
    ) -> np.ndarray | None:
        """Return the rotation (3, 3) of the newer camera in the older one as sensors tell it; None: they do not."""
        settings = self.settings
        return sensed_rotation(older.info, newer, older.readings, readings, settings.gimbal_pitch, settings.sensors)

    def _match_turned(
        self,
        older: Keyframe[Encoded],
        newer: Keyframe[Encoded],
        turns: int | None,
        timer: StageTimer,
        *,
        weak: float = WEAK,
        prior: np.ndarray | None = None,
    ) -> EstimatedPair[Encoded]:
        with timer.stage("network"):
            found = self.turned.match(self.view(older), newer.view, turns, weak=weak)
        return self.estimate(older, newer, found.matches, timer, prior)

    def _expected_rotation(self, older: Keyframe[Encoded], newer: Keyframe[Encoded]) -> np.ndarray | None:
        """Rotation (3, 3) of the newer camera in the older one, before they are matched; None: unknown."""
        sensed = self.sensed_rotation(older, newer.info, newer.readings)
        return self.places.rotation_between(older.info.id, newer.info.id) if sensed is None else sensed
