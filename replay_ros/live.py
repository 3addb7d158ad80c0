"""Live replay: plays a bag to the nodes over DDS, with simulated time, and records what goes in and comes out."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import rclpy
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock
from tqdm import tqdm

from loftr_ros.parameters import LoftrParameters
from perception_common.errors import InputError
from perception_common.resources import choose_weights
from perception_common.stamps import stamp_ns
from perception_common.transport import raise_malloc_thresholds, use_large_image_profile
from perception_common.weights import file_sha256
from replay_ros.bags.reader import (
    COMPRESSED_IMAGE,
    Bag,
    RawMessage,
    find_camera_info_topic,
    find_image_topic,
    open_bag,
)
from replay_ros.bags.writer import BagWriter
from replay_ros.node_parameters import read_parameters
from replay_ros.processes import running
from replay_ros.provenance import provenance
from replay_ros.resources import sampling
from replay_ros.result import ReplayResult
from replay_ros.timing import Dropped, StageTimes, Timing
from replay_ros.topics import DETECTIONS, DIAGNOSTICS, OUTPUTS, STATUS, type_name
from yolc_ros.node import YolcParameters

RELIABLE = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.RELIABLE)


@dataclass(frozen=True)
class LiveOptions:
    """What is replayed and how.

    pace: "lockstep" sends the next image when the last one is answered; "rate" plays at `rate` times the bag's speed.
    nodes: which nodes are started; none of them: nodes that run already are used.
    params_file: parameters of the nodes; extra: further command-line arguments for them.
    """

    bag: Path
    out: Path
    pace: Literal["lockstep", "rate"] = "lockstep"
    rate: float = 1.0
    image_topic: str | None = None
    camera_info_topic: str | None = None
    namespace: str = ""
    detection: bool = True
    matching: bool = True
    start_nodes: bool = True
    params_file: Path | None = None
    extra: tuple[str, ...] = ()
    node_log: Path | None = None
    start_timeout: float = 120.0
    answer_timeout: float = 60.0
    limit: int | None = None
    storage: str = "mcap"
    force: bool = False

    @property
    def awaited(self) -> tuple[str, ...]:
        """The topics on which every image gets one answer."""
        return (DETECTIONS,) * self.detection + (STATUS,) * self.matching


@dataclass(frozen=True)
class FrameAnswer:
    """One image that was sent: its stamp (nanoseconds) and the seconds until each node's answer, by topic."""

    stamp_ns: int
    seconds: dict[str, float] = field(default_factory=dict)


def replay_live(options: LiveOptions) -> ReplayResult:
    """Replay a bag through the nodes. Raises InputError when the bag cannot be used or the nodes do not come up."""
    if not options.awaited:
        raise InputError("nothing to do: both detection and matching are switched off")
    with open_bag(options.bag) as bag:
        image_topic = find_image_topic(bag, options.image_topic)
        camera_info_topic = find_camera_info_topic(bag, image_topic, options.camera_info_topic)
        with _ros(), BagWriter(options.out, options.storage, force=options.force) as writer:
            node = rclpy.create_node("replay", namespace=options.namespace)
            try:
                with sampling() as sampler, _nodes(options, bag, image_topic, camera_info_topic):
                    replay = _Replay(options, bag, image_topic, node, writer)
                    seconds = replay.run()
                return ReplayResult(
                    *("live", str(options.out), image_topic, len(replay.frames), seconds, replay.counts, {}),
                    Timing(replay.stages(), replay.drops(), sampler.use()),
                    provenance(options.bag, *_weights_and_configuration(options)),
                    nodes=replay.diagnoses,
                )
            finally:
                node.destroy_node()


@contextmanager
def _ros() -> Iterator[None]:
    use_large_image_profile()
    raise_malloc_thresholds()
    rclpy.init()
    try:
        yield
    finally:
        rclpy.try_shutdown()


