"""Durations of named stages, for diagnostics and replay results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class StageTimer:
    """Times named stages. seconds: the sum of each stage. record(name, seconds): called at the end of every block."""

    def __init__(self, record: Callable[[str, float], None] | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._record = record

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of a block to a stage, also when the block raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
            if self._record is not None:
                self._record(name, seconds)
