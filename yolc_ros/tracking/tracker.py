"""Gives detections ids that persist, over a moving camera and at a few images a second.

Tracks are predicted at constant velocity over the ground, carried by the motion of the camera, and continued by
detections in two stages: those with high scores first, then the others for what is left (Zhang et al., "ByteTrack",
ECCV 2022, section 3). Only detections with a high score begin a track.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from perception_common.errors import InputError
from yolc_ros.boxes import ScoredBoxes
from yolc_ros.tracking.association import Shapes, assign, cost_alone, possible_pairs
from yolc_ros.tracking.filter import (
    blur_position,
    innovation_covariance,
    move_camera,
    predict,
    slow_innovation_covariance,
)
from yolc_ros.tracking.state import TrackState, begin, centres_and_sides, correct_tracks, join, lengthen_trails
from yolc_ros.tracking.tracks import COAST, Tracks, TrackStatus

_UNKNOWN_CAMERA = 0.03  # of the image's long side: standard deviation of an unknown motion of the camera (empirical)
_NOTHING = ScoredBoxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))


@dataclass(frozen=True)
class TrackingSettings:
    """How tracks begin and end.

    high_score: score from which a detection may begin a track. max_lost: seconds without a detection after which a
    track ends. min_hits: detections that a track needs before it counts as an object; before, it ends
    after COAST seconds without one.
    """

    high_score: float = 0.4
    max_lost: float = 2.0
    min_hits: int = 2

    def __post_init__(self) -> None:
        if not 0 <= self.high_score <= 1 or self.max_lost <= 0 or self.min_hits < 1:
            raise InputError("tracking needs a high_score in [0, 1], max_lost above 0 and min_hits of at least 1")


@dataclass(frozen=True, eq=False)
class ImageInput:
    """What an image tells the tracker.

    stamp_ns: of the image. found: its detections. size: its width and height, pixels. homography: (3, 3), from pixels
    of the image before, for the ground; None where it is unknown.
    """

    stamp_ns: int
    found: ScoredBoxes
    size: tuple[int, int]
    homography: np.ndarray | None = None


class Tracker:
    """Gives the objects of a stream of images ids. Use it from one thread at a time.

    classes: number of classes of the detector. state, stamp_ns: the tracks after the newest image and its stamp; an
    earlier pair may be put back, and ids given since are not used again. next_id: the first id that is not in use.
    """

    def __init__(self, classes: int, settings: TrackingSettings = TrackingSettings(), next_id: int = 1):
        self.settings = settings
        self._classes = classes
        self._next_id = next_id
        self.forget()

    @property
    def next_id(self) -> int:
        """The first id that was not given."""
        return self._next_id

    def forget(self) -> None:
        """End all tracks; ids are not used again."""
        self.stamp_ns: int | None = None
        self.state = self._begun(_NOTHING, 0)

    def update(self, image: ImageInput) -> Tracks:
        """Continue the tracks with the detections of an image; their order does not matter.

        An image whose stamp is not later than that before begins anew.
        """
        stamp_ns, found = image.stamp_ns, image.found
        if self.stamp_ns is not None and stamp_ns <= self.stamp_ns:
            self.forget()
        order = np.lexsort([*found.boxes.T, found.labels, -found.scores])
        usable = order[(found.boxes[order, 2:] > found.boxes[order, :2]).all(axis=1)]
        found = found.select(usable)
        state = self._predicted(image)
        which, by = self._associate(state, found, image)
        hit = np.full(len(state), -1)
        hit[which] = by
        was_lost = (state.last_ns < (self.stamp_ns or 0)) & (hit >= 0)
        state = correct_tracks(state, which, found.select(by), stamp_ns)
        keep = (hit >= 0) | self._is_worth_keeping(state, stamp_ns, image.size)
        state, hit, was_lost = state.select(keep), hit[keep], was_lost[keep]

        free = np.ones(len(found), bool)
        free[by] = False
        begins = np.flatnonzero(free & (found.scores >= self.settings.high_score))
        new = self._begun(found.select(begins), stamp_ns)
        self.state, self.stamp_ns = lengthen_trails(join(state, new)), stamp_ns

        statuses = np.where(hit < 0, TrackStatus.LOST, np.where(was_lost, TrackStatus.FOUND_AGAIN, TrackStatus.TRACKED))
        detections = np.concatenate([hit, begins])
        return self._tracks(
            statuses=np.concatenate([statuses, np.full(len(new), TrackStatus.NEW)]),
            detections=np.where(detections >= 0, usable[detections] if len(usable) else -1, -1),
            camera_known=image.homography is not None,
        )

    def _predicted(self, image: ImageInput) -> TrackState:
        state = self.state
        if len(state) == 0 or self.stamp_ns is None:
            return state
        if image.homography is None:
            motion, growth = blur_position(state.motion, _UNKNOWN_CAMERA * max(image.size)), np.ones(len(state))
            state = replace(state, trails=np.full_like(state.trails, np.nan))
        else:
            motion, growth = move_camera(state.motion, image.homography)
            state = replace(state, trails=_carried(state.trails, image.homography))
        state = replace(state, sides=state.sides * growth[:, None])
        return replace(state, motion=predict(motion, state.sizes, (image.stamp_ns - self.stamp_ns) / 1e9))

    def _associate(self, state: TrackState, found: ScoredBoxes, image: ImageInput) -> tuple[np.ndarray, np.ndarray]:
        """Indices of tracks and of the detections that continue them. found: those of the image, sorted."""
        sizes, since = state.sizes, (image.stamp_ns - state.first_ns) / 1e9
        centres, sides = centres_and_sides(found)
        pairs = possible_pairs(
            Shapes(state.motion.mean[:, :2], state.sides, state.labels),
            innovation_covariance(state.motion, sizes),
            slow_innovation_covariance(state.motion, sizes, np.where(state.hits == 1, since, 0.0)),
            state.hits == 1,
            Shapes(centres, sides, found.labels),
        )
        alone = cost_alone(sides, image.size)
        is_high = found.scores[pairs.detections] >= self.settings.high_score
        first = assign(pairs.select(is_high), alone)
        left = pairs.select(~is_high & ~np.isin(pairs.tracks, first[0]))
        second = assign(left, alone)
        return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])

    def _is_worth_keeping(self, state: TrackState, stamp_ns: int, size: tuple[int, int]) -> np.ndarray:
        """(N,) bool: a track without a detection may be found again."""
        centres = state.motion.mean[:, :2]
        inside = ((centres >= 0) & (centres <= np.array(size))).all(axis=1)
        confirmed = state.hits >= self.settings.min_hits
        kept = np.where(confirmed, self.settings.max_lost, min(COAST, self.settings.max_lost))
        return inside & ((stamp_ns - state.last_ns) / 1e9 <= kept)

    def _begun(self, found: ScoredBoxes, stamp_ns: int) -> TrackState:
        ids = np.arange(self._next_id, self._next_id + len(found))
        self._next_id += len(found)
        return begin(found, ids, stamp_ns, self._classes)

    def _tracks(self, *, statuses: np.ndarray, detections: np.ndarray, camera_known: bool) -> Tracks:
        state, stamp_ns = self.state, self.stamp_ns or 0
        return Tracks(
            ids=state.ids,
            boxes=state.boxes,
            labels=state.labels,
            scores=state.scores,
            statuses=statuses,
            hits=state.hits,
            ages=(stamp_ns - state.first_ns) / 1e9,
            unseen=(stamp_ns - state.last_ns) / 1e9,
            velocities=state.motion.mean[:, 2:].copy(),
            detections=detections,
            confirmed=state.hits >= self.settings.min_hits,
            trails=state.trails,
            camera_known=camera_known,
        )


def _carried(points: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """Map points (..., 2) by a homography."""
    moved = points @ homography[:, :2].T + homography[:, 2]
    return moved[..., :2] / moved[..., 2:]