@contextmanager
def _nodes(options: LiveOptions, bag: Bag, image_topic: str, camera_info_topic: str | None) -> Iterator[None]:
    """Run the nodes that the options ask for while the block lasts."""
    if not options.start_nodes:
        yield
        return
    executable = (
        "perception" if options.detection and options.matching else ("yolc_node" if options.detection else "loftr_node")
    )
    compressed = bag.topic(image_topic).type == COMPRESSED_IMAGE
    # ROS lets the file win over a -p that stands after it when another -p stands before it, so the file comes first.
    ros = ["--params-file", str(options.params_file)] if options.params_file else []
    ros += ["-r", f"image:={image_topic}", "-r", f"image/compressed:={image_topic}", "-p", "use_sim_time:=true"]
    if camera_info_topic:
        ros += ["-r", f"camera_info:={camera_info_topic}"]
    if options.namespace:
        ros += ["-r", f"__ns:={options.namespace}"]
    ros += ["-p", f"image_transport:={'compressed' if compressed else 'raw'}"]
    if options.pace == "lockstep":  # no frame may be lost on its way
        ros += ["-p", f"qos_overrides.{image_topic}.subscription.reliability:=reliable", "-p", "processing_mode:=every"]
    arguments = ["--ros-args", *ros, *options.extra]
    if options.node_log is None:
        with running(executable, arguments):
            yield
    else:
        with options.node_log.open("wb") as log, running(executable, arguments, log):
            yield


