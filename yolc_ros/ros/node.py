"""yolc_node: detects objects in camera images and publishes them as detection arrays."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from visualization_msgs.msg import ImageMarker

from perception_common.backends.devices import DevicePolicy
from perception_common.images.conversion import fill_image, to_rgb
from perception_common.node.base import PerceptionNode
from perception_common.node.runner import run_nodes
from yolc_ros.bridges.vision import detections_2d
from yolc_ros.detector import Detections, Detector
from yolc_ros.drawing import draw_detections
from yolc_ros.msg import DetectionArray
from yolc_ros.parameters import YolcParameters
from yolc_ros.ros.messages import detections_message, image_marker, region_boxes

try:
    from vision_msgs import msg as vision_msgs
except ImportError:  # an optional package: our own messages carry more
    vision_msgs = None


class YolcNode(PerceptionNode[YolcParameters]):
    """One DetectionArray for each image; see msg/ for its fields."""

    def __init__(self, nodes_in_process: int = 1):
        self._detector: Detector | None = None
        super().__init__("yolc_node", YolcParameters, nodes_in_process)

    def load(self, parameters: YolcParameters, device: DevicePolicy) -> None:
        """Load the network, warm it up and make the publishers."""
        self._detector = Detector.load(
            parameters.model,
            parameters.weights,
            device,
            parameters.detector,
            sha256=parameters.weights_sha256 or None,
        )
        if not self._detector.trained:
            self.problems.report("untrained", f"{parameters.model} has random weights: its boxes mean nothing")
        self._detector.detect(np.zeros((480, 640, 3), np.uint8))
        self._detections = self.result_publisher(DetectionArray, "yolc/detections")
        self._detections_2d = (
            self.result_publisher(vision_msgs.Detection2DArray, "yolc/detections_2d") if vision_msgs else None
        )
        self._markers = self.result_publisher(ImageMarker, "yolc/image_markers")
        self._debug_image = self.result_publisher(Image, "yolc/debug_image")

    def unload(self) -> None:
        """Let go of the network."""
        self._detector = None
        self.problems.resolve("untrained")

    def apply(self, parameters: YolcParameters) -> None:
        """Use changed thresholds from the next image on."""
        if self._detector is not None:
            self._detector = replace(self._detector, settings=parameters.detector)

    def describe(self) -> dict[str, str]:
        """What the diagnostics say of the network."""
        detector = self._detector
        return {
            "model": self.parameters.model,
            "trained": str(detector is not None and detector.trained),
            "device": str(detector.policy.device) if detector else "",
        }

    def decode(self, message: Image | CompressedImage) -> np.ndarray:
        """Convert to (H, W, 3) uint8 RGB."""
        return to_rgb(message)

    def process(self, header: Header, image: np.ndarray) -> None:
        """Detect and publish."""
        detector = self._detector
        if detector is None:
            return
        start = time.perf_counter()
        with self.stage("network"):
            detections = detector.detect(image)
        seconds = time.perf_counter() - start
        with self.stage("publishing"):
            size = image.shape[1], image.shape[0]
            message = detections_message(header, size, detections, detector.name, detector.trained, seconds)
            self._detections.publish(message)
            if self._detections_2d and self._detections_2d.get_subscription_count():
                self._detections_2d.publish(detections_2d(message, vision_msgs))
            if self._markers.get_subscription_count():
                self._markers.publish(image_marker(header, detections))
            if self._debug_image.get_subscription_count():
                self._publish_debug_image(header, image, detections, detector.trained)

    def _publish_debug_image(self, header: Header, image: np.ndarray, detections: Detections, trained: bool) -> None:
        picture = draw_detections(
            image,
            detections.boxes,
            detections.labels,
            detections.scores,
            detections.class_names,
            region_boxes(detections.regions),
            title=f"{len(detections.boxes)} objects, {len(detections.regions)} clusters",
            trained=trained,
        )
        message = Image()
        fill_image(message, picture, header)
        self._debug_image.publish(message)


def main(arguments: list[str] | None = None) -> int:
    """Run yolc_node alone."""
    example = "yolc_node --ros-args -r image:=/camera/image -p model:=yolc_lite -p score_threshold:=0.4"
    return run_nodes([YolcNode], "Detect objects in camera images.", example, arguments)
