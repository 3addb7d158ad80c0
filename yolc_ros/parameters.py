"""The parameters of yolc_node, and the detector's settings that they make."""

from __future__ import annotations

from dataclasses import dataclass, replace

from perception_common.node.parameters import PerceptionParameters, parameter
from yolc_ros.looks.crowds import LSM_PRESETS
from yolc_ros.detector import DetectorSettings


@dataclass(frozen=True)
class YolcParameters(PerceptionParameters):
    """The parameters of yolc_node."""

    model: str = parameter("yolc_lite", "network variant: a file in config/models")
    max_side: int = parameter(1920, "images are reduced to this long side, pixels; 0: as they are", low=0, high=8192)
    score_threshold: float = parameter(0.3, "lowest score of a published detection", low=0.01, high=1.0, live=True)
    nms_iou: float = parameter(
        0.6, "IoU above which NMS removes the lower-scoring box of a class", low=0.0, high=1.0, live=True
    )
    max_detections: int = parameter(500, "most detections in one image", low=1, high=10_000, live=True)
    lsm: str = parameter(
        "ours", "second pass over crops of dense clusters: preset or none", choices=("none", *LSM_PRESETS), live=True
    )
    lsm_regions: int = parameter(2, "clusters that get a second pass", low=1, high=50, live=True)
    scale: str = parameter(
        "fixed",
        "of the first look. fixed: that of max_side; auto: the one that finds most; ground: from altitude and tilt",
        choices=("fixed", "auto", "ground"),
        live=True,
    )
    budget_ms: float = parameter(
        0.0, "time for the looks at an image, milliseconds; 0: no limit", low=0.0, high=60_000.0, live=True
    )
    flip: bool = parameter(False, "also run on the mirrored image: better and half as fast", live=True)

    @property
    def detector(self) -> DetectorSettings:
        """The detector's settings of these parameters."""
        return DetectorSettings(
            max_side=self.max_side,
            score_threshold=self.score_threshold,
            nms_iou=self.nms_iou,
            max_detections=self.max_detections,
            lsm=None if self.lsm == "none" else replace(LSM_PRESETS[self.lsm], regions=self.lsm_regions),
            flip=self.flip,
        )