class _Replay:
    """The player and recorder of one replay."""

    def __init__(self, options: LiveOptions, bag: Bag, image_topic: str, node: Node, writer: BagWriter):
        self._options = options
        self._bag = bag
        self._image_topic = image_topic
        self._node = node
        self._writer = writer
        self._sent: dict[int, float] = {}  # stamp of an image: when it was sent, monotonic seconds
        self.frames: dict[int, FrameAnswer] = {}
        self.counts: dict[str, int] = {}
        self.diagnoses: dict[str, dict[str, str]] = {}
        self._now_ns = bag.start_ns
        # Answers of an earlier replay must not be taken for those of this one.
        ours = {node.resolve_topic_name(name) for name in (*OUTPUTS, "/clock")}
        inputs = [topic for topic in bag.topics.values() if topic.name not in ours]
        self._played = {topic.name for topic in inputs}
        self._clock = node.create_publisher(Clock, "/clock", RELIABLE)
        self._publishers = {
            topic.name: node.create_publisher(kind, topic.name, RELIABLE)
            for topic in inputs
            if (kind := _message_class(topic.type)) is not None
        }
        for topic in inputs:
            writer.declare(topic.name, topic.type, types=bag.types)
        for name, kind in OUTPUTS.items():
            node.create_subscription(kind, name, self._recorder(name, kind), RELIABLE, raw=True)

    def run(self) -> float:
        """Play everything and return the seconds that it took."""
        self._wait_for_nodes()
        start = time.monotonic()
        total = self._options.limit or self._bag.topic(self._image_topic).count
        with tqdm(total=total, unit="frame", desc="replay", disable=None) as progress:
            for raw in self._bag.raw_messages(self._played):
                if raw.topic == self._image_topic:
                    if self._options.limit and len(self.frames) >= self._options.limit:
                        break
                    progress.update()
                self._play(raw, start)
        if not self._wait(lambda: all(map(self._is_answered, self.frames)), 2.0):
            self._wait(lambda: False, 1.0)  # dropped frames are never answered; late messages may still come
        return time.monotonic() - start

    def stages(self) -> tuple[StageTimes, ...]:
        """From the sending of an image to each node's answer."""
        return tuple(
            StageTimes(
                f"until {topic}",
                tuple(frame.stamp_ns for frame in self.frames.values() if topic in frame.seconds),
                tuple(frame.seconds[topic] for frame in self.frames.values() if topic in frame.seconds),
            )
            for topic in self._options.awaited
        )

    def drops(self) -> tuple[Dropped, ...]:
        """Images without an answer."""
        nodes = {DETECTIONS: "yolc_node", STATUS: "loftr_node"}
        return tuple(
            Dropped(
                nodes[topic],
                len(self.frames),
                tuple(frame.stamp_ns for frame in self.frames.values() if topic not in frame.seconds),
            )
            for topic in self._options.awaited
        )

    def _play(self, raw: RawMessage, start: float) -> None:
        if self._options.pace == "rate":
            due = start + (raw.stamp_ns - self._bag.start_ns) / 1e9 / self._options.rate
            while (left := due - time.monotonic()) > 0:
                rclpy.spin_once(self._node, timeout_sec=left)
        self._now_ns = raw.stamp_ns
        self._clock.publish(Clock(clock=Time(sec=raw.stamp_ns // 10**9, nanosec=raw.stamp_ns % 10**9)))
        self._writer.write_raw(raw.topic, raw.data, raw.stamp_ns)
        is_image = raw.topic == self._image_topic
        if is_image:
            stamp = stamp_ns(self._bag.deserialize(raw).header)
            self.frames[stamp] = FrameAnswer(stamp)
            self._sent[stamp] = time.monotonic()
        if raw.topic in self._publishers:
            self._publishers[raw.topic].publish(bytes(raw.data))
        if is_image and self._options.pace == "lockstep":
            self._wait(lambda: self._is_answered(stamp), self._options.answer_timeout)
        else:
            rclpy.spin_once(self._node, timeout_sec=0.0)

    def _recorder(self, name: str, kind: type) -> Callable[[bytes], None]:
        topic = self._node.resolve_topic_name(name)
        self._writer.declare(topic, type_name(kind))

        def record(data: bytes) -> None:
            arrival = time.monotonic()
            self.counts[topic] = self.counts.get(topic, 0) + 1
            self._writer.write_raw(topic, data, self._now_ns)
            if name == DIAGNOSTICS:
                for status in deserialize_message(data, kind).status:
                    self.diagnoses[status.name] = {item.key: item.value for item in status.values}
            if name in self._options.awaited:
                stamp = stamp_ns(deserialize_message(data, kind).header)
                if stamp in self.frames:
                    self.frames[stamp].seconds.setdefault(name, arrival - self._sent[stamp])

        return record

    def _is_answered(self, stamp_ns: int) -> bool:
        return all(topic in self.frames[stamp_ns].seconds for topic in self._options.awaited)

    def _wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Let messages come in until the condition holds; False when it does not within `timeout` seconds."""
        end = time.monotonic() + timeout
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                return False
            rclpy.spin_once(self._node, timeout_sec=min(left, 0.1))
        return True

    def _wait_for_nodes(self) -> None:
        listeners = len(self._options.awaited)
        names = [self._node.resolve_topic_name(name) for name in self._options.awaited]

        def ready() -> bool:
            return self._publishers[self._image_topic].get_subscription_count() >= listeners and all(
                self._node.count_publishers(name) for name in names
            )

        if not self._wait(ready, self._options.start_timeout):
            raise InputError(
                f"the nodes did not subscribe to {self._image_topic} and publish {', '.join(names)} within "
                f"{self._options.start_timeout:g} s: look at their log for what stopped them"
            )
        # The reader of an output may be matched a moment after its writer is known.
        self._wait(lambda: False, 0.5)


def _weights_and_configuration(options: LiveOptions) -> tuple[dict[str, str], dict[str, Any]]:
    """SHA-256 of the weights by model, and the parameters of the nodes; nothing is known of nodes that ran already."""
    kinds: dict[str, Any] = {"yolc_node": YolcParameters} if options.detection else {}
    kinds |= {"loftr_node": LoftrParameters} if options.matching else {}
    if not options.start_nodes:
        return {}, {}
    parameters = {name: read_parameters(options.params_file, name, kind) for name, kind in kinds.items()}
    files = {given.model: choose_weights(given.model, given.weights) for given in parameters.values()}
    weights = {model: "" if file is None else file_sha256(file) for model, file in files.items()}
    return weights, {name: asdict(given) for name, given in parameters.items()}


def _message_class(name_of_type: str) -> type | None:
    package, _, name = name_of_type.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError):
        return None
