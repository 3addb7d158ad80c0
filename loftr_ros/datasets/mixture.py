"""Mixture of several sources of training pairs, sampled by weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from loftr_ros.datasets.supervision import TrainingPair


class PairSource(Protocol):
    """A source of training pairs."""

    def sample(self, rng: np.random.Generator, number: int, width: int, height: int) -> TrainingPair:
        """Sample a pair of images of this size; the same state of `rng` and number give the same pair.

        number: of the pair within the run; a source with expensive data, such as a scene, changes it by the number.
        """
        ...


class Mixture:
    """Samples each pair from one of the sources, by weight."""

    def __init__(self, sources: Sequence[PairSource], weights: Sequence[float]) -> None:
        if len(sources) != len(weights) or not sources or min(weights) < 0 or sum(weights) <= 0:
            raise ValueError("each source needs a weight that is not negative, and one of them a positive one")
        self._sources = tuple(sources)
        self._chances = np.asarray(weights, np.float64) / sum(weights)

    def sample(self, rng: np.random.Generator, number: int, width: int, height: int) -> TrainingPair:
        """Sample a source, then a pair from it."""
        return self._sources[rng.choice(len(self._sources), p=self._chances)].sample(rng, number, width, height)
