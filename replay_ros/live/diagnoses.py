"""What the nodes of a live replay say about themselves on /diagnostics."""

from __future__ import annotations

from typing import Any

REFUSED, LAST_REFUSAL = "images refused", "last refusal"  # keys in the diagnostics of a node
_SKIPPED = " skipped: "  # between the topic and the cause of a refusal


class Diagnoses:
    """The last key-value pairs of each node by its full name, and every problem that was reported."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, str]] = {}
        self._problems: dict[str, None] = {}

    def add(self, message: Any) -> None:
        """Take a diagnostic_msgs/DiagnosticArray."""
        for status in message.status:
            values = {item.key: item.value for item in status.values}
            self.values[status.name] = values
            self._problems.update({text: None for key, text in values.items() if key.startswith("problem ")})

    def refusals(self, node: str) -> int:
        """Count the images that a node refused. node: its name without the namespace."""
        return self._count(node, REFUSED)

    def last_refusal(self, node: str) -> str:
        """Return why a node refused its last image, in the words of the offline replay."""
        text = self._of(node).get(LAST_REFUSAL, "")
        return text.partition(_SKIPPED)[2] or text or "it says no cause"

    def why_missed(self, node: str, images: int) -> str:
        """Say how many of the images sent did not reach a node and how many it dropped; "" without diagnostics."""
        if not self._of(node):
            return ""
        lost = max(images - self._count(node, "images received"), 0)
        text = f"it dropped {self._count(node, 'images dropped')}, {lost} did not reach it"
        if self.refusals(node):
            text += f", it refused {self.refusals(node)}, the last one for: {self.last_refusal(node)}"
        return text

    def problems_with(self, word: str) -> list[str]:
        """Return all problems that were reported and hold a word."""
        return [problem for problem in self._problems if word in problem]

    def _of(self, node: str) -> dict[str, str]:
        return next((values for name, values in self.values.items() if name.rpartition("/")[2] == node), {})

    def _count(self, node: str, key: str) -> int:
        text = self._of(node).get(key, "0")
        return int(text) if text.isdigit() else 0
