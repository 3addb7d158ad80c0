"""The keyframe policy: a pure function of how the view changed since the last keyframe."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from loftr_ros.keyframes.quality import Quality


class Outcome(enum.IntEnum):
    """The decision on an image; the numbers are those of MatchingStatus.msg."""

    SKIPPED = 0
    TRACKED = 1
    KEYFRAME = 2
    LOST = 3


@dataclass(frozen=True)
class KeyframePolicy:
    """When to make a keyframe; None switches a trigger off.

    A camera that hovers, or turns on the spot, makes a keyframe by overlap and rotation alone. Time, few matches and
    their displacement are no reasons there: the keyframe would show the same view from the same place.

    min_interval: an image sooner after the last keyframe is not matched at all, seconds.
    max_interval: a keyframe is made after this time unless the camera hovers, seconds; 0: of every image.
    hover_parallax_deg: the camera hovers while the median parallax is smaller; for images with a known camera.
    hover_displacement: without a known camera it hovers while the median length of the matches is smaller than this
        fraction of the long side.
    max_displacement: median length of the matches that makes a keyframe, as a fraction of the image's long side. It
        needs no camera, and stands for overlap and parallax together.
    min_matches: fewer matches than this make a keyframe while the last one can still be seen.
    lost_matches: fewer matches than this mean that the last keyframe is out of sight; 0: never.
    min_overlap: a keyframe is made when less than this share of the last one is still seen, 0 to 1.
    max_parallax_deg: median parallax that makes a keyframe, the rotation taken out; for images with a known camera.
    max_rotation_deg: rotation since the last keyframe that makes one; for images with a known camera.
    max_bad_seconds: a blurred or dark image becomes a keyframe only when there was no better one for longer than this,
        None: never.
    """

    min_interval: float = 0.0
    max_interval: float | None = 5.0
    hover_parallax_deg: float | None = 1.0
    hover_displacement: float | None = 0.02
    max_displacement: float | None = 0.15
    min_matches: int | None = 200
    lost_matches: int = 30
    min_overlap: float | None = 0.6
    max_parallax_deg: float | None = 10.0
    max_rotation_deg: float | None = 25.0
    max_bad_seconds: float | None = 1.0


@dataclass(frozen=True)
class ViewChange:
    """How the view changed since the last keyframe; see overlap.py for how it is measured.

    seconds: since that keyframe. matches: number of matches. overlap: share of the keyframe that is still seen, 0 to 1.
    displacement: median length of the matches over the image's long side. parallax_deg, rotation_deg: of the camera
    since the keyframe, None without calibration. quality: of the image, None where it was not assessed.
    """

    seconds: float
    matches: int
    overlap: float
    displacement: float
    parallax_deg: float | None = None
    rotation_deg: float | None = None
    quality: Quality | None = None


@dataclass(frozen=True)
class Decision:
    """An outcome and the reason in words."""

    outcome: Outcome
    reason: str

    @property
    def makes_keyframe(self) -> bool:
        """Whether the image becomes a keyframe."""
        return self.outcome in (Outcome.KEYFRAME, Outcome.LOST)


FIRST = Decision(Outcome.KEYFRAME, "the first image")


def decide_first(policy: KeyframePolicy, quality: Quality | None) -> Decision:
    """Decide on an image while there is no keyframe: the first good image becomes one, others are skipped."""
    return _unless_poor(policy, FIRST, quality, Outcome.SKIPPED)


def is_too_soon(policy: KeyframePolicy, seconds: float) -> Decision | None:
    """Return the decision to skip an image `seconds` after the last keyframe; None where it must be matched."""
    if seconds < policy.min_interval:
        return Decision(
            Outcome.SKIPPED, f"{seconds:.3f} s after the last keyframe, min_interval is {policy.min_interval:g} s"
        )
    return None


def decide(policy: KeyframePolicy, change: ViewChange) -> Decision:
    """Decide on an image that was matched with the last keyframe."""
    matches = f"{change.matches} matches with the last keyframe"
    if change.matches < policy.lost_matches:
        lost = Decision(Outcome.LOST, f"{matches}, fewer than {policy.lost_matches}")
        return _unless_poor(policy, lost, change.quality, Outcome.TRACKED)
    if reason := _trigger(policy, change):
        return _unless_poor(policy, Decision(Outcome.KEYFRAME, reason), change.quality, Outcome.TRACKED)
    still = "; hovering" if _hovers(policy, change) else ""
    return Decision(Outcome.TRACKED, f"{matches}, {100 * change.overlap:.0f} % of it still seen{still}")


def _hovers(policy: KeyframePolicy, change: ViewChange) -> bool:
    """Return whether the camera is where it was at the last keyframe; it may have turned there."""
    if change.parallax_deg is not None:
        return policy.hover_parallax_deg is not None and change.parallax_deg < policy.hover_parallax_deg
    return policy.hover_displacement is not None and change.displacement < policy.hover_displacement


def _trigger(policy: KeyframePolicy, change: ViewChange) -> str:
    """Return the first trigger that asks for a keyframe, in words; empty: none."""
    t, p = change, policy
    if p.min_overlap is not None and t.overlap < p.min_overlap:
        return f"{100 * t.overlap:.0f} % of the last keyframe is still seen, less than {100 * p.min_overlap:g} %"
    if p.max_parallax_deg is not None and t.parallax_deg is not None and t.parallax_deg > p.max_parallax_deg:
        return f"a parallax of {t.parallax_deg:.1f} degrees, more than {p.max_parallax_deg:g}"
    if p.max_rotation_deg is not None and t.rotation_deg is not None and t.rotation_deg > p.max_rotation_deg:
        return f"turned by {t.rotation_deg:.1f} degrees, more than {p.max_rotation_deg:g}"
    if _hovers(p, t) and p.max_interval != 0:
        return ""
    if p.max_displacement is not None and t.displacement > p.max_displacement:
        return f"moved by {t.displacement:.2f} of the image, more than {p.max_displacement:g}"
    if p.min_matches is not None and t.matches < p.min_matches:
        return f"{t.matches} matches with the last keyframe, fewer than {p.min_matches}"
    if p.max_interval is not None and t.seconds >= p.max_interval:
        return f"{t.seconds:.1f} s after the last keyframe, max_interval is {p.max_interval:g} s"
    return ""


def _unless_poor(policy: KeyframePolicy, wanted: Decision, quality: Quality | None, instead: Outcome) -> Decision:
    """Replace the decision for a poor image, unless there was no better one for `max_bad_seconds`."""
    if quality is None or quality.is_good:
        return wanted
    if policy.max_bad_seconds is not None and quality.bad_seconds > policy.max_bad_seconds:
        nothing_better = f"; {quality.defect}, but there was nothing better for {quality.bad_seconds:.1f} s"
        return Decision(wanted.outcome, wanted.reason + nothing_better)
    return Decision(instead, f"not a keyframe because the image is {quality.defect} ({wanted.reason})")
