"""The places of tracks over images: each track has an estimate at rest and a moving one, and the likelier is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from yolc_ros.georeference.motion_filter import Estimate, MeasuredPlace, begin, predict, stopped, update
from yolc_ros.georeference.projection import GroundPoints

_SPEED = 8.0  # m/s, standard deviation of each component of an unknown velocity: town traffic (empirical)
_ACCELERATION = 1.0  # m/s^1.5: one m/s of change in a second (empirical)
_EVIDENCE = 6.0  # by which the moving estimate must be likelier (natural logarithm): 1 in 400 (empirical)
_TRIAL_S = 4.0  # seconds after which a moving object is tried at rest again (empirical)


@dataclass(frozen=True, eq=False)
class TrackSettings:
    """How tracks are filtered.

    constant: (10,), shares of the variances of the errors that are constant. forget_after: seconds without a place.
    """

    constant: np.ndarray
    forget_after: float = 10.0


@dataclass(frozen=True, eq=False)
class GroundTrack:
    """One object on the ground.

    evidence: sum of log likelihoods of the moving estimate less those of the one at rest, since `trial_ns`.
    observations: places so far.
    """

    stamp_ns: int
    rest: Estimate
    moving: Estimate
    is_moving: bool = False
    evidence: float = 0.0
    trial_ns: int = 0
    observations: int = 1

    @property
    def best(self) -> Estimate:
        """The likelier estimate."""
        return self.moving if self.is_moving else self.rest


@dataclass(frozen=True, eq=False)
class GroundTracks:
    """All tracks by id, as one image left them."""

    settings: TrackSettings
    tracks: Mapping[int, GroundTrack] = field(default_factory=dict)

    def predicted(self, stamp_ns: int, ids: Sequence[int]) -> np.ndarray:
        """Return the places (N, 3) where tracks are expected at a stamp; NaN for those without a place so far."""
        places: np.ndarray = np.full((len(ids), 3), np.nan)
        for k, key in enumerate(ids):
            if (track := self.tracks.get(key)) is not None:
                seconds = (stamp_ns - track.stamp_ns) / 1e9
                places[k] = predict(track.best, seconds, _ACCELERATION).state[:3]
        return places

    def with_image(self, stamp_ns: int, ids: Sequence[int], points: GroundPoints) -> GroundTracks:
        """Return the tracks after an image with places of the tracks `ids`; 0 stands for none.

        Points without a place change nothing. An image from before the last one begins anew: the clock restarted.
        """
        newest = max((track.stamp_ns for track in self.tracks.values()), default=stamp_ns)
        old = {} if stamp_ns < newest else self.tracks
        horizon = stamp_ns - self.settings.forget_after * 1e9
        tracks = {key: track for key, track in old.items() if track.stamp_ns >= horizon}
        for k, key in enumerate(ids):
            if not key or not points.located[k]:
                continue
            measured = MeasuredPlace(points.places[k], points.errors[k], points.noise[k])
            track = tracks.get(key)
            tracks[key] = (
                begin_track(stamp_ns, measured, self.settings.constant)
                if track is None
                else continue_track(track, stamp_ns, measured, self.settings.constant)
            )
        return replace(self, tracks=tracks)


def begin_track(stamp_ns: int, measured: MeasuredPlace, constant: np.ndarray) -> GroundTrack:
    """Begin a track with one place."""
    return GroundTrack(stamp_ns, begin(measured, constant, None), begin(measured, constant, _SPEED), trial_ns=stamp_ns)


def continue_track(track: GroundTrack, stamp_ns: int, measured: MeasuredPlace, constant: np.ndarray) -> GroundTrack:
    """Return the track after one more place.

    A track at rest moves as soon as the evidence is large. The evidence against moving is limited, so that a parked
    car that starts is seen soon. A moving track is tried at rest from its present place on, again and again.
    """
    seconds = (stamp_ns - track.stamp_ns) / 1e9
    moving, likelihood = update(predict(track.moving, seconds, _ACCELERATION), measured, constant)
    rest, at_rest = update(track.rest, measured, constant)
    evidence = max(track.evidence + likelihood - at_rest, -_EVIDENCE)
    is_moving, trial_ns = track.is_moving or evidence > _EVIDENCE, track.trial_ns
    if is_moving and (not track.is_moving or (stamp_ns - trial_ns) / 1e9 >= _TRIAL_S):
        is_moving = not track.is_moving or evidence > 0
        rest, evidence, trial_ns = (stopped(moving), 0.0, stamp_ns) if is_moving else (rest, evidence, stamp_ns)
    return GroundTrack(
        stamp_ns=stamp_ns,
        rest=rest,
        moving=moving,
        is_moving=is_moving,
        evidence=evidence,
        trial_ns=trial_ns,
        observations=track.observations + 1,
    )
