"""Plays a bag to running nodes with simulated time, and records what goes in and comes out."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import rclpy
from builtin_interfaces.msg import Time
from lifecycle_msgs.srv import GetState
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock
from tqdm import tqdm

from perception_common.errors import InputError
from perception_common.stamps import stamp_ns
from replay_ros.bags.node_inputs import TF_TOPICS
from replay_ros.bags.reader import Bag, RawMessage
from replay_ros.bags.writer import BagWriter
from replay_ros.live.nodes import LiveNodes, NodeTopics
from replay_ros.offline.replay import SETTLE_NS
from replay_ros.outputs import DETECTIONS, DIAGNOSTICS, OUTPUTS, STATUS, type_name
from replay_ros.result.timing import Dropped, StageTimes

NODES = {DETECTIONS: "yolc_node", STATUS: "loftr_node"}  # by the topic of a node's last answer to an image
# A reader that went without a word, as one of a process that was killed, owes its acknowledgement for long.
ACKNOWLEDGEMENT = Duration(seconds=1)
RELIABLE = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=100, reliability=RELIABLE.reliability, durability=DurabilityPolicy.TRANSIENT_LOCAL)
REFUSED = "images refused"  # in the diagnostics of a node


@dataclass(frozen=True)
class Pace:
    """rate: times the bag's speed; None: lockstep, the next image when the last is answered. Timeouts in seconds."""

    rate: float | None
    start_timeout: float
    answer_timeout: float
    limit: int | None


@dataclass(frozen=True)
class SentFrame:
    """One image that was sent: its stamp, when (monotonic seconds), how old it was in the bag when it was received
    there, and the seconds until each node's answer, by topic.
    """

    stamp_ns: int
    sent: float
    age: float
    seconds: dict[str, float] = field(default_factory=dict)


