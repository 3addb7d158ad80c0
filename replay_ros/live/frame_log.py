"""Which images a live replay sent, and when the nodes answered them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from replay_ros.outputs import NODES
from replay_ros.result.answers import NodeAnswers, node_answers
from replay_ros.result.timing import StageTimes

MAX_AGE_S = 10.0  # an image older than this at its reception has a stamp of another clock


@dataclass(frozen=True)
class SentFrame:
    """An image that was sent.

    stamp_ns: of its header; None: it cannot be read. received_ns: when it was received in the bag. sent: monotonic
    seconds. seconds: from sending to the answer of each node, by topic; None where images share the stamp, so that the
    time is unknown.
    """

    stamp_ns: int | None
    received_ns: int
    sent: float
    seconds: dict[str, float | None] = field(default_factory=dict)

    @property
    def age(self) -> float:
        """Seconds from the stamp to the reception in the bag; 0 for an image that cannot be read."""
        return 0.0 if self.stamp_ns is None else (self.received_ns - self.stamp_ns) / 1e9


class FrameLog:
    """Sent images by position, from 0. awaited: topics on which every image gets one answer.

    Answers name their image by its stamp. Where images share a stamp, an answer belongs to the first of them without
    one: the counts are exact.
    """

    def __init__(self, awaited: tuple[str, ...]):
        self.awaited = awaited
        self.frames: list[SentFrame] = []
        self.refused: dict[str, dict[int, str]] = {topic: {} for topic in awaited}
        self._open: dict[
            tuple[str, int | None], list[int]
        ] = {}  # positions that may still be answered, by topic and stamp
        self._ambiguous = dict.fromkeys(awaited, 0)

    def __len__(self) -> int:
        """Count the images."""
        return len(self.frames)

    def sent(self, stamp: int | None, received_ns: int) -> int:
        """Record that an image is sent now; returns its position. stamp: None for one that cannot be read."""
        position = len(self.frames)
        self.frames.append(SentFrame(stamp, received_ns, time.monotonic()))
        for topic in self.awaited:
            self._open.setdefault((topic, stamp), []).append(position)
        return position

    def answered(self, topic: str, stamp: int, arrival: float) -> None:
        """Record the answer of a node. Further answers for an image that has one do not count."""
        waiting = self._open.get((topic, stamp))
        if not waiting:
            return
        is_certain = len(waiting) == 1
        frame = self.frames[waiting.pop(0)]
        frame.seconds[topic] = arrival - frame.sent if is_certain else None
        self._ambiguous[topic] += not is_certain

    def refuse(self, topic: str, position: int, cause: str) -> None:
        """Record that a node cannot use an image: no answer is to come, and one that it got was of another image."""
        self.refused[topic][position] = cause
        frame = self.frames[position]
        waiting = self._open.get((topic, frame.stamp_ns), [])
        if position in waiting:
            waiting.remove(position)
        elif topic in frame.seconds and waiting:
            self.frames[waiting.pop(0)].seconds[topic] = frame.seconds.pop(topic)

    def is_settled(self, position: int, topic: str) -> bool:
        """Tell whether a node answered or refused an image."""
        return topic in self.frames[position].seconds or position in self.refused[topic]

    def all_settled(self) -> bool:
        """Tell whether all nodes answered or refused all images."""
        return not any(self._open.values())

    def unanswered(self) -> int:
        """Count the images that a node left unanswered."""
        return sum(any(topic not in frame.seconds for topic in self.awaited) for frame in self.frames)

    def suspects(self) -> set[int]:
        """Return the positions of the images that may have been refused: without an answer, or with such a stamp."""
        stamps = {stamp for (_, stamp), waiting in self._open.items() if waiting}
        return {position for position, frame in enumerate(self.frames) if frame.stamp_ns in stamps}

    def silent_nodes(self, position: int) -> str:
        """Name the nodes that have neither answered nor refused an image."""
        return ", ".join(NODES[topic] for topic in self.awaited if not self.is_settled(position, topic))

    def stages(self) -> tuple[StageTimes, ...]:
        """Return the seconds from sending an image to each node's answer, and from its stamp to the answer.

        The latter is the latency that a user sees; it includes the age of the image at its reception. It is left out
        where the bag does not tell the age (its stamps are those of reception, or of another clock).
        """
        stages = []
        ages = [frame.age for frame in self.frames]
        is_stamped = all(frame.stamp_ns != 0 for frame in self.frames)
        tells_age = is_stamped and any(ages) and all(0 <= age < MAX_AGE_S for age in ages)
        for topic in self.awaited:
            timed = {
                position: seconds
                for position, frame in enumerate(self.frames)
                if (seconds := frame.seconds.get(topic)) is not None
            }
            stages.append(StageTimes(f"until {topic}", tuple(timed), tuple(timed.values())))
            if tells_age:
                since_stamp = tuple(ages[position] + seconds for position, seconds in timed.items())
                stages.append(StageTimes(f"from stamp until {topic}", tuple(timed), since_stamp))
        return tuple(stages)

    def answers(self, why_missed: dict[str, str]) -> tuple[NodeAnswers, ...]:
        """Account for the images at each node. why_missed: what is known about missed images, by topic."""
        return tuple(
            node_answers(
                NODES[topic],
                len(self.frames),
                [position for position, frame in enumerate(self.frames) if topic in frame.seconds],
                self.refused[topic],
                why_missed.get(topic, ""),
                self._ambiguous[topic],
            )
            for topic in self.awaited
        )
