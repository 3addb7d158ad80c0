"""How long nothing came in, by a clock that may not have begun, stand still or jump back."""

from __future__ import annotations


class Silence:
    """Seconds since the last input. `now` is in seconds of one clock; 0 while it has not begun.

    It begins with the first time that the clock tells, and anew where the clock jumps back.
    """

    def __init__(self) -> None:
        self._last = 0.0

    def end(self, now: float) -> None:
        """Take note of an input."""
        self._last = now

    def seconds(self, now: float) -> float:
        """Return how long nothing came in."""
        if self._last == 0.0 or now < self._last:
            self._last = now
        return now - self._last
