"""Decoded images kept in memory, since a training reads each image many times."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from yolc_ros.datasets.samples import Sample, Source


class ImageMemory:
    """A number of bytes that several sources share; it may be used from several threads."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._lock = threading.Lock()

    def reserve(self, size: int) -> bool:
        """Take `size` bytes; False when fewer are left."""
        with self._lock:
            is_free = size <= self._left
            self._left -= size if is_free else 0
        return is_free


@dataclass(frozen=True)
class DecodedImages:
    """A source whose images are kept until the memory is full; later ones are then read each time.

    No image is dropped for another one: images are drawn at random, so the newer one is not needed more often. Kept
    images cannot be written to.
    """

    source: Source
    memory: ImageMemory
    _kept: dict[int, Sample] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.source)

    def name(self, index: int) -> str:
        """Origin of an image, for messages."""
        return self.source.name(index)

    def load(self, index: int) -> Sample:
        """Return an image, from memory where it is kept. Raises InputError like the source."""
        if index in self._kept:
            return self._kept[index]
        sample = self.source.load(index)
        if self.memory.reserve(sample.image.nbytes):
            sample.image.flags.writeable = False
            self._kept[index] = sample
        return sample
