"""The places of tracks over images: each has an estimate at rest and a moving one, weighed by likelihood."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from yolc_ros.georeference.motion_filter import Estimate, MeasuredPlace, begin, predict, stopped, update
from yolc_ros.georeference.projection import GroundPoints

_SPEED = 8.0  # m/s, standard deviation of each component of an unknown velocity: town traffic (empirical)
_ACCELERATION = 1.0  # m/s^1.5: one m/s of change in a second (empirical)
_MOVES, _LIMIT = 3.0, 6.0  # evidence (natural logarithm of odds) from which an object is said to move, and the largest
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

    evidence: logarithm of the odds that the object moves, within -6 and 6: a parked car that starts is seen soon.
    trial_ns: when the estimate at rest began. observations: places so far.
    """

    stamp_ns: int
    rest: Estimate
    moving: Estimate
    is_moving: bool = False
    evidence: float = 0.0
    trial_ns: int = 0
    observations: int = 1

    @property
    def place(self) -> tuple[np.ndarray, np.ndarray]:
        """The place (3,), metres, and its covariance (3, 3): mean of both estimates, and its spread."""
        share = 1.0 / (1.0 + math.exp(-self.evidence))
        moves, rests = self.moving.state[:3], self.rest.state
        apart = moves - rests
        covariance = share * self.moving.covariance[:3, :3] + (1 - share) * self.rest.covariance
        return rests + share * apart, covariance + share * (1 - share) * np.outer(apart, apart)

    @property
    def velocity(self) -> tuple[np.ndarray, np.ndarray]:
        """The velocity (3,), m/s, and its covariance (3, 3); 0 for an object at rest."""
        if not self.is_moving:
            return np.zeros(3), np.zeros((3, 3))
        return self.moving.state[3:], self.moving.covariance[3:, 3:]


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
                velocity, _ = track.velocity
                places[k] = track.place[0] + (stamp_ns - track.stamp_ns) / 1e9 * velocity
        return places

    def with_image(self, stamp_ns: int, ids: Sequence[int], points: GroundPoints) -> GroundTracks:
        """Return the tracks after an image with places of the tracks `ids`; 0 stands for none.

        Points without a place change nothing. An image from before the last one begins anew: the clock restarted.
        """
        newest = max((track.stamp_ns for track in self.tracks.values()), default=stamp_ns)
        old = {} if stamp_ns < newest else self.tracks
        horizon = stamp_ns - self.settings.forget_after * 1e9
        tracks = {key: track for key, track in old.items() if track.stamp_ns >= horizon}
        constant = self.settings.constant
        for k, key in enumerate(ids):
            if key and points.located[k]:
                measured = MeasuredPlace(points.places[k], points.errors[k], points.noise[k])
                track = tracks.get(key)
                tracks[key] = (
                    _begun(stamp_ns, measured, constant)
                    if track is None
                    else _continued(track, stamp_ns, measured, constant)
                )
        return replace(self, tracks=tracks)


def _begun(stamp_ns: int, measured: MeasuredPlace, constant: np.ndarray) -> GroundTrack:
    return GroundTrack(stamp_ns, begin(measured, constant, None), begin(measured, constant, _SPEED), trial_ns=stamp_ns)


def _continued(track: GroundTrack, stamp_ns: int, measured: MeasuredPlace, constant: np.ndarray) -> GroundTrack:
    """Return the track after one more place; what moves for certain is tried at rest from its present place on."""
    seconds = (stamp_ns - track.stamp_ns) / 1e9
    moving, likelihood = update(predict(track.moving, seconds, _ACCELERATION), measured, constant)
    rest, at_rest = update(track.rest, measured, constant)
    evidence, trial_ns = min(max(track.evidence + likelihood - at_rest, -_LIMIT), _LIMIT), track.trial_ns
    if evidence == _LIMIT and (stamp_ns - trial_ns) / 1e9 >= _TRIAL_S:
        rest, evidence, trial_ns = stopped(moving), _MOVES, stamp_ns
    return GroundTrack(
        stamp_ns=stamp_ns,
        rest=rest,
        moving=moving,
        is_moving=evidence > (0.0 if track.is_moving else _MOVES),
        evidence=evidence,
        trial_ns=trial_ns,
        observations=track.observations + 1,
    )
