"""yolc_node: detects objects in camera images and publishes them as DetectionArray."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from perception_common.backends.devices import DevicePolicy
from perception_common.images.conversion import to_rgb
from perception_common.images.intensity import Intensity
from perception_common.node.base import PerceptionNode
from perception_common.node.runner import run_nodes
from yolc_ros.detector import Detector
from yolc_ros.parameters import YolcParameters
from yolc_ros.ros.messages import ON_DEMAND, TOPICS, frame_messages


class YolcNode(PerceptionNode[YolcParameters]):
    """Publishes one DetectionArray per image; see msg/ for its fields."""

    def __init__(self, nodes_in_process: int = 1):
        self._detector: Detector | None = None
        self._intensity = Intensity()
        super().__init__("yolc_node", YolcParameters, nodes_in_process)

    def load(self, parameters: YolcParameters, device: DevicePolicy) -> None:
        """Load the network, run it once to warm up, and create the publishers."""
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
        self._results = {topic: self.result_publisher(kind, topic) for topic, kind in TOPICS.items()}

    def unload(self) -> None:
        """Release the network."""
        self._detector = None
        self.problems.resolve("untrained")

    def apply(self, parameters: YolcParameters) -> None:
        """Apply changed settings from the next image on."""
        if self._detector is not None:
            self._detector = replace(self._detector, settings=parameters.detector)

    def describe(self) -> dict[str, str]:
        """Diagnostics values of the network."""
        detector = self._detector
        return {
            "model": self.parameters.model,
            "trained": str(detector is not None and detector.trained),
            "device": str(detector.policy.device) if detector else "",
        }

    def decode(self, message: Image | CompressedImage) -> np.ndarray:
        """Convert to (H, W, 3) uint8 RGB."""
        return to_rgb(message, self._intensity)

    def forget(self) -> None:
        """Follow the values of images of more than 8 bits anew."""
        self._intensity.forget()

    def process(self, header: Header, image: np.ndarray) -> None:
        """Detect objects in an image and publish them."""
        detector = self._detector
        if detector is None:
            return
        start = time.perf_counter()
        with self.stage("network"):
            detections = detector.detect(image)
        seconds = time.perf_counter() - start
        with self.stage("publishing"):
            for topic, message in frame_messages(
                header,
                image,
                detections,
                model=detector.name,
                trained=detector.trained,
                seconds=seconds,
                wants=self._is_wanted,
            ):
                self._results[topic].publish(message)

    def _is_wanted(self, topic: str) -> bool:
        return topic not in ON_DEMAND or self._results[topic].get_subscription_count() > 0


def main(arguments: list[str] | None = None) -> int:
    """Run yolc_node alone."""
    example = "yolc_node --ros-args -r image:=/camera/image -p model:=yolc_lite -p score_threshold:=0.4"
    return run_nodes([YolcNode], "Detect objects in camera images.", example, arguments)
