"""When an image becomes a keyframe: a pure policy on what matching it with the last keyframe showed."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np


class Outcome(enum.IntEnum):
    """What becomes of an image; the numbers are those of MatchingStatus.msg."""

    SKIPPED = 0
    TRACKED = 1
    KEYFRAME = 2
    LOST = 3


@dataclass(frozen=True)
class KeyframePolicy:
    """When to make a keyframe.

    min_interval: an image sooner after the last keyframe is not matched at all, seconds.
    max_interval: a keyframe is made after this time in any case, seconds.
    max_displacement: median length of the matches that makes a keyframe, as a fraction of the image's long side: it
        stands for the overlap that is lost and the parallax that is won.
    min_matches: fewer matches than this make a keyframe while the last one can still be seen.
    lost_matches: fewer matches than this mean that the last keyframe is out of sight.
    """

    min_interval: float = 0.0
    max_interval: float = 5.0
    max_displacement: float = 0.15
    min_matches: int = 200
    lost_matches: int = 30


@dataclass(frozen=True)
class Decision:
    """An outcome, and in words why."""

    outcome: Outcome
    reason: str

    @property
    def makes_keyframe(self) -> bool:
        """Whether the image becomes a keyframe."""
        return self.outcome in (Outcome.KEYFRAME, Outcome.LOST)


FIRST = Decision(Outcome.KEYFRAME, "the first image")


def is_too_soon(policy: KeyframePolicy, seconds: float) -> Decision | None:
    """The decision to skip an image `seconds` after the last keyframe, or None when it is to be matched."""
    if seconds < policy.min_interval:
        return Decision(
            Outcome.SKIPPED, f"{seconds:.3f} s after the last keyframe, min_interval is {policy.min_interval:g} s"
        )
    return None


def decide(policy: KeyframePolicy, seconds: float, matches: int, displacement: float) -> Decision:
    """Decide on an image that was matched with the last keyframe.

    seconds: since that keyframe. matches: their number. displacement: their median length over the image's long side.
    """
    if matches < policy.lost_matches:
        return Decision(Outcome.LOST, f"{matches} matches with the last keyframe, fewer than {policy.lost_matches}")
    if displacement > policy.max_displacement:
        return Decision(
            Outcome.KEYFRAME, f"moved by {displacement:.2f} of the image, more than {policy.max_displacement:g}"
        )
    if matches < policy.min_matches:
        return Decision(Outcome.KEYFRAME, f"{matches} matches with the last keyframe, fewer than {policy.min_matches}")
    if seconds >= policy.max_interval:
        return Decision(Outcome.KEYFRAME, f"{seconds:.1f} s after the last keyframe")
    return Decision(Outcome.TRACKED, f"{matches} matches, moved by {displacement:.2f} of the image")


def median_displacement(points0: np.ndarray, points1: np.ndarray, long_side: int) -> float:
    """Median distance of matched points (N, 2), pixels, over the long side of the image; 0 without matches."""
    if len(points0) == 0:
        return 0.0
    return float(np.median(np.linalg.norm(points1 - points0, axis=1))) / long_side
