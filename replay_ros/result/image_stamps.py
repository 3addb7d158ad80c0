"""The header stamps of the images of a replay beside the times when they were received."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

LONG = 2.0  # an interval is a gap from this multiple of the median interval on, as in bag_info
OTHER_CLOCK_S = 10.0  # stamps further than this from the times of reception are of another clock; empirical


@dataclass(frozen=True)
class ImageStamps:
    """What is odd about the stamps of `images` images. Positions count from 0; None where there is none.

    unstamped: stamps of 0, which means "no stamp" in ROS. repeated: images with the stamp of an earlier one, unstamped
    ones left out. jumps_back: images whose stamp is before that of the previous image; first_jump: position of the
    first of them; largest_jump_s: how far the largest one goes back. gaps, largest_gap_s, gap_after: intervals between
    stamps longer than twice their median, the largest one, and the image before it. received_gaps,
    largest_received_gap_s: the same of the times of reception. interval_s: median between stamps. delay_s: median of
    the time from stamp to reception.
    """

    images: int
    unstamped: int
    repeated: int
    jumps_back: int
    first_jump: int | None
    largest_jump_s: float | None
    gaps: int
    largest_gap_s: float | None
    gap_after: int | None
    received_gaps: int
    largest_received_gap_s: float | None
    interval_s: float | None
    delay_s: float | None


def summarise_stamps(stamps_ns: Sequence[int | None], received_ns: Sequence[int]) -> ImageStamps:
    """Summarise the header stamps and the times of reception of images in the order in which they were received.

    stamps_ns: None where the message cannot be read; its stamp is then in no figure.
    """
    read = np.array([position for position, stamp in enumerate(stamps_ns) if stamp is not None], np.int64)
    stamps = np.array([stamp for stamp in stamps_ns if stamp is not None], np.int64)
    received = np.array(received_ns, np.int64)
    steps = np.diff(stamps)
    back = np.flatnonzero(steps < 0)
    gaps, interval = _gaps(steps[steps > 0])
    largest = int(np.argmax(steps)) if gaps else None
    received_gaps, _ = _gaps(np.diff(received))
    stamped = stamps[stamps != 0]
    return ImageStamps(
        images=len(stamps_ns),
        unstamped=int(np.sum(stamps == 0)),
        repeated=len(stamped) - len(np.unique(stamped)),
        jumps_back=len(back),
        first_jump=int(read[back[0] + 1]) if len(back) else None,
        largest_jump_s=float(-steps[back].min()) / 1e9 if len(back) else None,
        gaps=gaps,
        largest_gap_s=None if largest is None else float(steps[largest]) / 1e9,
        gap_after=None if largest is None else int(read[largest]),
        received_gaps=received_gaps,
        largest_received_gap_s=float(np.diff(received).max()) / 1e9 if received_gaps else None,
        interval_s=interval,
        delay_s=float(np.median((received[read] - stamps)[stamps != 0])) / 1e9 if len(stamped) else None,
    )


def describe_stamps(stamps: ImageStamps) -> Iterator[str]:
    """Yield a sentence for everything that is odd."""
    if stamps.unstamped:
        yield f"{stamps.unstamped} of {stamps.images} images have no stamp (0): let the driver set it"
    if stamps.repeated:
        yield f"{stamps.repeated} of {stamps.images} images repeat the stamp of an earlier one"
    if stamps.jumps_back:
        yield (
            f"stamps jump back {stamps.jumps_back} times, first at image {stamps.first_jump}, at most by "
            f"{stamps.largest_jump_s:.3f} s: the matching starts anew there"
        )
    if stamps.gaps:
        lost = (
            "they were recorded without a gap"
            if not stamps.received_gaps
            else f"the longest gap between their receptions is {stamps.largest_received_gap_s:.3f} s"
        )
        yield (
            f"{stamps.gaps} gaps between stamps are longer than twice the median of {stamps.interval_s:.3f} s, the "
            f"longest {stamps.largest_gap_s:.3f} s after image {stamps.gap_after}; {lost}"
        )
    elif stamps.received_gaps:
        yield (
            f"{stamps.received_gaps} gaps between receptions, at most {stamps.largest_received_gap_s:.3f} s, and none "
            "between stamps: images arrived late, none is missing"
        )
    if stamps.delay_s is not None and abs(stamps.delay_s) > OTHER_CLOCK_S:
        yield f"stamps are {stamps.delay_s:.3f} s before their reception (median): they are of another clock"


def _gaps(intervals: np.ndarray) -> tuple[int, float | None]:
    """Return how many intervals, nanoseconds, are gaps, and their median in seconds."""
    if len(intervals) == 0:
        return 0, None
    median = float(np.median(intervals))
    return int(np.sum(intervals > LONG * median)) if len(intervals) > 1 else 0, median / 1e9
