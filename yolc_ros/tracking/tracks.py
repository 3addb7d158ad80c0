"""The tracked objects of an image: what the tracker gives out."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

TRAIL = 16  # newest places of a track, for pictures
COAST = 0.5  # seconds: so long a track without a detection counts as present, at its predicted place


class TrackStatus(enum.IntEnum):
    """What an image did to a track; the numbers are those of Track.msg."""

    NEW = 0
    TRACKED = 1
    FOUND_AGAIN = 2
    LOST = 3


@dataclass(frozen=True, eq=False)
class Tracks:
    """The N tracks after an image, by id; all arrays are parallel.

    ids: (N,) int64, from 1, never reused. boxes: (N, 4) float64 x0, y0, x1, y1, pixels, smoothed over the
    images, predicted for a lost one. labels: (N,) int64, the class with the largest sum of scores. scores: (N,)
    float64, of the last detection. statuses: (N,) of TrackStatus. hits: (N,) int64, detections so far. ages, unseen:
    (N,) float64, seconds since the first and since the last detection. velocities: (N, 2) float64, pixels/s over the
    ground, axes of this image. detections: (N,) int64, index into the detections of the image, -1 for a lost one.
    confirmed: (N,) bool, enough hits. trails: (N, TRAIL, 2) float64, places of the centre in the newest images, the
    newest last, in pixels of this image; NaN before the first one and
    before an unknown motion of the camera. camera_known: the motion of the camera since the image before is known.
    """

    ids: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    statuses: np.ndarray
    hits: np.ndarray
    ages: np.ndarray
    unseen: np.ndarray
    velocities: np.ndarray
    detections: np.ndarray
    confirmed: np.ndarray
    trails: np.ndarray
    camera_known: bool

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def present(self) -> np.ndarray:
        """(N,) bool: what the image shows, as far as known: confirmed, and detected in the last COAST seconds."""
        return self.confirmed & (self.unseen <= COAST)

    def ids_by_detection(self, count: int) -> list[int]:
        """Return the id of each of the `count` detections of the image; 0 where a detection belongs to no track."""
        ids = np.zeros(count, np.int64)
        is_detected = self.detections >= 0
        ids[self.detections[is_detected]] = self.ids[is_detected]
        return [int(each) for each in ids]
