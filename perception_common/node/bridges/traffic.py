"""What a bridge passed on, and what it refused and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

_REASONS = 20  # reasons that are counted one by one; the texts of other programs may differ without end
_OTHER = "other reasons"


class Traffic:
    """Counts one kind of messages of a bridge.

    what: their name in the plural, such as "relative poses". log: gets one line for each new reason of a refusal.
    """

    def __init__(self, what: str, log: Callable[[str], None]):
        self.what = what
        self._log = log
        self.received = 0
        self.passed = 0
        self.refused: Counter[str] = Counter()
        self._last_refusal = ""

    def receive(self) -> None:
        """Count a message that arrived."""
        self.received += 1

    def pass_on(self) -> None:
        """Count a message that was passed on."""
        self.passed += 1

    def refuse(self, reason: str) -> None:
        """Count a message that is not passed on. The reason should contain no values that differ each time."""
        known = reason if reason in self.refused or len(self.refused) < _REASONS else _OTHER
        if known not in self.refused:
            self._log(f"{self.what} refused: {reason}")
        self.refused[known] += 1
        self._last_refusal = reason

    @property
    def waiting(self) -> int:
        """Number of the messages that were neither passed on nor refused yet."""
        return self.received - self.passed - self.refused.total()

    @property
    def blockage(self) -> str | None:
        """Why nothing was passed on yet, if everything so far was refused."""
        if self.passed or not self.refused:
            return None
        return f"none of {self.refused.total()} {self.what} was passed on, the last one: {self._last_refusal}"

    def values(self) -> dict[str, str]:
        """Return the key-value pairs for the diagnostics."""
        counts = {
            "received": self.received,
            "passed on": self.passed,
            "waiting": self.waiting,
            "refused": self.refused.total(),
            **{f"refused: {reason}": count for reason, count in self.refused.items()},
        }
        return {f"{self.what} {key}": str(count) for key, count in counts.items()}
