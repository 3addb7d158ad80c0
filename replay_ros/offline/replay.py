"""Offline replay: a bag through the networks and the front end, every image in order, as fast as the machine allows.

Two runs over the same input, weights and configuration write the same bytes: durations in messages are 0 in the output
bag and stand in the result. A broken run continues where it stopped: the results of the networks are kept in a folder
beside the output until the bag is complete.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.serialization import serialize_message
from std_msgs.msg import Header
from tqdm import tqdm

from loftr_ros.frontend import Frontend
from loftr_ros.ros import messages as matching
from perception_common.cameras.camera import Camera
from perception_common.cameras.camera_info import CameraInfoBuffer
from perception_common.errors import InputError
from perception_common.images.conversion import to_gray, to_rgb
from perception_common.stamps import stamp_ns
from perception_common.timing.stage_timer import StageTimer
from replay_ros.bags.node_inputs import TF_TOPICS, BagMountLookup, find_sensors
from replay_ros.bags.reader import Bag, RawMessage, absolute, open_bag
from replay_ros.bags.topic_choice import calibration_warnings, find_camera_info_topic, find_image_topic
from replay_ros.bags.writer import BagWriter
from replay_ros.offline.kept_results import KeptDetector, KeptMatcher
from replay_ros.offline.networks import Networks, load_networks
from replay_ros.offline.result_cache import ResultCache, run_cache
from replay_ros.outputs import OUTPUTS, type_name
from replay_ros.result.provenance import Provenance, hash_of_values, provenance
from replay_ros.result.replay_result import ReplayResult
from replay_ros.result.resources import sampling
from replay_ros.result.timing import StageTimes, Timing
from yolc_ros.ros import messages as detection

SETTLE_NS = 100_000_000  # an image waits so long for sensor readings of its time, which may be recorded after it


@dataclass(frozen=True)
class OfflineOptions:
    """What is replayed and how. params_file: of the nodes. namespace: of the output topics. limit: images at most."""

    bag: Path
    out: Path
    params_file: Path | None = None
    image_topic: str | None = None
    camera_info_topic: str | None = None
    namespace: str = ""
    detection: bool = True
    matching: bool = True
    limit: int | None = None
    storage: str = "mcap"
    force: bool = False


def replay_offline(options: OfflineOptions) -> ReplayResult:
    """Replay a bag without nodes. Raises InputError when the bag or the configuration cannot be used."""
    if not (options.detection or options.matching):
        raise InputError("nothing to do: both detection and matching are switched off")
    start = time.monotonic()
    with open_bag(options.bag) as bag, sampling() as sampler:
        image_topic = find_image_topic(bag, options.image_topic)
        info_topic = find_camera_info_topic(bag, image_topic, options.camera_info_topic)
        is_named = options.camera_info_topic is not None
        warnings = calibration_warnings(bag, image_topic, info_topic, is_named=is_named) if options.matching else ()
        networks = load_networks(
            options.params_file,
            detection=options.detection,
            matching=options.matching,
            namespace=options.namespace,
        )
        origin = provenance(options.bag, networks.weights, networks.configuration)
        with (
            run_cache(options.out, _identity(origin)) as cache,
            BagWriter(options.out, options.storage, force=options.force) as writer,
        ):
            run = _Run(
                options=options,
                bag=bag,
                image_topic=image_topic,
                info_topic=info_topic,
                networks=networks,
                cache=cache,
                writer=writer,
            )
            run.play()
        return ReplayResult(
            kind="offline",
            out=str(options.out),
            image_topic=image_topic,
            frames=run.frames,
            seconds=time.monotonic() - start,
            topics=run.topics,
            refused=run.refused,
            timing=Timing(stages=run.stages(), resources=sampler.use()),
            provenance=origin,
            warnings=warnings,
        )


def _identity(origin: Provenance) -> str:
    """Hash everything that the results of the networks depend on."""
    return hash_of_values([origin.input_sha256, origin.weights, origin.configuration_sha256, origin.versions])


@dataclass(kw_only=True)
class _Run:
    """One pass over the bag. frames: images taken. refused: count by reason. topics: messages written, by topic."""

    options: OfflineOptions
    bag: Bag
    image_topic: str
    info_topic: str | None
    networks: Networks
    cache: ResultCache
    writer: BagWriter
    frames: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    topics: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, dict[int, float]] = field(default_factory=dict)  # by stage and stamp

    def __post_init__(self) -> None:
        detector, matcher, parameters = self.networks.detector, self.networks.matcher, self.networks.loftr
        self.detector = None if detector is None else KeptDetector(detector, self.cache)
        self.frontend = None if matcher is None else Frontend(KeptMatcher(matcher, self.cache), parameters.frontend)
        self.cameras = CameraInfoBuffer(self.info_topic or "camera_info")
        self.sensors = {} if self.frontend is None else find_sensors(self.bag, parameters, self._name)
        self.mount = BagMountLookup(parameters.base_frame, parameters.base_from_optical)

    def play(self) -> None:
        """Process all messages in the order in which they were received."""
        if self.info_topic:  # images may come before the first camera_info
            self.cameras.add(next(iter(self.bag.messages([self.info_topic]))).message)
        inputs = [topic for topic in self.bag.topics.values() if topic.name not in self._output_names()]
        for topic in inputs:
            self.writer.declare(topic.name, topic.type, types=self.bag.types)
        waiting: list[RawMessage] = []
        total = min(self.bag.topic(self.image_topic).count, self.options.limit or 2**62)
        with tqdm(total=total, unit="frame", desc="replay", disable=None) as progress:
            for raw in self.bag.raw_messages([topic.name for topic in inputs]):
                while waiting and raw.stamp_ns > waiting[0].stamp_ns + SETTLE_NS:
                    self._process(waiting.pop(0))
                    progress.update()
                if raw.topic == self.image_topic:
                    if self.frames + len(waiting) == total:
                        break
                    waiting.append(raw)
                elif raw.topic == self.info_topic:
                    self.cameras.add(self.bag.deserialize(raw))
                else:
                    self._read_sensor(raw)
                self.writer.write_raw(raw.topic, raw.data, raw.stamp_ns)
            for raw in waiting:
                self._process(raw)
                progress.update()

    def stages(self) -> tuple[StageTimes, ...]:
        """Return the durations of all stages."""
        return tuple(StageTimes(name, tuple(times), tuple(times.values())) for name, times in self.seconds.items())

    def _output_names(self) -> set[str]:
        """Topics of an earlier replay, which must not be taken for those of this one."""
        return {self._name(name) for name in (*OUTPUTS, "/clock")}

    def _name(self, topic: str) -> str:
        return topic if topic.startswith("/") else absolute(f"{self.options.namespace.strip('/')}/{topic}".lstrip("/"))

    def _read_sensor(self, raw: RawMessage) -> None:
        if self.frontend is not None and raw.topic in self.sensors:
            self.sensors[raw.topic].add(self.frontend.sensors, self.bag.deserialize(raw), raw.stamp_ns)
        elif raw.topic in TF_TOPICS:
            self.mount.add(raw.topic, self.bag.deserialize(raw))

    def _process(self, raw: RawMessage) -> None:
        self.frames += 1
        message = self.bag.deserialize(raw)
        stamp = stamp_ns(message.header)
        header = matching.header_of(stamp, message.header.frame_id)
        timer = StageTimer()
        try:
            self._detect(header, message, raw.stamp_ns, timer)
            self._match(header, message, raw.stamp_ns, timer)
        except InputError as error:
            self.refused[str(error)] = self.refused.get(str(error), 0) + 1
            return
        for stage, seconds in self._first_times(stamp, timer.seconds).items():
            self.seconds.setdefault(stage, {})[stamp] = seconds

    def _detect(self, header: Header, message: Any, received_ns: int, timer: StageTimer) -> None:
        if self.detector is None:
            return
        with timer.stage("decode rgb"):
            image = to_rgb(message)
        with timer.stage("detection"):
            found = self.detector.detect(image)
        for topic, output in detection.frame_messages(
            header,
            image,
            found,
            model=self.detector.name,
            trained=self.detector.trained,
            seconds=0.0,
            wants=detection.RECORDED.__contains__,
        ):
            self._write(topic, output, received_ns)
            if topic == detection.DETECTIONS and self.frontend is not None and self.networks.loftr.use_detections:
                self.frontend.sensors.add_detections(output)

    def _match(self, header: Header, message: Any, received_ns: int, timer: StageTimer) -> None:
        if self.frontend is None:
            return
        with timer.stage("decode gray"):
            image = to_gray(message)
        stamp = stamp_ns(header)
        result = self.frontend.process(
            stamp,
            image,
            self._camera(stamp, image),
            frame_id=header.frame_id,
            T_base_camera=self.mount.lookup(header.frame_id, stamp),
        )
        timer.seconds |= {f"matching: {stage}": seconds for stage, seconds in result.seconds.items()}
        frames = matching.FrameNames(self.networks.loftr.map_frame, self.networks.loftr.base_frame)
        untimed = dataclasses.replace(result, seconds={})
        for topic, output in matching.frame_messages(self.frontend, untimed, frames, OUTPUTS.__contains__):
            self._write(topic, output, received_ns)

    def _camera(self, stamp: int, image: np.ndarray) -> Camera | None:
        try:
            return self.cameras.camera(stamp, image.shape[1], image.shape[0])
        except InputError as error:
            self.refused.setdefault(f"no pose: {error}", 0)
            self.refused[f"no pose: {error}"] += 1
            return None

    def _first_times(self, stamp: int, times: dict[str, float]) -> dict[str, float]:
        """Return the durations of the run that computed the results: reading kept ones takes no time."""
        name = f"times/{stamp}"
        if kept := self.cache.find(name):
            return {stage: float(seconds) for stage, seconds in kept.items()}
        self.cache.keep(name, {stage: np.array(seconds) for stage, seconds in times.items()})
        return times

    def _write(self, topic: str, message: Any, received_ns: int) -> None:
        name, kind, types = self._name(topic), type_name(type(message)), self.writer.types
        # ROS leaves uninitialised memory in the padding of serialised messages; rosbags pads with 0.
        message = types.deserialize_cdr(serialize_message(message), kind)
        self.writer.declare(name, kind)
        self.writer.write_raw(name, types.serialize_cdr(message, kind), received_ns)
        self.topics[name] = self.topics.get(name, 0) + 1
