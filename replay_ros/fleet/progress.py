"""Progress of a fleet: a line for each task that ends, with the time left."""

from __future__ import annotations

import time
from collections.abc import Callable

from perception_common.text.durations import duration_text
from replay_ros.fleet.record import Record


class Progress:
    """Prints how far a fleet is. The time left goes by the bytes of the tasks, which differ more than their speed."""

    def __init__(self, tasks: int, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock. tasks, size: that are to be done, and the bytes of their inputs."""
        self._tasks, self._size, self._clock = tasks, size, clock
        self._start = clock()
        self._ended = self._done = 0

    def add(self, record: Record) -> None:
        """Print the line of a task that ended."""
        self._ended += 1
        self._done += record.size
        what = f"{record.frames} images in {record.seconds:.1f} s" if record.status != "failed" else "FAILED"
        cause = f": {record.cause}" if record.cause else ""
        print(f"[{self._ended}/{self._tasks}] {record.name}: {what}{cause}{self._left()}", flush=True)

    def repeat(self, name: str, cause: str, attempt: int) -> None:
        """Print that a task begins again. attempt: the next one."""
        print(f"{name}: {cause}; attempt {attempt}", flush=True)

    def _left(self) -> str:
        left = self._size - self._done
        if self._ended == self._tasks or not self._done:
            return ""
        return f", left {duration_text((self._clock() - self._start) * left / self._done)}"
