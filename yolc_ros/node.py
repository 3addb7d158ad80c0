"""yolc_node: detects objects in camera images and publishes them as detection arrays."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from geometry_msgs.msg import Point
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import ImageMarker

from perception_common.device import DevicePolicy
from perception_common.image import fill_image, to_rgb
from perception_common.node import PerceptionNode, PerceptionParameters
from perception_common.parameters import parameter
from perception_common.runtime import run_nodes
from yolc_ros.clusters import LSM_PRESETS, Region
from yolc_ros.detector import Detections, Detector, DetectorSettings
from yolc_ros.drawing import draw_detections
from yolc_ros.msg import ClusterRegion, Detection, DetectionArray

try:
    from vision_msgs.msg import (
        BoundingBox2D,
        Detection2D,
        Detection2DArray,
        ObjectHypothesis,
        ObjectHypothesisWithPose,
        Point2D,
        Pose2D,
    )
except ImportError:  # an optional package: our own messages carry more
    Detection2DArray = None


@dataclass(frozen=True)
class YolcParameters(PerceptionParameters):
    """The parameters of yolc_node."""

    model: str = parameter("yolc_lite", "network variant: a file in config/models")
    max_side: int = parameter(0, "images are reduced to this long side, pixels; 0: as they are", low=0, high=8192)
    score_threshold: float = parameter(0.3, "lowest score of a published detection", low=0.01, high=1.0, live=True)
    nms_iou: float = parameter(
        0.6, "overlap of two boxes of a class from which the weaker one goes", low=0.0, high=1.0, live=True
    )
    max_detections: int = parameter(500, "detections in one image", low=1, high=10_000, live=True)
    lsm: str = parameter(
        "ours", "second look at dense clusters: preset or off", choices=("off", *LSM_PRESETS), live=True
    )
    lsm_regions: int = parameter(2, "clusters that are looked at again", low=1, high=50, live=True)
    flip: bool = parameter(False, "look at the mirrored image too: better and half as fast", live=True)

    @property
    def detector(self) -> DetectorSettings:
        """The detector's settings of these parameters."""
        return DetectorSettings(
            max_side=self.max_side,
            score_threshold=self.score_threshold,
            nms_iou=self.nms_iou,
            max_detections=self.max_detections,
            lsm=None if self.lsm == "off" else replace(LSM_PRESETS[self.lsm], regions=self.lsm_regions),
            flip=self.flip,
        )


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
            self.result_publisher(Detection2DArray, "yolc/detections_2d") if Detection2DArray else None
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
            self._detections.publish(
                detections_message(header, size, detections, detector.name, detector.trained, seconds)
            )
            if self._detections_2d and self._detections_2d.get_subscription_count():
                self._detections_2d.publish(detections_2d_message(header, detections))
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


# --- messages ----------------------------------------------------------------------------------------------------


def region_boxes(regions: Sequence[Region]) -> np.ndarray:
    """Return cluster regions as (R, 4) x0, y0, x1, y1."""
    return np.array([[region.x0, region.y0, region.x1, region.y1] for region in regions]).reshape(-1, 4)


def detections_message(
    header: Header, size: tuple[int, int], detections: Detections, model: str, trained: bool, seconds: float
) -> DetectionArray:
    """Return the DetectionArray of an image of `size` (width, height)."""
    boxes = detections.boxes
    centers, sizes = ((boxes[:, :2] + boxes[:, 2:]) / 2).tolist(), (boxes[:, 2:] - boxes[:, :2]).tolist()
    return DetectionArray(
        header=header,
        image_width=size[0],
        image_height=size[1],
        detections=[
            Detection(
                class_id=label,
                class_name=detections.class_names[label],
                score=score,
                center_x=x,
                center_y=y,
                size_x=width,
                size_y=height,
                region=region,
            )
            for label, score, (x, y), (width, height), region in zip(
                detections.labels.tolist(),
                detections.scores.tolist(),
                centers,
                sizes,
                detections.region.tolist(),
                strict=True,
            )
        ],
        regions=[
            ClusterRegion(
                x0=region.x0, y0=region.y0, x1=region.x1, y1=region.y1, expected=region.expected, scale=region.scale
            )
            for region in detections.regions
        ],
        model=model,
        trained=trained,
        inference_seconds=seconds,
    )


def detections_2d_message(header: Header, detections: Detections) -> Detection2DArray:
    """Return the same as vision_msgs; the class is given by its name."""
    message = Detection2DArray(header=header)
    for (x0, y0, x1, y1), label, score in zip(
        detections.boxes.tolist(), detections.labels.tolist(), detections.scores.tolist(), strict=True
    ):
        hypothesis = ObjectHypothesis(class_id=detections.class_names[label], score=score)
        center = Pose2D(position=Point2D(x=(x0 + x1) / 2, y=(y0 + y1) / 2))
        message.detections.append(
            Detection2D(
                header=header,
                results=[ObjectHypothesisWithPose(hypothesis=hypothesis)],
                bbox=BoundingBox2D(center=center, size_x=x1 - x0, size_y=y1 - y0),
            )
        )
    return message


def image_marker(header: Header, detections: Detections) -> ImageMarker:
    """Return all boxes as lines over the image, for viewers that draw visualization_msgs/ImageMarker."""
    corners = detections.boxes[:, [[0, 1], [2, 1], [2, 1], [2, 3], [2, 3], [0, 3], [0, 3], [0, 1]]]
    return ImageMarker(
        header=header,
        ns="yolc",
        type=ImageMarker.LINE_LIST,
        action=ImageMarker.ADD,
        scale=1.0,
        outline_color=ColorRGBA(r=1.0, g=0.6, b=0.0, a=1.0),
        points=[Point(x=x, y=y) for x, y in corners.reshape(-1, 2).tolist()],
    )


def main(arguments: list[str] | None = None) -> int:
    """Run yolc_node alone."""
    example = "yolc_node --ros-args -r image:=/camera/image -p model:=yolc_lite -p score_threshold:=0.4"
    return run_nodes([YolcNode], "Detect objects in camera images.", example, arguments)
