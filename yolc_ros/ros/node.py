"""yolc_node: detects objects in camera images and publishes them as DetectionArray."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from perception_common.backends.devices import DevicePolicy
from perception_common.cameras.camera_info import CameraInfoBuffer
from perception_common.errors import InputError
from perception_common.images.conversion import to_rgb
from perception_common.images.intensity import Intensity
from perception_common.node.base import RESULT_QOS, PerceptionNode
from perception_common.node.message_class import message_class
from perception_common.node.runner import run_nodes
from perception_common.node.transforms import subscribe_transforms
from perception_common.sensors.topics import SensorTopic
from perception_common.sensors.transform_tree import TransformTree
from perception_common.stamps import stamp_ns
from yolc_ros.adaptive import AdaptiveDetector, LookState, measure_costs
from yolc_ros.detector import Detections, Detector
from yolc_ros.georeference.georeferencer import Georeferencer, check_georeferencing
from yolc_ros.georeference.objects import GroundObjects
from yolc_ros.georeference.sensors import PlaceSensors
from yolc_ros.ground_sensors import GroundSettings
from yolc_ros.looks.bands import GroundView
from yolc_ros.looks.budget import LeftOut
from yolc_ros.looks.search import ScaleState
from yolc_ros.parameters import YolcParameters
from yolc_ros.ros.messages import DEPTHS, ON_DEMAND, TOPICS, TRACKS, frame_messages
from yolc_ros.ros.places import locate_detections
from yolc_ros.tracking.image_tracker import ImageTracker
from yolc_ros.tracking.matches import match_topics
from yolc_ros.tracking.tracks import Tracks


class YolcNode(PerceptionNode[YolcParameters]):
    """Publishes one DetectionArray and one TrackArray per image; see msg/ for their fields."""

    input_problems = (*PerceptionNode.input_problems, "ground", "georeference")

    def __init__(self, nodes_in_process: int = 1):
        self._detector: Detector | None = None
        self._tracker: ImageTracker | None = None
        self._next_track_id = 1
        self._state = LookState()
        self._looks = _LookCounts()
        self._cameras = CameraInfoBuffer("camera_info")
        self._sensors = PlaceSensors(GroundSettings())
        self._georeferencer: Georeferencer | None = None
        self._intensity = Intensity()
        self._transforms = TransformTree()
        self._transform_subscriptions: list[Any] = []
        super().__init__("yolc_node", YolcParameters, nodes_in_process)

    def load(self, parameters: YolcParameters, device: DevicePolicy) -> None:
        """Load the network, run it once to warm up, and create the publishers."""
        if parameters.georeference:
            check_georeferencing(parameters.places)
        self._transforms = TransformTree()
        if parameters.attitude_frame:
            self._transform_subscriptions = subscribe_transforms(
                self, self._transforms.add_all, "use_imu in place of attitude_frame"
            )
        self._intensity = Intensity(parameters.intensity, self.get_logger().info)
        self._detector = Detector.load(
            parameters.model,
            parameters.weights,
            device,
            parameters.detector,
            sha256=parameters.weights_sha256 or None,
        )
        if not self._detector.trained:
            self.problems.report("untrained", f"{parameters.model} has random weights: its boxes mean nothing")
        self._detector.detect(np.zeros((120, 160, 3), np.uint8))
        self._state, self._looks = LookState(), _LookCounts()
        if parameters.budget_ms:
            self._state = LookState(costs=measure_costs(self._detector))
        if parameters.tracking:
            self._tracker = ImageTracker(len(self._detector.class_names), parameters.tracker, self._next_track_id)
        self._results = {
            topic: self.result_publisher(kind, topic, depth=DEPTHS.get(topic, RESULT_QOS.depth))
            for topic, kind in TOPICS.items()
            if topic != TRACKS or parameters.tracking
        }

    def unload(self) -> None:
        """Release the network and the subscriptions to transforms; ids of tracks are not given again."""
        if self._tracker is not None:
            self._next_track_id = self._tracker.next_id
        while self._transform_subscriptions:
            self.destroy_subscription(self._transform_subscriptions.pop())
        self._detector = self._tracker = None
        self.problems.resolve("untrained")

    def subscribe(self) -> None:
        """Subscribe to images and, where an altitude is switched on, to it, the tilt and camera_info."""
        super().subscribe()
        self._sensors = PlaceSensors(self.parameters.ground, self.parameters.places)
        self._sensors.transforms = self._transforms
        self._georeferencer = Georeferencer(self._sensors) if self.parameters.georeference else None
        topics = self.parameters.topics
        if topics:
            self._cameras = CameraInfoBuffer(self.resolve_topic_name("camera_info"))
            self.sensor_subscription(CameraInfo, "camera_info", self._cameras.add)
        for topic in topics:
            self.sensor_subscription(
                message_class(topic.type), topic.name, partial(self._add_reading, topic), depth=topic.depth
            )
        for topic in match_topics(self.parameters):
            self.sensor_subscription(
                message_class(topic.type), topic.name, partial(self._add_matches, topic), depth=topic.depth
            )

    def apply(self, parameters: YolcParameters) -> None:
        """Apply changed settings from the next image on."""
        if self._detector is not None:
            self._detector = replace(self._detector, settings=parameters.detector)
            self._state = replace(self._state, scale=ScaleState())
        if self._tracker is not None:
            self._tracker.apply(parameters.tracker)
        self._sensors.settings, self._sensors.place_settings = parameters.ground, parameters.places

    def describe(self) -> dict[str, str]:
        """Diagnostics values of the network."""
        detector = self._detector
        return {
            "model": self.parameters.model,
            "trained": str(detector is not None and detector.trained),
            "device": detector.policy.name if detector else "",
            "scores": "calibrated" if detector is not None and detector.published_calibration is not None else "raw",
            **self._looks.describe(),
            **({} if self._tracker is None else self._tracker.describe()),
            **{f"ignored: {reason}": str(count) for reason, count in self._sensors.ignored().items()},
        }

    def decode(self, message: Image | CompressedImage) -> np.ndarray:
        """Convert to (H, W, 3) uint8 RGB."""
        return to_rgb(message, self._intensity)

    def forget(self) -> None:
        """Follow the values of images of more than 8 bits anew, and end all tracks."""
        self._intensity.forget()
        if self._tracker is not None:
            self._tracker.forget()
        self._state = replace(self._state, scale=ScaleState())
        if self._georeferencer is not None:
            self._georeferencer.forget()

    def process(self, header: Header, image: np.ndarray) -> None:
        """Detect objects in an image and publish them."""
        detector = self._detector
        if detector is None:
            return
        start = time.perf_counter()
        with self.stage("network"):
            adaptive = AdaptiveDetector(detector, self.parameters.looks)
            detections, self._state = adaptive.detect(image, self._state, self._view(header, image))
        self._looks = self._looks.with_image(detections, self._state.left_out)
        seconds = time.perf_counter() - start
        tracks = None
        if self._tracker is not None:
            with self.stage("tracking"):
                tracks = self._tracker.track(stamp_ns(header), image, detections.scored)
        objects = self._locate(header, image, detections, tracks)
        with self.stage("publishing"):
            for topic, message in frame_messages(
                header,
                image,
                detections,
                tracks,
                model=detector.name,
                trained=detector.trained,
                seconds=seconds,
                wants=self._is_wanted,
                objects=objects,
                map_frame=self.parameters.map_frame,
            ):
                self._results[topic].publish(message)

    def _view(self, header: Header, image: np.ndarray) -> GroundView | None:
        """Return the view of the ground; None where the scale does not depend on it or where it is unknown."""
        if self.parameters.scale != "ground":
            self.problems.resolve("ground")
            return None
        stamp = stamp_ns(header)
        try:
            camera = self._cameras.camera(stamp, image.shape[1], image.shape[0])
            view = self._sensors.view(stamp, camera, header.frame_id)
        except InputError as error:
            self.problems.report("ground", f"the scale is searched as with auto: {error}")
            return None
        self.problems.resolve("ground")
        return view

    def _locate(
        self, header: Header, image: np.ndarray, detections: Detections, tracks: Tracks | None
    ) -> GroundObjects | None:
        """Return where the detections stand on the ground; None while georeferencing is off."""
        georeferencer = self._georeferencer
        if georeferencer is None:
            return None
        with self.stage("georeferencing"):
            objects = locate_detections(georeferencer, self._cameras, header, image, detections, tracks)
        if georeferencer.problem:
            self.problems.report("georeference", f"objects are not located: {georeferencer.problem}")
        else:
            self.problems.resolve("georeference")
        return objects

    def _add_reading(self, topic: SensorTopic, message: object) -> None:
        topic.add(self._sensors, message, self.get_clock().now().nanoseconds)

    def _add_matches(self, topic: SensorTopic, message: object) -> None:
        if self._tracker is not None:
            topic.add(self._tracker, message, 0)

    def _is_wanted(self, topic: str) -> bool:
        return topic not in ON_DEMAND or self._results[topic].get_subscription_count() > 0


@dataclass(frozen=True)
class _LookCounts:
    """What the diagnostics tell about the looks. scales: of the last first look. shortened: images with looks left out.

    regions: that were left out of them. last: what was left out of the last such image.
    """

    scales: tuple[float, ...] = ()
    shortened: int = 0
    regions: int = 0
    last: str = "nothing"

    def with_image(self, detections: Detections, left_out: LeftOut) -> _LookCounts:
        """Return the counts with one more image."""
        scales = tuple(band.scale for band in detections.bands)
        if left_out == LeftOut():
            return replace(self, scales=scales)
        return _LookCounts(scales, self.shortened + 1, self.regions + left_out.regions, str(left_out))

    def describe(self) -> dict[str, str]:
        """Return the diagnostics values."""
        return {
            "scale of the first look": ", ".join(f"{scale:.3g}" for scale in self.scales),
            "images with looks left out": str(self.shortened),
            "regions left out": str(self.regions),
            "left out last": self.last,
        }


def main(arguments: list[str] | None = None) -> int:
    """Run yolc_node alone."""
    example = "yolc_node --ros-args -r image:=/camera/image -p model:=yolc_lite -p score_threshold:=0.4"
    return run_nodes([YolcNode], "Detect objects in camera images.", example, arguments)
