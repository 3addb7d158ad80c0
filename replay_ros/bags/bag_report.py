"""What `bag_info` found in a bag, as values and as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class TopicReport:
    """One topic of a bag. Times are by receive stamp, in seconds, unless they say header; None where there is none.

    rate_hz: messages less one, over the time between first and last. largest_gap_s begins largest_gap_at_s after the
    start of the bag. gaps: intervals longer than twice the median one. out_of_order: headers whose stamp is before that
    of the message received before it, the first of them jump_s back, jump_at_s after the start of the bag. repeated:
    headers with the stamp of the one before. unstamped: headers with stamp 0, which ROS takes for "no stamp".
    header_delay_s: receive stamp less header stamp, median; header_delay_max_s: the one furthest from zero.
    content: in words: sizes and encodings of raw images; of the first message, size of compressed ones, calibration.
    problem: why this package cannot use the topic, empty when it can or has no use for it.
    """

    name: str
    type: str
    count: int
    rate_hz: float | None
    largest_gap_s: float | None
    largest_gap_at_s: float | None
    gaps: int
    out_of_order: int | None
    jump_s: float | None
    jump_at_s: float | None
    repeated: int | None
    unstamped: int | None
    header_delay_s: float | None
    header_delay_max_s: float | None
    content: str
    problem: str


@dataclass(frozen=True)
class Usability:
    """What this package could do with the bag.

    topics: those that it would take. reason: why not, when not usable. advice: what to do about it, or what to know
    when it is usable; empty when there is nothing to say.
    """

    purpose: str
    usable: bool
    topics: tuple[str, ...]
    reason: str
    advice: str = ""


@dataclass(frozen=True)
class BagReport:
    """What is in a bag. start_s: receive stamp of the first message, seconds since the epoch."""

    path: str
    start_s: float
    duration_s: float
    messages: int
    topics: tuple[TopicReport, ...]
    usability: tuple[Usability, ...]


def describe(report: BagReport) -> str:
    """Lay a report out as text for a terminal."""
    lines = [
        f"{report.path}: {report.messages} messages on {len(report.topics)} topics in {report.duration_s:.3f} s, "
        f"from {report.start_s:.3f} s",
        "",
    ]
    for topic in report.topics:
        lines.append(f"{topic.name}  {topic.type}")
        lines += [f"    {fact}" for fact in _facts(topic)]
    lines.append("")
    for each in report.usability:
        mark, detail = ("yes", ", ".join(each.topics)) if each.usable else ("no ", each.reason)
        lines.append(f"{mark} {each.purpose}: {detail}" + (f"; {each.advice}" if each.advice else ""))
    return "\n".join(lines)


def _facts(topic: TopicReport) -> Iterator[str]:
    if topic.content:
        yield topic.content
    timing = [f"{topic.count} messages"]
    if topic.rate_hz is not None:
        timing.append(f"{topic.rate_hz:.2f} Hz")
    if topic.largest_gap_s is not None:
        timing.append(f"largest gap {topic.largest_gap_s:.3f} s at {topic.largest_gap_at_s:.3f} s")
    if topic.gaps:
        timing.append(f"{topic.gaps} longer than twice the median interval")
    yield ", ".join(timing)
    if topic.header_delay_s is not None and topic.header_delay_max_s is not None:
        worst = topic.header_delay_max_s * 1e3
        delay = (
            f"received {topic.header_delay_s * 1e3:.1f} ms after the header's stamp (median; extreme {worst:.1f} ms)"
        )
        yield delay if abs(worst) >= 0.1 else "received at the header's stamp"
    if topic.out_of_order:
        yield (
            f"{topic.out_of_order} headers have a stamp before that of the message received earlier "
            f"(first {topic.jump_s:.3f} s back at {topic.jump_at_s:.3f} s)"
        )
    if topic.repeated:
        yield f"{topic.repeated} headers repeat the stamp of the message before"
    if topic.unstamped:
        yield f"{topic.unstamped} headers have no stamp (0): let the driver set it"
    if topic.problem:
        yield f"not usable: {topic.problem}"
