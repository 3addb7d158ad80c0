"""The report on a bag, as values and as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MIN_DELAY_MS = 0.1  # smaller delays print as 0.0 ms


@dataclass(frozen=True)
class TopicReport:
    """One topic of a bag. Times are receive stamps, in seconds, unless named header; None where undefined.

    rate_hz: number of messages minus one, over the time from first to last. largest_gap_at_s: where the largest gap
    begins, from the start of the bag. gaps: intervals longer than twice the median interval. out_of_order: headers
    whose stamp is before that of the previous message; the first of them jumps back by jump_s, jump_at_s after the
    start of the bag. repeated: headers with the stamp of the previous message. unstamped: headers with stamp 0, which
    means "no stamp" in ROS. header_delay_s: receive stamp minus header stamp, median; header_delay_max_s: the one
    furthest from zero.
    content: in words: sizes and encodings of all raw images; of the first message, size of compressed images or
    calibration. problem: why this package cannot use the topic; empty when it can, or has no use for it. unusable:
    number of messages that it cannot use, by cause, on a topic that it can use otherwise; pictures after the first
    usable one are not decoded.
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
    unusable: Mapping[str, int]


@dataclass(frozen=True)
class Usability:
    """Whether a bag can be used for a purpose.

    topics: those that would be used. reason: why not, when not usable. advice: what to do about it, or a hint when
    usable; may be empty.
    """

    purpose: str
    usable: bool
    topics: tuple[str, ...] = ()
    reason: str = ""
    advice: str = ""


@dataclass(frozen=True)
class BagReport:
    """The content of a bag.

    start_s: receive stamp of the first message, seconds since the epoch. remarks: what is left out, in words.
    """

    path: str
    start_s: float
    duration_s: float
    messages: int
    topics: tuple[TopicReport, ...]
    usability: tuple[Usability, ...]
    remarks: tuple[str, ...] = ()


def describe_report(report: BagReport) -> str:
    """Return the report as lines of text for a terminal."""
    lines = [
        f"{report.path}: {report.messages} messages on {len(report.topics)} topics in {report.duration_s:.3f} s, "
        f"from {report.start_s:.3f} s",
        *(f"    note: {remark}" for remark in report.remarks),
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
        median_ms, extreme_ms = topic.header_delay_s * 1e3, topic.header_delay_max_s * 1e3
        if abs(extreme_ms) < MIN_DELAY_MS:
            yield "received at the header's stamp"
        else:
            yield f"received {median_ms:.1f} ms after the header's stamp (median; extreme {extreme_ms:.1f} ms)"
    if topic.out_of_order:
        yield (
            f"{topic.out_of_order} headers have a stamp before that of the previous message "
            f"(first {topic.jump_s:.3f} s back at {topic.jump_at_s:.3f} s)"
        )
    if topic.repeated:
        yield f"{topic.repeated} headers repeat the stamp of the previous message"
    if topic.unstamped:
        yield f"{topic.unstamped} headers have no stamp (0): let the driver set it"
    for cause, count in topic.unusable.items():
        yield f"{count} messages are not usable: {cause}"
    if topic.problem:
        yield f"not usable: {topic.problem}"
