"""Inspect a bag: what is in it, how well it was recorded, and what this package can do with it."""

from __future__ import annotations

import numpy as np

from replay_ros.bags.inspection.report import BagReport, TopicReport
from replay_ros.bags.inspection.scan import TopicScan, scan_bag
from replay_ros.bags.inspection.usability import assess_usability
from replay_ros.bags.reader import Bag, Topic
from replay_ros.bags.verdict import NO_MESSAGES


def inspect_bag(bag: Bag) -> BagReport:
    """Read all messages of a bag and report on it. Raises InputError when nothing of it can be read."""
    scans = scan_bag(bag)
    topics = tuple(_topic_report(bag, topic, scans[topic.name]) for topic in bag.topics.values())
    return BagReport(
        path=str(bag.path),
        start_s=bag.start_ns / 1e9,
        duration_s=(bag.end_ns - bag.start_ns) / 1e9,
        messages=sum(len(scan.received_ns) for scan in scans.values()),
        topics=topics,
        usability=assess_usability(
            bag,
            topics,
            {name: scan.message for name, scan in scans.items() if scan.message is not None},
            {name: scan.header_stamps_ns for name, scan in scans.items()},
            {name: scan.sizes for name, scan in scans.items()},
            {name: tuple(scan.calibrations.values()) for name, scan in scans.items()},
        ),
        remarks=bag.remarks,
    )


def _topic_report(bag: Bag, topic: Topic, scan: TopicScan) -> TopicReport:
    received, headers = np.array(scan.received_ns, np.int64), np.array(scan.header_stamps_ns, np.int64)
    intervals = np.diff(received)
    largest = int(np.argmax(intervals)) if len(intervals) else None
    span = int(received[-1] - received[0]) if len(received) > 1 else 0
    delays = (received - headers) / 1e9 if len(headers) == len(received) else np.empty(0)
    jumps = np.flatnonzero(np.diff(headers) < 0)
    problem = _problem(bag, topic, scan)
    return TopicReport(
        name=topic.name,
        type=topic.type,
        count=len(received),
        rate_hz=(len(received) - 1) * 1e9 / span if span else None,
        largest_gap_s=None if largest is None else float(intervals[largest]) / 1e9,
        largest_gap_at_s=None if largest is None else float(received[largest] - bag.start_ns) / 1e9,
        gaps=int(np.sum(intervals > 2 * np.median(intervals))) if len(intervals) > 1 else 0,
        out_of_order=len(jumps) if len(headers) else None,
        jump_s=float(headers[jumps[0]] - headers[jumps[0] + 1]) / 1e9 if len(jumps) else None,
        jump_at_s=float(received[jumps[0] + 1] - bag.start_ns) / 1e9 if len(jumps) else None,
        repeated=int(np.sum(np.diff(headers) == 0)) if len(headers) else None,
        unstamped=int(np.sum(headers == 0)) if len(headers) else None,
        header_delay_s=float(np.median(delays)) if len(delays) else None,
        header_delay_max_s=float(delays[np.argmax(np.abs(delays))]) if len(delays) else None,
        content=", ".join(scan.image_forms) or scan.content,
        problem=problem,
        unusable={} if problem else dict(scan.problems),
    )


def _problem(bag: Bag, topic: Topic, scan: TopicScan) -> str:
    """Return why this package cannot use a topic; empty when it can use a part of it, or has no use for it."""
    if topic.count == 0:
        return NO_MESSAGES
    if not scan.received_ns:
        return "none of its messages can be read"
    if scan.problems and not scan.is_usable:
        return scan.problems.most_common(1)[0][0]
    return bag.decoding_problem(topic)
