"""Which images a live replay sent, and when the nodes answered them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from replay_ros.outputs import DETECTIONS, STATUS
from replay_ros.result.timing import Dropped, StageTimes

NODES = {DETECTIONS: "yolc_node", STATUS: "loftr_node"}  # by the topic of a node's last message for an image
MAX_AGE_S = 10.0  # an image older than this at its reception has a stamp of another clock


@dataclass(frozen=True)
class SentFrame:
    """An image that was sent.

    sent: monotonic seconds. age: seconds from its stamp to its reception in the bag. seconds: from sending to the
    answer of each node, by topic.
    """

    stamp_ns: int
    sent: float
    age: float
    seconds: dict[str, float] = field(default_factory=dict)


class FrameLog:
    """Sent images by stamp. awaited: topics on which every image gets one answer."""

    def __init__(self, awaited: tuple[str, ...]):
        self.awaited = awaited
        self.frames: dict[int, SentFrame] = {}

    def __len__(self) -> int:
        """Count the images."""
        return len(self.frames)

    def sent(self, stamp: int, age: float = 0.0) -> None:
        """Record that the image of this stamp is sent now."""
        self.frames[stamp] = SentFrame(stamp, time.monotonic(), age)

    def answered(self, topic: str, stamp: int, arrival: float) -> None:
        """Record the answer of a node; only the first one of an image counts."""
        if stamp in self.frames:
            self.frames[stamp].seconds.setdefault(topic, arrival - self.frames[stamp].sent)

    def is_answered(self, stamp: int) -> bool:
        """Tell whether all nodes answered the image of this stamp."""
        return all(topic in self.frames[stamp].seconds for topic in self.awaited)

    def all_answered(self) -> bool:
        """Tell whether all nodes answered all images."""
        return all(map(self.is_answered, self.frames))

    def unanswered(self) -> int:
        """Count the images that a node left unanswered."""
        return sum(not self.is_answered(stamp) for stamp in self.frames)

    def silent_nodes(self, stamp: int) -> str:
        """Name the nodes that have not answered an image."""
        return ", ".join(NODES[topic] for topic in self.awaited if topic not in self.frames[stamp].seconds)

    def stages(self) -> tuple[StageTimes, ...]:
        """Return the seconds from sending an image to each node's answer, and from its stamp to the answer.

        The latter is the latency that a user sees; it includes the age of the image at its reception. It is left out
        where the bag does not tell the age (its stamps are those of reception, or of another clock).
        """
        stages = []
        ages = [frame.age for frame in self.frames.values()]
        tells_age = bool(ages) and any(ages) and all(0 <= age < MAX_AGE_S for age in ages)
        for topic in self.awaited:
            answered = [frame for frame in self.frames.values() if topic in frame.seconds]
            stamps = tuple(frame.stamp_ns for frame in answered)
            stages.append(StageTimes(f"until {topic}", stamps, tuple(frame.seconds[topic] for frame in answered)))
            if tells_age:
                since_stamp = tuple(frame.age + frame.seconds[topic] for frame in answered)
                stages.append(StageTimes(f"from stamp until {topic}", stamps, since_stamp))
        return tuple(stages)

    def drops(self) -> tuple[Dropped, ...]:
        """Return the images without an answer, by node."""
        return tuple(
            Dropped(
                NODES[topic],
                len(self.frames),
                tuple(frame.stamp_ns for frame in self.frames.values() if topic not in frame.seconds),
            )
            for topic in self.awaited
        )
