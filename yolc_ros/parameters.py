"""The parameters of yolc_node, and the detector's settings that they make."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from perception_common.errors import InputError
from perception_common.node.parameters import PerceptionParameters, parameter
from perception_common.sensors.mount import parse_mount
from perception_common.sensors.suite import FIRST_FIX
from perception_common.sensors.topics import ALTITUDES, SensorTopic
from yolc_ros.adaptive import LookSettings, ScaleMode
from yolc_ros.detector import DetectorSettings, LsmMerge
from yolc_ros.georeference.errors import ErrorModel
from yolc_ros.georeference.sensors import GeoreferenceSettings, place_topics
from yolc_ros.ground_sensors import GroundSettings, ground_topics
from yolc_ros.looks.crowds import LSM_PRESETS
from yolc_ros.tracking.tracker import TrackingSettings


@dataclass(frozen=True)
class YolcParameters(PerceptionParameters):
    """The parameters of yolc_node."""

    model: str = parameter("yolc_lite", "network variant: a file in config/models")
    max_side: int = parameter(1920, "images are reduced to this long side, pixels; 0: as they are", low=0, high=8192)
    score_threshold: float = parameter(0.3, "lowest score of a published detection", low=0.01, high=1.0, live=True)
    scores: str = parameter(
        "calibrated",
        "calibrated: the probability that a box is an object, where the weights have a calibration; raw: the network's",
        choices=("calibrated", "raw"),
        live=True,
    )
    nms_iou: float = parameter(
        0.6,
        "IoU above which NMS removes the lower-scoring box of a class; 1: it removes none",
        low=0.0,
        high=1.0,
        live=True,
    )
    max_detections: int = parameter(500, "most detections in one image", low=1, high=10_000, live=True)
    lsm: str = parameter(
        "ours", "second pass over crops of dense clusters: preset or none", choices=("none", *LSM_PRESETS), live=True
    )
    lsm_regions: int = parameter(2, "clusters that get a second pass", low=1, high=50, live=True)
    lsm_merge: str = parameter(
        "ours",
        "fusion of both passes: our rules, or release: those of the authors' code, with more double boxes",
        choices=get_args(LsmMerge),
        live=True,
    )
    scale: str = parameter(
        "reduce",
        "of the first look. fixed: that of max_side; reduce: that or a smaller one that shows clearly more; auto: the "
        "one that shows most for its time; ground: from altitude and tilt",
        choices=get_args(ScaleMode),
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
    attitude_frame: str = parameter(
        "",
        "fixed frame of TF, x east and z up, such as map: the orientation is that of /tf, in place of imu; empty: no",
    )
    tf_timeout: float = parameter(
        0.1, "seconds that an image waits for a transform that is late", low=0.0, high=10.0, live=True
    )
    sensor_max_age: float = parameter(
        0.5, "seconds between a reading and the image; an older one counts as missing", low=0.001, high=60.0, live=True
    )
    budget_ms: float = parameter(
        0.0, "time for the looks at an image, milliseconds; 0: no limit", low=0.0, high=60_000.0, live=True
    )
    georeference: bool = parameter(
        False,
        "locate objects on the ground: yolc/objects, by altitude or height_grid, use_imu or attitude_frame, and fix",
    )
    base_from_optical: str = parameter(
        "",
        "mount of a camera that is fixed to the vehicle whose frame imu is in: x y z qx qy qz qw, metres and "
        "quaternion; empty: imu is in the frame of the images",
    )
    map_frame: str = parameter("yolc_map", "frame_id of yolc/objects: east, north, up from the first position")
    height_grid: str = parameter("", "GeoTIFF of the height of the ground, in place of flat ground at the altitude")
    height_grid_zero: float = parameter(
        0.0,
        "metres of the height grid's zero above the ellipsoid: of the geoid, for heights above the sea",
        low=-200.0,
        high=200.0,
    )
    height_grid_deviation: float = parameter(
        2.0, "standard deviation of the heights of height_grid, metres", low=0.0, high=100.0
    )
    max_range: float = parameter(
        1000.0,
        "metres over the ground from camera to object; farther ones are not located",
        low=1.0,
        high=10_000.0,
        live=True,
    )
    attitude_deviation: float = parameter(
        1.0,
        "standard deviation of the orientation where imu tells none, degrees about each axis",
        low=0.001,
        high=45.0,
        live=True,
    )
    altitude_deviation: float = parameter(
        0.02, "standard deviation of altitude where it tells none, as a share of it", low=0.0, high=1.0, live=True
    )
    position_deviation: float = parameter(
        1.5, "standard deviation of fix where it tells none, metres on each axis", low=0.001, high=1000.0, live=True
    )
    timing_deviation: float = parameter(
        0.02, "standard deviation of the time of an image against the sensors, seconds", low=0.0, high=10.0, live=True
    )
    constant_share: float = parameter(
        0.5,
        "share of these variances that is the same while an object is seen, as that of a wrong mount",
        low=0.0,
        high=1.0,
        live=True,
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
        if self.georeference and not (self.use_imu or self.attitude_frame):
            raise InputError("georeference needs the orientation of the camera: set use_imu, or attitude_frame for TF")
        if self.attitude_frame and (self.use_imu or self.base_from_optical):
            raise InputError("attitude_frame takes orientation and mount from /tf: leave use_imu and base_from_optical")
        if self.georeference and self.altitude == "none" and not self.height_grid:
            raise InputError("georeference needs the ground: set altitude to the kind of its messages, or height_grid")
        if self.base_from_optical:
            parse_mount(self.base_from_optical)

    @property
    def ground(self) -> GroundSettings:
        """Where altitude and tilt come from."""
        return GroundSettings(
            altitude=self.altitude,
            ground_height=None if self.ground_height == FIRST_FIX else self.ground_height,
            use_imu=self.use_imu,
            pitch=self.gimbal_pitch,
            max_age=self.sensor_max_age,
            mount=parse_mount(self.base_from_optical) if self.base_from_optical else None,
            attitude_frame=self.attitude_frame,
            tf_timeout=self.tf_timeout,
        )

    @property
    def tracker(self) -> TrackingSettings:
        """How tracks begin and end."""
        return TrackingSettings(
            high_score=self.track_high_score, max_lost=self.track_max_lost, min_hits=self.track_min_hits
        )

    @property
    def places(self) -> GeoreferenceSettings:
        """How objects are located on the ground."""
        return GeoreferenceSettings(
            errors=ErrorModel(
                attitude=self.attitude_deviation,
                altitude=self.altitude_deviation,
                position=self.position_deviation,
                time=self.timing_deviation,
                constant_share=self.constant_share,
            ),
            height_grid=Path(self.height_grid) if self.height_grid else None,
            grid_zero=self.height_grid_zero,
            grid_deviation=self.height_grid_deviation,
            max_range=self.max_range,
        )

    @property
    def topics(self) -> tuple[SensorTopic, ...]:
        """The topics of the sensors that are switched on."""
        return place_topics(self.ground) if self.georeference else ground_topics(self.ground)

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
            scores=self.scores,  # type: ignore[arg-type]  # a declared choice
            nms_iou=self.nms_iou,
            max_detections=self.max_detections,
            lsm=None if self.lsm == "none" else replace(LSM_PRESETS[self.lsm], regions=self.lsm_regions),
            merge=self.lsm_merge,  # type: ignore[arg-type]  # a declared choice
            flip=self.flip,
        )
