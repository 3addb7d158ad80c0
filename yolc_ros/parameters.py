"""The parameters of yolc_node, and the detector's settings that they make."""

from __future__ import annotations

from dataclasses import dataclass, replace

from perception_common.errors import InputError
from perception_common.node.parameters import PerceptionParameters, parameter
from perception_common.sensors.suite import FIRST_FIX
from perception_common.sensors.topics import ALTITUDES
from yolc_ros.adaptive import LookSettings
from yolc_ros.detector import DetectorSettings
from yolc_ros.ground_sensors import GroundSettings
from yolc_ros.looks.crowds import LSM_PRESETS
from yolc_ros.tracking.tracker import TrackingSettings


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
    altitude: str = parameter(
        "none",
        "height above ground on the topic altitude: sensor_msgs/Range, std_msgs/Float64 or sensor_msgs/NavSatFix",
        choices=("none", *ALTITUDES),
    )
    ground_height: float = parameter(
        FIRST_FIX,
        f"of the ground in NavSatFix, metres above the ellipsoid; {FIRST_FIX:g}: that of the first fix",
        low=FIRST_FIX,
        high=10_000.0,
    )
    use_imu: bool = parameter(
        False, "take the tilt from sensor_msgs/Imu on imu, in the frame of the images, in place of gimbal_pitch"
    )
    gimbal_pitch: float = parameter(
        -90.0, "degrees of the optical axis above the horizon; -90: straight down", low=-180.0, high=180.0, live=True
    )
    sensor_max_age: float = parameter(
        0.5, "seconds between a reading and the image; an older one counts as missing", low=0.001, high=60.0, live=True
    )
    budget_ms: float = parameter(
        0.0, "time for the looks at an image, milliseconds; 0: no limit", low=0.0, high=60_000.0, live=True
    )
    flip: bool = parameter(False, "also run on the mirrored image: better and half as fast", live=True)

    tracking: bool = parameter(True, "give objects ids that persist, on yolc/tracks")
    track_high_score: float = parameter(
        0.4, "lowest score of a detection that begins a track", low=0.0, high=1.0, live=True
    )
    track_min_hits: int = parameter(2, "detections after which a track counts as an object", low=1, high=100, live=True)
    track_max_lost: float = parameter(
        2.0, "seconds without a detection after which a track ends", low=0.01, high=60.0, live=True
    )
    track_matches: bool = parameter(
        True, "take the motion of the camera from loftr/correspondences where optical flow has lost the ground"
    )

    def __post_init__(self) -> None:
        if self.scale == "ground" and self.altitude == "none":
            raise InputError("scale ground needs the height above ground: set altitude to the kind of its messages")

    @property
    def ground(self) -> GroundSettings:
        """Where altitude and tilt come from."""
        return GroundSettings(
            altitude=self.altitude,
            ground_height=None if self.ground_height == FIRST_FIX else self.ground_height,
            use_imu=self.use_imu,
            pitch=self.gimbal_pitch,
            max_age=self.sensor_max_age,
        )

    @property
    def tracker(self) -> TrackingSettings:
        """How tracks begin and end."""
        return TrackingSettings(
            high_score=self.track_high_score, max_lost=self.track_max_lost, min_hits=self.track_min_hits
        )

    @property
    def looks(self) -> LookSettings:
        """How the scale of the first look is chosen, and the budget."""
        return LookSettings(self.scale, self.budget_ms / 1000 or None)  # type: ignore[arg-type]  # a declared choice

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