class LivePlayer:
    """The player and recorder of one replay. awaited: topics on which every image gets one answer."""

    def __init__(
        self,
        pace: Pace,
        awaited: tuple[str, ...],
        bag: Bag,
        topics: NodeTopics,
        node: Node,
        writer: BagWriter,
        nodes: LiveNodes,
    ):
        self.bag, self.topics, self.awaited = bag, topics, awaited
        self.frames: dict[int, SentFrame] = {}
        self.counts: dict[str, int] = {}
        self.diagnoses: dict[str, dict[str, str]] = {}
        self._pace, self._node, self._nodes = pace, node, nodes
        self._writer: BagWriter | None = writer
        self._now_ns = bag.start_ns
        # Answers of an earlier replay must not be taken for those of this one.
        ours = {node.resolve_topic_name(name) for name in (*OUTPUTS, "/clock")}
        inputs = [topic for topic in bag.topics.values() if topic.name not in ours]
        self._played = {topic.name for topic in inputs}
        self._clock = node.create_publisher(Clock, "/clock", RELIABLE)
        self._publishers = {
            topic.name: node.create_publisher(kind, topic.name, LATCHED if topic.name == "/tf_static" else RELIABLE)
            for topic in inputs
            if (kind := _message_class(topic.type)) is not None
        }
        self._readings = {*topics.sensors, *TF_TOPICS, topics.camera_info} if STATUS in awaited else set()
        self._taken = node.create_client(GetState, "loftr_node/get_state")
        for topic in inputs:
            writer.declare(topic.name, topic.type, types=bag.types)
        for name, kind in OUTPUTS.items():
            node.create_subscription(kind, name, self._recorder(name, kind), RELIABLE, raw=True)

    def run(self) -> float:
        """Play everything and return the seconds that it took. Raises InputError when the nodes do not keep alive."""
        self._wait_for_nodes()
        start = time.monotonic()
        waiting: list[RawMessage] = []  # in lockstep an image waits for what sensors say of it, as offline
        total = min(self.bag.topic(self.topics.image).count, self._pace.limit or 2**62)
        with tqdm(total=total, unit="frame", desc="replay", disable=None) as progress:
            for raw in self.bag.raw_messages(self._played):
                while waiting and raw.stamp_ns > waiting[0].stamp_ns + SETTLE_NS:
                    self._send_and_wait(waiting.pop(0))
                    progress.update()
                if raw.topic == self.topics.image:
                    if len(self.frames) + len(waiting) == total:
                        break
                    self._record(raw)
                    if self._pace.rate is None:
                        waiting.append(raw)
                    else:
                        self._wait_until_due(raw, start, self._pace.rate)
                        self._send(raw)
                        progress.update()
                else:
                    self._record(raw)
                    if self._pace.rate is not None:
                        self._wait_until_due(raw, start, self._pace.rate)
                    self._tell(raw)
            for raw in waiting:
                self._send_and_wait(raw)
                progress.update()
        self.wait(lambda: all(map(self.is_answered, self.frames)), 2.0)  # those that were dropped never are
        seconds = time.monotonic() - start
        self.wait(lambda: False, 1.0)  # messages of other topics may come after the last answer
        return seconds

    @contextmanager
    def not_recording(self) -> Iterator[None]:
        """Send images for a measurement in the block: nothing is written, and `frames` is new; then as before."""
        kept = self.frames, self._writer, self.counts
        self.frames, self._writer, self.counts = {}, None, {}
        try:
            yield
        finally:
            self.frames, self._writer, self.counts = kept

    def publish(self, topic: str, data: bytes, now_ns: int) -> None:
        """Publish a serialised message when the simulated time is `now_ns`."""
        self._clock.publish(Clock(clock=Time(sec=now_ns // 10**9, nanosec=now_ns % 10**9)))
        if topic in self._publishers:
            self._publishers[topic].publish(bytes(data))

    def stages(self) -> tuple[StageTimes, ...]:
        """Return the seconds from the sending of an image to each node's answer, and those since its stamp.

        The latter, what a user of the answers sees, count how old the image was when the bag received it; they are
        left out where the bag does not tell (its stamps are those of reception, or of another clock).
        """
        stages = []
        ages = [frame.age for frame in self.frames.values()]
        tells_age = bool(ages) and any(ages) and all(0 <= age < 10 for age in ages)
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
                tuple(f.stamp_ns for f in self.frames.values() if topic not in f.seconds),
            )
            for topic in self.awaited
        )

    def is_answered(self, stamp: int) -> bool:
        """Whether all nodes answered the image of this stamp."""
        return all(topic in self.frames[stamp].seconds for topic in self.awaited)

    def wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Let messages come in until the condition holds; False when it does not within `timeout` seconds.

        Raises InputError when the nodes have ended.
        """
        end = time.monotonic() + timeout
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._nodes.check()
            rclpy.spin_once(self._node, timeout_sec=min(left, 0.1))
        return True

    def sent(self, stamp: int, age: float = 0.0) -> None:
        """Note that the image of this stamp is sent now."""
        self.frames[stamp] = SentFrame(stamp, time.monotonic(), age)

    def _record(self, raw: RawMessage) -> None:
        if self._writer is not None:
            self._writer.write_raw(raw.topic, raw.data, raw.stamp_ns)

    def _wait_until_due(self, raw: RawMessage, start: float, rate: float) -> None:
        due = start + (raw.stamp_ns - self.bag.start_ns) / 1e9 / rate
        self.wait(lambda: False, due - time.monotonic())
        self._nodes.check()
        rclpy.spin_once(self._node, timeout_sec=0.0)

    def _tell(self, raw: RawMessage) -> None:
        """Publish what is no image of the camera; in lockstep wait until loftr_node has taken it."""
        self._now_ns = raw.stamp_ns
        self.publish(raw.topic, raw.data, raw.stamp_ns)
        if self._pace.rate is None and raw.topic in self._readings and raw.topic in self._publishers:
            self._wait_until_taken(self._publishers[raw.topic])

    def _wait_until_taken(self, publisher: Publisher) -> None:
        """Ask the node something once it holds the message: it answers requests after the messages before them."""
        publisher.wait_for_all_acked(ACKNOWLEDGEMENT)
        self._clock.wait_for_all_acked(ACKNOWLEDGEMENT)
        if self._taken.service_is_ready():
            future = self._taken.call_async(GetState.Request())
            self.wait(future.done, 5.0)

    def _send(self, raw: RawMessage) -> int:
        stamp = stamp_ns(self.bag.deserialize(raw).header)
        self._now_ns = raw.stamp_ns
        self.sent(stamp, (raw.stamp_ns - stamp) / 1e9)
        self.publish(raw.topic, raw.data, raw.stamp_ns)
        return stamp

    def _send_and_wait(self, raw: RawMessage) -> None:
        refused = self._refused()
        stamp = self._send(raw)
        if not self.wait(lambda: self.is_answered(stamp) or self._refused() > refused, self._pace.answer_timeout):
            silent = ", ".join(NODES[topic] for topic in self.awaited if topic not in self.frames[stamp].seconds)
            raise InputError(
                f"{silent} did not answer image {len(self.frames)} within {self._pace.answer_timeout:g} s "
                f"(--answer-timeout): {self._nodes.hint}"
            )

    def _refused(self) -> int:
        """How many images the nodes say they could not use: these get no answer."""
        return sum(int(values.get(REFUSED, 0)) for values in self.diagnoses.values())

    def _recorder(self, name: str, kind: type) -> Callable[[bytes], None]:
        topic = self._node.resolve_topic_name(name)
        if self._writer is not None:
            self._writer.declare(topic, type_name(kind))

        def record(data: bytes) -> None:
            arrival = time.monotonic()
            self.counts[topic] = self.counts.get(topic, 0) + 1
            if self._writer is not None:
                self._writer.write_raw(topic, data, self._now_ns)
            if name == DIAGNOSTICS and self._writer is not None:
                for status in deserialize_message(data, kind).status:
                    self.diagnoses[status.name] = {item.key: item.value for item in status.values}
            if name in self.awaited:
                stamp = stamp_ns(deserialize_message(data, kind).header)
                if stamp in self.frames:
                    self.frames[stamp].seconds.setdefault(name, arrival - self.frames[stamp].sent)

        return record

    def _wait_for_nodes(self) -> None:
        names = [self._node.resolve_topic_name(name) for name in self.awaited]
        images = self._publishers[self.topics.image]

        def ready() -> bool:
            return images.get_subscription_count() >= len(names) and all(map(self._node.count_publishers, names))

        if not self.wait(ready, self._pace.start_timeout):
            raise InputError(
                f"the nodes did not subscribe to {self.topics.image} and publish {', '.join(names)} within "
                f"{self._pace.start_timeout:g} s: {self._nodes.hint} for what stopped them"
            )
        # The reader of an output may be matched a moment after its writer is known.
        self.wait(lambda: False, 0.5)


def _message_class(name_of_type: str) -> type | None:
    package, _, name = name_of_type.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError):
        return None
