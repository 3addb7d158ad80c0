"""Settings of the search for loops."""

from __future__ import annotations

from dataclasses import dataclass

from perception_common.errors import InputError

CHECKS = 4  # default: finds most of the pairs of a survey; a keyframe then costs two to three times as much


@dataclass(frozen=True)
class LoopSettings:
    """How loops are searched.

    checks: most old keyframes that a new one is matched with, and the budget of each image for that, see checks.py; 0:
    none. store: folder for the images of keyframes whose features had to go; empty: they stay in memory.
    """

    checks: int = CHECKS
    store: str = ""

    def __post_init__(self) -> None:
        if self.checks < 0:
            raise InputError(f"loop_checks must not be negative, not {self.checks}")
