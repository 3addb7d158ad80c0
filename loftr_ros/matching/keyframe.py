"""A keyframe with what it needs to be matched again, and a matched pair of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

import numpy as np

from loftr_ros.image_matcher import Encoded
from loftr_ros.matches import Matches
from loftr_ros.pair_estimation import PairMotion
from loftr_ros.results import KeyframeInfo
from loftr_ros.sensors.suite import FrameReadings
from loftr_ros.turning.matching import View


@dataclass(frozen=True, eq=False)
class Keyframe(Generic[Encoded]):
    """A keyframe and what it needs to be matched again. image: (H, W) uint8. readings: of the sensors, at its time."""

    info: KeyframeInfo
    encoded: Encoded
    image: np.ndarray
    readings: FrameReadings

    @property
    def view(self) -> View[Encoded]:
        """The image as it is matched."""
        return View(self.info.id, self.image, self.encoded)

    @property
    def nbytes(self) -> int:
        """Memory that keeping this costs."""
        depth = self.readings.depth
        return self.encoded.nbytes + self.image.nbytes + (depth.value.depth.nbytes if depth else 0)


@dataclass(frozen=True, eq=False)
class EstimatedPair(Generic[Encoded]):
    """A matched pair with its motion, before its keypoints have ids."""

    older: Keyframe[Encoded]
    newer: Keyframe[Encoded]
    matches: Matches
    estimate: PairMotion


def kept_turns(older: Keyframe[Encoded], newer: Keyframe[Encoded]) -> int:
    """Return the turns of the newer image relative to the older one with which their kept features match."""
    return (newer.encoded.turns - older.encoded.turns) % 4
