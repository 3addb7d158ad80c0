"""One pass of an offline replay over a bag: every image through the networks, answers into the output bag."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rclpy.serialization import serialize_message
from std_msgs.msg import Header
from tqdm import tqdm

from loftr_ros.frontend import Frontend
from loftr_ros.pair_estimation import NO_CAMERA
from loftr_ros.ros import messages as matching
from loftr_ros.ros.base_edges import BaseEdges
from loftr_ros.sensors.camera_mount import CameraMount
from loftr_ros.sensors.sensor_mounts import SensorMounts
from loftr_ros.sensors.topics import sensor_topics
from loftr_ros.trajectory.odometry import Odometry
from perception_common.cameras.camera import Camera
from perception_common.cameras.camera_info import CameraInfoBuffer
from perception_common.cameras.pairing import Partners, SyncSettings
from perception_common.errors import InputError
from perception_common.images.conversion import to_gray, to_rgb
from perception_common.images.intensity import Intensity
from perception_common.stamps import stamp_ns
from perception_common.timing.stage_timer import StageTimer
from replay_ros.bags.cdr import Decoder
from replay_ros.bags.node_inputs import TF_TOPICS, find_sensors
from replay_ros.bags.reader import Bag, RawMessage, absolute
from replay_ros.bags.topic_choice import first_calibration
from replay_ros.bags.writer import BagWriter
from replay_ros.inputs import Undecoded
from replay_ros.offline.kept_results import KeptDetector, KeptMatcher
from replay_ros.offline.networks import Networks
from replay_ros.offline.result_cache import ResultCache
from replay_ros.outputs import DETECTIONS, NODES, OUTPUTS, STATUS, type_name
from replay_ros.result.answers import NodeAnswers, node_answers
from replay_ros.result.assignment import Moment
from replay_ros.result.timing import StageTimes
from yolc_ros.detector import Detections
from yolc_ros.georeference.georeferencer import Georeferencer
from yolc_ros.georeference.objects import GroundObjects
from yolc_ros.georeference.sensors import PlaceSensors
from yolc_ros.looks.bands import GroundView
from yolc_ros.ros import messages as detection
from yolc_ros.ros.places import locate_detections
from yolc_ros.tracking.image_tracker import ImageTracker
from yolc_ros.tracking.matches import CORRESPONDENCES, match_topics
from yolc_ros.tracking.tracks import Tracks

logger = logging.getLogger(__name__)

SETTLE_NS = 100_000_000  # an image waits so long for sensor readings of its time, which may be recorded after it


@dataclass(kw_only=True)
class BagPass:
    """One pass over the bag. Images are named by their position among the images of the bag, from 0.

    images: times of the images taken. topics: messages written, by topic. refused: cause by position, by the topic of
    the last message of a node for an image. without_camera: causes why images have no calibration, with their number.
    """

    bag: Bag
    image_topic: str
    info_topic: str | None
    namespace: str
    limit: int | None
    networks: Networks
    cache: ResultCache
    writer: BagWriter
    images: list[Moment] = field(default_factory=list)
    topics: dict[str, int] = field(default_factory=dict)
    refused: dict[str, dict[int, str]] = field(default_factory=dict)
    without_camera: dict[str, int] = field(default_factory=dict)
    pairs_without_camera: int = 0
    seconds: dict[str, dict[int, float]] = field(default_factory=dict)  # by stage and position
    _last_stamp: int | None = None  # of the last image that could be read

    def __post_init__(self) -> None:
        detector, matcher, parameters = self.networks.detector, self.networks.matcher, self.networks.loftr
        self.detector = None if detector is None else KeptDetector(detector, self.cache, self.networks.yolc.looks)
        self.frontend = None if matcher is None else Frontend(KeptMatcher(matcher, self.cache), parameters.frontend)
        self.tracker = (
            None
            if detector is None or not self.networks.yolc.tracking
            else ImageTracker(len(detector.class_names), self.networks.yolc.tracker)
        )
        self.rgb_intensity = Intensity(self.networks.yolc.intensity, logger.warning)
        self.gray_intensity = Intensity(parameters.intensity, logger.warning)
        self.cameras = CameraInfoBuffer(self.info_topic or "camera_info")
        self.sensors = {} if self.frontend is None else find_sensors(self.bag, sensor_topics(parameters), self._name)
        self.ground = PlaceSensors(self.networks.yolc.ground, self.networks.yolc.places)
        self.ground_topics = (
            {} if self.detector is None else find_sensors(self.bag, self.networks.yolc.topics, self._name)
        )
        is_located = self.detector is not None and self.networks.yolc.georeference
        self.georeferencer = Georeferencer(self.ground) if is_located else None
        self.partners = Partners(SyncSettings(slop=parameters.sync_slop))
        self.mount = CameraMount(parameters.base_frame, parameters.base_from_optical)
        self.edges = BaseEdges(self.mount) if parameters.base_frame else None
        self.odometry = Odometry(parameters.odometry)
        if self.frontend is not None:
            self.frontend.sensors.mounts = SensorMounts(parameters.base_from_imu, self.mount)
        self.undecoded = Undecoded()
        self.decoder = Decoder(self.writer.types)
        self._steps: dict[str, Callable[[Header, Any, int, StageTimer], None]] = {}
        if self.detector is not None:
            self._steps[DETECTIONS] = self._detect
        if self.frontend is not None:
            self._steps[STATUS] = self._match

    def play(self) -> None:
        """Process all messages in the order in which they were received."""
        if calibration := first_calibration(self.bag, self.info_topic):
            self._add_camera_info(self.bag.deserialize(calibration))
        inputs = [topic for topic in self.bag.topics.values() if topic.name not in self._output_names()]
        for topic in inputs:
            self.writer.declare_copy(topic)
        waiting: list[RawMessage] = []
        total = min(self.bag.topic(self.image_topic).count, self.limit or 2**62)
        with tqdm(total=total, unit="frame", desc="replay", disable=None) as progress:
            for raw in self.bag.raw_messages([topic.name for topic in inputs]):
                while waiting and raw.stamp_ns > waiting[0].stamp_ns + SETTLE_NS:
                    self._process(waiting.pop(0))
                    progress.update()
                if raw.topic == self.image_topic:
                    if len(self.images) + len(waiting) == self.limit:
                        break
                    waiting.append(raw)
                else:
                    self._read(raw)
                self.writer.write_raw(raw.topic, raw.data, raw.stamp_ns)
            for raw in waiting:
                self._process(raw)
                progress.update()
        self._end_edges()

    def _end_edges(self) -> None:
        """Write the base edges whose transforms came after the last image, and count those that never came."""
        if self.edges is None:
            return
        self._give_up_edges(self.edges, self.bag.end_ns)
        for reason, count in self.edges.given_up.items():
            self.undecoded.counts[f"no base edge: {reason}"] = count

    def _give_up_edges(self, edges: BaseEdges, received_ns: int) -> None:
        """Write the base edges whose transforms are known by now, and give up the others."""
        for edge in edges.update():
            self._write(matching.BASE_POSE, edge, received_ns)
        edges.forget()

    def stages(self) -> tuple[StageTimes, ...]:
        """Return the durations of all stages."""
        return tuple(StageTimes(name, tuple(times), tuple(times.values())) for name, times in self.seconds.items())

    def answers(self) -> tuple[NodeAnswers, ...]:
        """Account for the images at each node: what was not refused was answered."""
        everything = range(len(self.images))
        return tuple(
            node_answers(NODES[topic], len(everything), [k for k in everything if k not in refused], refused)
            for topic in self._steps
            for refused in [self.refused.get(topic, {})]
        )

    def _output_names(self) -> set[str]:
        """Topics of an earlier replay, which must not be taken for those of this one."""
        return {self._name(name) for name in (*OUTPUTS, "/clock")}

    def _name(self, topic: str) -> str:
        return topic if topic.startswith("/") else absolute(f"{self.namespace.strip('/')}/{topic}".lstrip("/"))

    def _read(self, raw: RawMessage) -> None:
        """Take a message that is no image; one that cannot be decoded is left out and counted."""
        is_sensor = self.frontend is not None and raw.topic in self.sensors
        if not (is_sensor or raw.topic in self.ground_topics or raw.topic == self.info_topic or raw.topic in TF_TOPICS):
            return
        try:
            message = self.bag.deserialize(raw)
        except InputError as error:
            self.undecoded.add(raw, error)
            return
        if raw.topic in self.ground_topics:
            self.ground_topics[raw.topic].add(self.ground, message, raw.stamp_ns)
        if raw.topic == self.info_topic:
            self._add_camera_info(message)
        elif is_sensor and self.frontend is not None:
            self.sensors[raw.topic].add(self.frontend.sensors, message, raw.stamp_ns)
        elif raw.topic in TF_TOPICS:
            for add in (self.mount.add, self.ground.transforms.add_all):
                add(message, is_static=raw.topic == "/tf_static")

    def _add_camera_info(self, message: Any) -> None:
        self.cameras.add(message)
        self.partners.add(stamp_ns(message.header))

    def _process(self, raw: RawMessage) -> None:
        position = len(self.images)
        try:
            message = self.bag.deserialize(raw)
        except InputError as error:
            self.images.append(Moment(None, raw.stamp_ns))
            for topic in self._steps:
                self._refuse(topic, position, error)
            return
        stamp = stamp_ns(message.header)
        if self._last_stamp is not None and stamp < self._last_stamp:
            self._forget(raw.stamp_ns)
        self._last_stamp = stamp
        self.images.append(Moment(stamp, raw.stamp_ns))
        header = matching.header_of(stamp, message.header.frame_id)
        timer = StageTimer()
        for topic, step in self._steps.items():
            try:
                step(header, message, raw.stamp_ns, timer)
            except InputError as error:
                self._refuse(topic, position, error)
        for stage, seconds in self._first_times(position, timer.seconds).items():
            self.seconds.setdefault(stage, {})[position] = seconds

    def _forget(self, received_ns: int) -> None:
        """Drop the state of earlier images, as the nodes do where stamps jump back in an image received then."""
        self.rgb_intensity.forget()
        self.gray_intensity.forget()
        if self.detector is not None:
            self.detector.forget()
        if self.tracker is not None:
            self.tracker.forget()
        if self.georeferencer is not None:
            self.georeferencer.forget()
        if self.frontend is not None:
            self.frontend.forget()
        if self.edges is not None:
            self._give_up_edges(self.edges, received_ns)

    def _refuse(self, topic: str, position: int, error: InputError) -> None:
        self.refused.setdefault(topic, {})[position] = str(error)

    def _detect(self, header: Header, message: Any, received_ns: int, timer: StageTimer) -> None:
        if self.detector is None:
            return
        with timer.stage("decode rgb"):
            image = to_rgb(message, self.rgb_intensity)
        with timer.stage("detection"):
            found = self.detector.detect(image, self._view(header, image))
        tracks = None
        if self.tracker is not None:
            with timer.stage("tracking"):
                tracks = self.tracker.track(stamp_ns(header), image, found.scored)
        objects = self._locate(header, image, found, tracks)
        for topic, output in detection.frame_messages(
            header,
            image,
            found,
            tracks,
            model=self.detector.name,
            trained=self.detector.trained,
            seconds=0.0,
            wants=detection.RECORDED.__contains__,
            objects=objects,
            map_frame=self.networks.yolc.map_frame,
        ):
            self._write(topic, output, received_ns)
            if topic == detection.DETECTIONS and self.frontend is not None and self.networks.loftr.use_detections:
                self.frontend.sensors.add_detections(output)

    def _match(self, header: Header, message: Any, received_ns: int, timer: StageTimer) -> None:
        if self.frontend is None:
            return
        with timer.stage("decode gray"):
            image = to_gray(message, self.gray_intensity)
        stamp = stamp_ns(header)
        self.partners.add_image(stamp)
        self.frontend.sensors.add_image(stamp)
        self.mount.begin_image(stamp)
        self.frontend.complete_mounts(self.mount.lookup)
        result = self.frontend.process(
            stamp,
            image,
            self._camera(stamp, image),
            frame_id=header.frame_id,
            mount=lambda: self.mount.lookup(header.frame_id, stamp),
        )
        timer.seconds |= {f"matching: {stage}": seconds for stage, seconds in result.seconds.items()}
        edges = self.edges.update if self.edges else None
        untimed = dataclasses.replace(result, seconds={})
        for topic, output in matching.frame_messages(
            self.frontend,
            untimed,
            self.networks.loftr.map_frame,
            OUTPUTS.__contains__,
            edges,
            self.odometry.update(result),
        ):
            self._write(topic, output, received_ns)
            if topic == matching.RELATIVE_POSE:
                self.pairs_without_camera += output.reason == NO_CAMERA
            elif topic == CORRESPONDENCES.name and self.tracker is not None and match_topics(self.networks.yolc):
                CORRESPONDENCES.add(self.tracker, output, received_ns)

    def _view(self, header: Header, image: np.ndarray) -> GroundView | None:
        """Return the view of the ground for `scale: ground`; None where it is unknown, which is counted."""
        if self.networks.yolc.scale != "ground":
            return None
        stamp = stamp_ns(header)
        try:
            camera = self.cameras.camera(stamp, image.shape[1], image.shape[0])
            return self.ground.view(stamp, camera, header.frame_id)
        except InputError as error:
            self._count(f"no view of the ground, scale searched: {error}")
            return None

    def _locate(
        self, header: Header, image: np.ndarray, found: Detections, tracks: Tracks | None
    ) -> GroundObjects | None:
        """Return where the detections stand on the ground; None while georeferencing is off. Counts what fails."""
        if self.georeferencer is None:
            return None
        objects = locate_detections(self.georeferencer, self.cameras, header, image, found, tracks)
        if self.georeferencer.problem:
            self._count(f"objects are not located: {self.georeferencer.problem}")
        return objects

    def _count(self, cause: str) -> None:
        self.undecoded.counts[cause] = self.undecoded.counts.get(cause, 0) + 1

    def _camera(self, stamp: int, image: np.ndarray) -> Camera | None:
        try:
            return self.cameras.camera(self.partners.of(stamp), image.shape[1], image.shape[0])
        except InputError as error:
            self.without_camera[str(error)] = self.without_camera.get(str(error), 0) + 1
            return None

    def _first_times(self, position: int, times: dict[str, float]) -> dict[str, float]:
        """Return the durations of the run that computed the results: reading kept ones takes no time."""
        name = f"times/{position}"
        if kept := self.cache.find(name):
            return {stage: float(seconds) for stage, seconds in kept.items()}
        self.cache.keep(name, {stage: np.array(seconds) for stage, seconds in times.items()})
        return times

    def _write(self, topic: str, message: Any, received_ns: int) -> None:
        name, kind, types = self._name(topic), type_name(type(message)), self.writer.types
        # ROS leaves uninitialised memory in the padding of serialised messages; rosbags pads with 0.
        message = self.decoder.decode(serialize_message(message), kind)
        self.writer.declare(name, kind)
        self.writer.write_raw(name, types.serialize_cdr(message, kind), received_ns)
        self.topics[name] = self.topics.get(name, 0) + 1
