"""Plays a bag to running nodes on simulated time and records their inputs and outputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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

from loftr_ros.pair_estimation import NO_CAMERA
from loftr_ros.ros.messages import RELATIVE_POSE
from perception_common.errors import InputError
from perception_common.node.message_class import message_class
from perception_common.stamps import stamp_ns
from replay_ros.bags.node_inputs import TF_TOPICS
from replay_ros.bags.reader import Bag, RawMessage
from replay_ros.bags.topic_choice import first_calibration
from replay_ros.bags.writer import BagWriter
from replay_ros.inputs import Undecoded
from replay_ros.live.diagnoses import Diagnoses
from replay_ros.live.frame_log import FrameLog
from replay_ros.live.nodes import LiveNodes, NodeTopics
from replay_ros.offline.bag_pass import SETTLE_NS
from replay_ros.outputs import DIAGNOSTICS, NODES, OUTPUTS, STATUS, type_name

# A killed subscriber never acknowledges, so cap the wait.
ACKNOWLEDGEMENT = Duration(seconds=1)
MOST_UNTAKEN = 4  # readings on their way; fewer than any subscription of a node keeps
RELIABLE = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=100, reliability=RELIABLE.reliability, durability=DurabilityPolicy.TRANSIENT_LOCAL)
INTERRUPTED = "it was interrupted"


@dataclass(frozen=True)
class Pace:
    """How fast images are sent. rate: times the bag's speed; None: lockstep, each image when the last one is answered.

    start_timeout, answer_timeout: seconds. limit: images at most.
    """

    rate: float | None
    start_timeout: float
    answer_timeout: float
    limit: int | None


class LivePlayer:
    """Player and recorder of one replay.

    log: of the sent images and their answers. counts: recorded answers by topic. diagnoses: of the nodes. undecoded:
    inputs that were not sent. stopped: why the replay ended before the end of the bag; "" at the end.
    """

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
        self.bag, self.topics = bag, topics
        self.log = FrameLog(awaited)
        self.counts: dict[str, int] = {}
        self.pairs_without_camera = 0
        self.diagnoses = Diagnoses()
        self.undecoded = Undecoded()
        self.stopped = ""
        self._pace, self._node, self._nodes = pace, node, nodes
        self._writer: BagWriter | None = writer
        self._start = time.monotonic()
        self._now_ns = bag.start_ns
        # Outputs of an earlier replay must not be taken for those of this one.
        outputs = {node.resolve_topic_name(name) for name in (*OUTPUTS, "/clock")}
        inputs = [topic for topic in bag.topics.values() if topic.name not in outputs]
        self._played = {topic.name for topic in inputs}
        self._clock = node.create_publisher(Clock, "/clock", RELIABLE)
        self._publishers = {
            topic.name: node.create_publisher(kind, topic.name, LATCHED if topic.name == "/tf_static" else RELIABLE)
            for topic in inputs
            if (kind := _installed_class(topic.type)) is not None
        }
        self._readings = {*topics.sensors, *TF_TOPICS, topics.camera_info} if STATUS in awaited else set()
        self._untaken: list[Publisher] = []  # of the readings that the nodes may not have received yet
        self._taken = node.create_client(GetState, "loftr_node/get_state")
        for topic in inputs:
            writer.declare_copy(topic)
        for name, kind in OUTPUTS.items():
            node.create_subscription(kind, name, self._recorder(name, kind), RELIABLE, raw=True)

    def run(self) -> float:
        """Play everything; returns the duration in seconds.

        A replay that is interrupted, or whose nodes end or fall silent, keeps the answers so far: `stopped` says why.
        Raises InputError, or KeyboardInterrupt, when there are none.
        """
        try:
            self._wait_for_nodes()
            self._send_calibration()
            self._start = time.monotonic()
            self._play()
            self.wait(self.log.all_settled, 2.0)  # dropped images are never answered
            seconds = time.monotonic() - self._start
            self.wait(lambda: False, 1.0)  # messages of other topics may arrive after the last answer
        except (InputError, KeyboardInterrupt, SystemExit) as error:  # SystemExit: a handler of SIGTERM
            seconds = time.monotonic() - self._start
            self.stop(error)
            if not any(frame.seconds for frame in self.log.frames):
                raise
        return seconds

    def stop(self, error: InputError | KeyboardInterrupt | SystemExit) -> None:
        """End the replay for a reason; at Ctrl-C the nodes end at once."""
        self.stopped = str(error) if isinstance(error, InputError) else INTERRUPTED
        if not isinstance(error, InputError):
            self._nodes.end_now()

    def _play(self) -> None:
        waiting: list[RawMessage] = []  # in lockstep an image waits for sensor readings of its time, as offline
        total = min(self.bag.topic(self.topics.image).count, self._pace.limit or 2**62)
        with tqdm(total=total, unit="frame", desc="replay", disable=None) as progress:
            for raw in self.bag.raw_messages(self._played):
                while waiting and raw.stamp_ns > waiting[0].stamp_ns + SETTLE_NS:
                    self._send_and_wait(waiting.pop(0))
                    progress.update()
                if raw.topic == self.topics.image:
                    if len(self.log) + len(waiting) == self._pace.limit:
                        break
                    if self._pace.rate is None:
                        waiting.append(raw)
                    else:
                        self._wait_until_due(raw, self._pace.rate)
                        self._send(raw)
                        progress.update()
                else:
                    self._record(raw)
                    if self._pace.rate is not None:
                        self._wait_until_due(raw, self._pace.rate)
                    self._publish_reading(raw)
            for raw in waiting:
                self._send_and_wait(raw)
                progress.update()

    @contextmanager
    def not_recording(self) -> Iterator[None]:
        """Send images for a measurement in the block: nothing is written, and `log` is new; restored afterwards."""
        kept = self.log, self._writer, self.counts
        self.log, self._writer, self.counts = FrameLog(self.log.awaited), None, {}
        try:
            yield
        finally:
            self.log, self._writer, self.counts = kept

    def start_log(self) -> None:
        """Forget the images sent so far."""
        self.log = FrameLog(self.log.awaited)

    def publish(self, topic: str, data: bytes, now_ns: int) -> None:
        """Publish a serialised message when the simulated time is `now_ns`."""
        self._clock.publish(Clock(clock=Time(sec=now_ns // 10**9, nanosec=now_ns % 10**9)))
        if topic in self._publishers:
            self._publishers[topic].publish(bytes(data))

    def wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Receive messages until the condition holds; returns False when it does not within `timeout` seconds.

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

    def _record(self, raw: RawMessage) -> None:
        if self._writer is not None:
            self._writer.write_raw(raw.topic, raw.data, raw.stamp_ns)

    def _wait_until_due(self, raw: RawMessage, rate: float) -> None:
        due = self._start + (raw.stamp_ns - self.bag.start_ns) / 1e9 / rate
        self.wait(lambda: False, due - time.monotonic())
        self._nodes.check()
        rclpy.spin_once(self._node, timeout_sec=0.0)

    def _send_calibration(self) -> None:
        """Send the first calibration before the first image, as the offline replay uses it."""
        raw = first_calibration(self.bag, self.topics.camera_info)
        if raw is not None and raw.topic in self._readings and raw.topic in self._publishers:
            self.publish(raw.topic, raw.data, self.bag.start_ns)
            self._untaken.append(self._publishers[raw.topic])
            self._wait_until_taken()

    def _publish_reading(self, raw: RawMessage) -> None:
        """Publish a message other than an image; in lockstep the nodes receive it before the next image."""
        if raw.topic in self._readings:
            try:
                self.bag.deserialize(raw)
            except InputError as error:
                self.undecoded.add(raw, error)
                return
        self._now_ns = raw.stamp_ns
        self.publish(raw.topic, raw.data, raw.stamp_ns)
        if self._pace.rate is None and raw.topic in self._readings and raw.topic in self._publishers:
            self._untaken.append(self._publishers[raw.topic])
            if len(self._untaken) >= MOST_UNTAKEN:
                self._wait_until_taken()

    def _wait_until_taken(self) -> None:
        """Call a service of the node after it has the readings: its executor handles earlier messages first.

        The middleware collects acknowledgements for up to a second, so several readings wait together.
        """
        for publisher in dict.fromkeys(self._untaken):
            publisher.wait_for_all_acked(ACKNOWLEDGEMENT)
        self._untaken.clear()
        self._clock.wait_for_all_acked(ACKNOWLEDGEMENT)
        if self._taken.service_is_ready():
            future = self._taken.call_async(GetState.Request())
            self.wait(future.done, 5.0)

    def _send(self, raw: RawMessage) -> int:
        """Send an image; returns its position. One that cannot be decoded stays here and counts as refused."""
        self._record(raw)
        self._now_ns = raw.stamp_ns
        try:
            stamp = stamp_ns(self.bag.deserialize(raw).header)
        except InputError as error:
            position = self.log.sent(None, raw.stamp_ns)
            for topic in self.log.awaited:
                self.log.refuse(topic, position, str(error))
            return position
        position = self.log.sent(stamp, raw.stamp_ns)
        self.publish(raw.topic, raw.data, raw.stamp_ns)
        return position

    def _send_and_wait(self, raw: RawMessage) -> None:
        if self._untaken:
            self._wait_until_taken()
        position = self._send(raw)
        if not self.wait(lambda: self._is_settled(position), self._pace.answer_timeout):
            raise InputError(
                f"{self.log.silent_nodes(position)} did not answer image {position + 1} within "
                f"{self._pace.answer_timeout:g} s (--answer-timeout): {self._nodes.hint}"
            )

    def _is_settled(self, position: int) -> bool:
        """Tell whether all nodes answered or refused an image; what they refuse stands in their diagnostics."""
        for topic in self.log.awaited:
            if not self.log.is_settled(position, topic):
                refused = self.diagnoses.refusals(NODES[topic])
                if refused <= len(self.log.refused[topic]):
                    return False
                self.log.refuse(topic, position, self.diagnoses.last_refusal(NODES[topic]))
        return True

    def _recorder(self, name: str, kind: type) -> Callable[[bytes], None]:
        topic = self._node.resolve_topic_name(name)
        if self._writer is not None:
            self._writer.declare(topic, type_name(kind))

        def record(data: bytes) -> None:
            arrival = time.monotonic()
            self.counts[topic] = self.counts.get(topic, 0) + 1
            if self._writer is not None:
                self._writer.write_raw(topic, data, self._bag_time(arrival))
            if name == DIAGNOSTICS and self._writer is not None:
                self.diagnoses.add(deserialize_message(data, kind))
            if name == RELATIVE_POSE and self._writer is not None:
                self.pairs_without_camera += deserialize_message(data, kind).reason == NO_CAMERA
            if name in self.log.awaited:
                self.log.answered(name, stamp_ns(deserialize_message(data, kind).header), arrival)

        return record

    def _bag_time(self, arrival: float) -> int:
        """Return when an answer counts as received: in lockstep with its image, else at the time on the bag's clock."""
        if self._pace.rate is None:
            return self._now_ns
        return max(self._now_ns, self.bag.start_ns + round((arrival - self._start) * self._pace.rate * 1e9))

    def _wait_for_nodes(self) -> None:
        names = [self._node.resolve_topic_name(name) for name in self.log.awaited]
        images = self._publishers[self.topics.image]

        def ready() -> bool:
            return images.get_subscription_count() >= len(names) and all(map(self._node.count_publishers, names))

        if not self.wait(ready, self._pace.start_timeout):
            raise InputError(
                f"the nodes did not subscribe to {self.topics.image} and publish {', '.join(names)} within "
                f"{self._pace.start_timeout:g} s: {self._nodes.hint} for what stopped them"
            )
        # A subscription may be matched a moment after its publisher is discovered.
        self.wait(lambda: False, 0.5)


def _installed_class(type_name: str) -> type | None:
    try:
        return message_class(type_name)
    except (ImportError, AttributeError):
        return None
