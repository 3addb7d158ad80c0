"""The summary of a bag that was made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BagSummary:
    """The content of a bag that was made.

    what: the recognised format of the source, in words. frames, duration_s, sizes: of the first camera. timing: where
    the stamps come from, in words. sizes: (width, height) of the images, pixels, the most frequent first. counts:
    messages by topic. broken: names of the frames that cannot be read. notes: what the user should know, one sentence
    each.
    """

    path: Path
    what: str
    frames: int
    timing: str
    duration_s: float
    sizes: tuple[tuple[int, int], ...]
    counts: dict[str, int]
    broken: tuple[str, ...]
    notes: tuple[str, ...]


def describe_summary(summary: BagSummary) -> str:
    """Return the summary as lines of text for a terminal."""
    width, height = summary.sizes[0]
    lines = [
        f"{summary.path}: {summary.frames} images of {width}x{height}, {summary.duration_s:.3f} s ({summary.timing})",
        f"  from {summary.what}",
    ]
    lines += [f"  {topic}: {count}" for topic, count in sorted(summary.counts.items())]
    lines += [f"  {note}" for note in summary.notes]
    if summary.broken:
        lines.append(f"  {len(summary.broken)} broken, skipped: {', '.join(summary.broken)}")
    return "\n".join(lines)
