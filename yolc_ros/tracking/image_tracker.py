"""Tracks the objects of a stream of images: the motion of the camera, then the tracker."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from yolc_ros.boxes import ScoredBoxes
from yolc_ros.tracking.camera_motion import CameraMotion, MatchedImages, ground_homography
from yolc_ros.tracking.state import TrackState
from yolc_ros.tracking.tracker import ImageInput, Tracker, TrackingSettings
from yolc_ros.tracking.tracks import Tracks

_REMEMBERED = 16  # newest images whose tracks may still be corrected by matches
_WAITING = 16  # newest matches that wait for the next image


@dataclass(frozen=True, eq=False)
class _Step:
    """An image that was tracked. state, stamp_ns: the tracks before it, and their stamp."""

    image: ImageInput
    state: TrackState
    stamp_ns: int | None


class ImageTracker:
    """Node and offline replay both run it, so their ids are equal. Only `add_matches` may come from another thread.

    The motion of the camera is measured by sparse flow, since ids must go out with the detections of an image. Where
    the flow loses the ground, matches of keyframes tell the motion afterwards: then the tracks of the images since are
    made again. Ids that were given meanwhile are new ones, so the earlier ones come back with the next image.

    classes: number of classes of the detector. next_id: the first id that is not in use.
    """

    def __init__(self, classes: int, settings: TrackingSettings, next_id: int = 1):
        self._camera_motion = CameraMotion()
        self._tracker = Tracker(classes, settings, next_id)
        self._covered = np.zeros((0, 4))
        self._steps: deque[_Step] = deque(maxlen=_REMEMBERED)
        self._matches: deque[MatchedImages] = deque(maxlen=_WAITING)
        self._lock = threading.Lock()
        self._lost = self._repaired = 0  # motions of the camera: lost by the flow, told by matches afterwards

    @property
    def next_id(self) -> int:
        """The first id that was not given."""
        return self._tracker.next_id

    def apply(self, settings: TrackingSettings) -> None:
        """Use other settings from the next image on."""
        self._tracker.settings = settings

    def forget(self) -> None:
        """End all tracks; ids are not used again."""
        self._camera_motion.forget()
        self._tracker.forget()
        self._steps.clear()
        with self._lock:
            self._matches.clear()

    def add_matches(self, matches: MatchedImages) -> None:
        """Take matches of two images; they are used with the next image."""
        with self._lock:
            self._matches.append(matches)

    def describe(self) -> dict[str, str]:
        """Diagnostics values of the tracks."""
        return {
            "tracks": str(len(self._tracker.state)),
            "camera motions lost by optical flow": str(self._lost),
            "camera motions from matches": str(self._repaired),
        }

    def track(self, stamp_ns: int, image: np.ndarray, found: ScoredBoxes) -> Tracks:
        """Continue the tracks with the detections of an image (H, W, 3) uint8 RGB."""
        self._use_matches()
        if self._steps and stamp_ns <= self._steps[-1].image.stamp_ns:
            self._steps.clear()
        homography = self._camera_motion.update(image, self._covered)
        self._lost += homography is None and bool(self._steps)
        self._covered = found.boxes
        height, width = image.shape[:2]
        return self._update(ImageInput(stamp_ns, found, (width, height), homography))

    def _update(self, image: ImageInput) -> Tracks:
        self._steps.append(_Step(image, self._tracker.state, self._tracker.stamp_ns))
        return self._tracker.update(image)

    def _use_matches(self) -> None:
        with self._lock:
            waiting = tuple(self._matches)
            self._matches.clear()
        for matches in waiting:
            self._repair(matches)

    def _repair(self, matches: MatchedImages) -> None:
        """Make the tracks again from the one image of unknown motion between two matched ones, if there is one."""
        steps = list(self._steps)
        stamps = [step.image.stamp_ns for step in steps]
        if matches.older_ns not in stamps or matches.newer_ns not in stamps:
            return
        older, newer = stamps.index(matches.older_ns), stamps.index(matches.newer_ns)
        unknown = [k for k in range(older + 1, newer + 1) if steps[k].image.homography is None]
        if len(unknown) != 1:
            return
        whole = ground_homography(matches.points0, matches.points1, steps[newer].image.size)
        if whole is None:
            return
        first = unknown[0]
        before, after = _chained(steps[older + 1 : first]), _chained(steps[first + 1 : newer + 1])
        homography = np.linalg.inv(after) @ whole @ np.linalg.inv(before)
        self._tracker.state, self._tracker.stamp_ns = steps[first].state, steps[first].stamp_ns
        for _ in steps[first:]:
            self._steps.pop()
        self._update(replace(steps[first].image, homography=homography / homography[2, 2]))
        for step in steps[first + 1 :]:
            self._update(step.image)
        self._repaired += 1


def _chained(steps: list[_Step]) -> np.ndarray:
    """Homography (3, 3) over consecutive images, all of whose motions are known."""
    H = np.eye(3)
    for step in steps:
        if step.image.homography is not None:
            H = step.image.homography @ H
    return H
