"""Offline replay: a bag through the cores, every image in order, as fast as the machine allows.

Two runs over the same input, weights and configuration write the same bytes: the durations that the messages carry are
0 in the output bag and stand in the result. A run that was broken off goes on where it stopped: what the networks
answered lies in a folder beside the output until the bag is whole.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from rclpy.serialization import serialize_message
from std_msgs.msg import Header
from tqdm import tqdm

from loftr_ros.frontend import Frontend
from loftr_ros.matcher import Matcher
from loftr_ros.ros.messages import (
    base_pose_message,
    correspondences_message,
    header_of,
    keyframe_message,
    pose_stamped_message,
    relative_pose_message,
    status_message,
)
from perception_common.cameras.camera import Camera
from perception_common.cameras.camera_info import CameraInfoBuffer
from perception_common.errors import InputError
from perception_common.images.conversion import to_gray, to_rgb
from perception_common.stamps import stamp_ns
from replay_ros.bags.node_inputs import TF_TOPICS, BagMountLookup, find_sensors
from replay_ros.bags.output_topics import DETECTIONS, MARKERS, OUTPUTS, STATUS, type_name
from replay_ros.bags.reader import Bag, RawMessage, absolute, open_bag
from replay_ros.bags.topic_choice import find_camera_info_topic, find_image_topic
from replay_ros.bags.writer import BagWriter
from replay_ros.offline.kept_results import KeptDetector, KeptMatcher, ResultCache
from replay_ros.offline.networks import Networks, load_networks
from replay_ros.result.provenance import Provenance, hash_of_values, provenance
from replay_ros.result.replay_result import ReplayResult
from replay_ros.result.resources import sampling
from replay_ros.result.timing import StageTimes, Timing
from yolc_ros.ros.messages import detections_message, image_marker

SETTLE_NS = 100_000_000  # what a sensor says of an image may come so much later than the image


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
    """Replay a bag through the cores. Raises InputError when the bag or the configuration cannot be used."""
    if not (options.detection or options.matching):
        raise InputError("nothing to do: both detection and matching are switched off")
    start = time.monotonic()
    with open_bag(options.bag) as bag, sampling() as sampler:
        image_topic = find_image_topic(bag, options.image_topic)
        info_topic = find_camera_info_topic(bag, image_topic, options.camera_info_topic)
        cores = load_networks(options.params_file, options.detection, options.matching)
        origin = provenance(options.bag, cores.weights, cores.configuration)
        with (
            _workspace(options, origin) as cache,
            BagWriter(options.out, options.storage, force=options.force) as writer,
        ):
            run = _Run(options, bag, image_topic, info_topic, cores, cache, writer)
            run.play()
        timing = Timing(run.stages(), (), sampler.use())
        return ReplayResult(
            *("offline", str(options.out), image_topic, run.frames, time.monotonic() - start),
            *(run.topics, run.refused, timing, origin),
        )


@contextmanager
def _workspace(options: OfflineOptions, origin: Provenance) -> Iterator[ResultCache]:
    """Give the cache of this run: that of a broken one with the same input, weights and configuration, else a new one.

    It goes when the block ends well and stays when it is broken off.
    """
    folder = options.out.with_name(f"{options.out.name}.unfinished")
    identity = hash_of_values([origin.input_sha256, origin.weights, origin.configuration_sha256, origin.versions])
    mark = folder / "run.json"
    try:
        if folder.exists() and json.loads(mark.read_text()) != {"identity": identity}:
            print(f"{folder} is of a run with another input or configuration: starting anew")
            shutil.rmtree(folder)
        elif folder.exists():
            print(f"going on with the run that was broken off ({folder})")
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} is no folder of a broken replay ({error}); remove it") from error
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps({"identity": identity}))
    try:
        yield ResultCache(folder)
    except KeyboardInterrupt:
        raise InputError(f"stopped; the same command goes on from here ({folder})") from None
    shutil.rmtree(folder)


@dataclass
class _Run:
    """One pass over the bag. frames: images taken. refused: reasons with their number. topics: messages written."""

    options: OfflineOptions
    bag: Bag
    image_topic: str
    info_topic: str | None
    cores: Networks
    cache: ResultCache
    writer: BagWriter
    frames: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    topics: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, dict[int, float]] = field(default_factory=dict)  # by stage and stamp

    def __post_init__(self) -> None:
        self.detector = None if self.cores.detector is None else KeptDetector(self.cores.detector, self.cache)
        self.frontend = None
        if self.cores.matcher is not None:
            self.frontend = Frontend(
                cast(Matcher, KeptMatcher(self.cores.matcher, self.cache)), self.cores.loftr.frontend
            )
        self.cameras = CameraInfoBuffer(self.info_topic or "camera_info")
        self.sensors = {} if self.frontend is None else find_sensors(self.bag, self.cores.loftr, self._name)
        self.mount = BagMountLookup(self.cores.loftr.base_frame, self.cores.loftr.base_from_optical)

    def play(self) -> None:
        """Take all messages in the order in which they were received."""
        if self.info_topic:  # images may come before the first one
            self.cameras.add(next(iter(self.bag.messages([self.info_topic]))).message)
        inputs = [topic for topic in self.bag.topics.values() if topic.name not in self._ours()]
        for topic in inputs:
            self.writer.declare(topic.name, topic.type, types=self.bag.types)
        waiting: list[RawMessage] = []
        total = min(self.bag.topic(self.image_topic).count, self.options.limit or 2**62)
        with tqdm(total=total, unit="frame", desc="replay", disable=None) as progress:
            for raw in self.bag.raw_messages([topic.name for topic in inputs]):
                while waiting and raw.stamp_ns > waiting[0].stamp_ns + SETTLE_NS:
                    self._answer(waiting.pop(0))
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
                self._answer(raw)
                progress.update()

    def stages(self) -> tuple[StageTimes, ...]:
        """Return the durations of all stages."""
        return tuple(StageTimes(name, tuple(times), tuple(times.values())) for name, times in self.seconds.items())

    def _ours(self) -> set[str]:
        """Topics of an earlier replay, which must not be taken for those of this one."""
        return {self._name(name) for name in (*OUTPUTS, "/clock")}

    def _name(self, topic: str) -> str:
        return topic if topic.startswith("/") else absolute(f"{self.options.namespace.strip('/')}/{topic}".lstrip("/"))

    def _read_sensor(self, raw: RawMessage) -> None:
        if self.frontend is not None and raw.topic in self.sensors:
            self.sensors[raw.topic].add(self.frontend.sensors, self.bag.deserialize(raw), raw.stamp_ns)
        elif raw.topic in TF_TOPICS:
            self.mount.add(raw.topic, self.bag.deserialize(raw))

    def _answer(self, raw: RawMessage) -> None:
        self.frames += 1
        message = self.bag.deserialize(raw)
        stamp = stamp_ns(message.header)
        header = header_of(stamp, message.header.frame_id)
        try:
            times = self._detect(header, message, raw.stamp_ns) | self._match(header, message, raw.stamp_ns)
        except InputError as error:
            self.refused[str(error)] = self.refused.get(str(error), 0) + 1
            return
        for stage, seconds in self._first_times(stamp, times).items():
            self.seconds.setdefault(stage, {})[stamp] = seconds

    def _detect(self, header: Header, message: Any, received_ns: int) -> dict[str, float]:
        if self.detector is None:
            return {}
        detector = self.detector.detector
        start = time.perf_counter()
        image = to_rgb(message)
        converted = time.perf_counter()
        found, seconds = self.detector.detect(image)
        size = image.shape[1], image.shape[0]
        answer = detections_message(header, size, found, detector.name, detector.trained, 0.0)
        self._write(MARKERS, image_marker(header, found), received_ns)
        self._write(DETECTIONS, answer, received_ns)
        if self.frontend is not None and self.cores.loftr.use_detections:
            self.frontend.sensors.add_detections(answer)
        return {"decode rgb": converted - start, "detection": seconds}

    def _match(self, header: Header, message: Any, received_ns: int) -> dict[str, float]:
        if self.frontend is None:
            return {}
        frontend, start = self.frontend, time.perf_counter()
        image = to_gray(message)
        converted = time.perf_counter()
        stamp = stamp_ns(header)
        answer = frontend.process(
            stamp,
            image,
            self._camera(stamp, image),
            frame_id=header.frame_id,
            T_base_camera=self.mount.lookup(header.frame_id, stamp),
        )
        map_frame, base_frame = self.cores.loftr.map_frame, self.cores.loftr.base_frame
        if keyframe := answer.new_keyframe:
            self._write("loftr/keyframe", keyframe_message(keyframe), received_ns)
            for pair in answer.pairs:
                correspondences = correspondences_message(pair, frontend.model, frontend.trained)
                self._write("loftr/correspondences", correspondences, received_ns)
                self._write("loftr/relative_pose", relative_pose_message(pair), received_ns)
                if base_frame and (in_base := base_pose_message(pair, base_frame)):
                    self._write("loftr/relative_pose_base", in_base, received_ns)
            self._write("loftr/pose", pose_stamped_message(stamp, map_frame, answer.T_map_camera), received_ns)
        self._write(STATUS, status_message(dataclasses.replace(answer, seconds={})), received_ns)
        stages = {f"matching: {stage}": seconds for stage, seconds in answer.seconds.items()}
        return {"decode gray": converted - start, **stages}

    def _camera(self, stamp: int, image: np.ndarray) -> Camera | None:
        try:
            return self.cameras.camera(stamp, image.shape[1], image.shape[0])
        except InputError as error:
            self.refused.setdefault(f"no pose: {error}", 0)
            self.refused[f"no pose: {error}"] += 1
            return None

    def _first_times(self, stamp: int, times: dict[str, float]) -> dict[str, float]:
        """The durations of the run that really did the work: answers from the cache take no time."""
        name = f"times/{stamp}"
        if kept := self.cache.find(name):
            return {stage: float(seconds) for stage, seconds in kept.items()}
        self.cache.keep(name, {stage: np.array(seconds) for stage, seconds in times.items()})
        return times

    def _write(self, topic: str, message: Any, received_ns: int) -> None:
        name, kind, types = self._name(topic), type_name(type(message)), self.writer.types
        # The padding that ROS leaves in serialised messages is whatever lay in memory; that of rosbags is 0.
        message = types.deserialize_cdr(serialize_message(message), kind)
        self.writer.declare(name, kind)
        self.writer.write_raw(name, types.serialize_cdr(message, kind), received_ns)
        self.topics[name] = self.topics.get(name, 0) + 1
