"""Features of turned and of shrunk images, computed on demand and kept within bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic

from loftr_ros.image_matcher import Encoded

Key = tuple[int, int, bool]
"""Id of the image, its turns, and whether it is shrunk for a trial."""


class TurnedFeatures(Generic[Encoded]):
    """Encoded images by key within `limit_bytes`; the least recently used ones are dropped, never the newest one."""

    def __init__(self, limit_bytes: int):
        self.limit_bytes = limit_bytes
        self._entries: OrderedDict[Key, Encoded] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Bytes of all entries."""
        return sum(entry.nbytes for entry in self._entries.values())

    def get(self, key: Key, encode: Callable[[], Encoded]) -> Encoded:
        """Return the features under a key; `encode` computes them where they are not kept."""
        if key not in self._entries:
            self._entries[key] = encode()
        self._entries.move_to_end(key)
        found = self._entries[key]
        while len(self._entries) > 1 and self.nbytes > self.limit_bytes:
            self._entries.popitem(last=False)
        return found

    def drop(self, image_id: int) -> None:
        """Drop everything of an image."""
        for key in [key for key in self._entries if key[0] == image_id]:
            del self._entries[key]

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()
