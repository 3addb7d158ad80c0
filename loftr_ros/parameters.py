"""The parameters of loftr_node, and the settings of the front end that follow from them."""

from __future__ import annotations

from dataclasses import dataclass

from loftr_ros.base_frame import parse_mount
from loftr_ros.frontend import FrontendSettings
from loftr_ros.geometry.scale.limits import ScaleLimits
from loftr_ros.geometry.two_view.relative_pose import TwoViewSettings
from loftr_ros.geometry.two_view.thresholds import INLIER_THRESHOLD
from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.keyframes.policy import KeyframePolicy
from loftr_ros.keyframes.quality import QualitySettings
from loftr_ros.loops.settings import CHECKS, LoopSettings
from loftr_ros.pair_estimation import PairSettings
from loftr_ros.sensors.settings import VEHICLES_AND_PEOPLE, DynamicSettings, SensorSettings
from loftr_ros.trajectory.odometry import OdometryFrames
from loftr_ros.turning.matching import ROTATIONS
from perception_common.errors import InputError
from perception_common.node.parameters import PerceptionParameters, parameter
from perception_common.sensors.suite import FIRST_FIX


@dataclass(frozen=True)
class LoftrParameters(PerceptionParameters):
    """The parameters of loftr_node."""

    model: str = parameter("loftr_lite", "LoFTR variant: a file in config/models, or sift: keypoints, no network")
    max_side: int = parameter(640, "images are matched at this long side, pixels; 0: as they are", low=0, high=8192)
    match_threshold: float = parameter(0.2, "lowest confidence of a match", low=0.001, high=0.999, live=True)
    max_matches: int = parameter(2000, "only the most confident matches; 0: all", low=0, high=100_000, live=True)

    rotation: str = parameter(
        "auto",
        "turn images by right angles before they are matched. auto: as sensors and the trajectory say, trying all four "
        "and half the size of either image where a pair is weak; try: always try all four; off: neither",
        choices=ROTATIONS,
        live=True,
    )

    match_last: int = parameter(2, "keyframes that a new one is matched with", low=1, high=20, live=True)
    min_interval: float = parameter(
        0.0, "seconds after a keyframe in which images are skipped", low=0.0, high=60.0, live=True
    )
    max_interval: float = parameter(
        5.0,
        "seconds after which a keyframe is made, unless the camera hovers; 0: of every image",
        low=0.0,
        high=3600.0,
        live=True,
    )
    hover_parallax: float = parameter(
        1.0,
        "smaller median parallax, degrees, is hovering: only overlap and rotation make keyframes; 0: never hovers",
        low=0.0,
        high=180.0,
        live=True,
    )
    hover_displacement: float = parameter(
        0.02,
        "the same without camera_info: median length of matches, of the long side; 0: never hovers",
        low=0.0,
        high=2.0,
        live=True,
    )
    max_displacement: float = parameter(
        0.15, "median length of matches that makes a keyframe, of the long side", low=0.0, high=2.0, live=True
    )
    min_overlap: float = parameter(
        0.6, "share of the last keyframe still seen; less makes a keyframe", low=0.0, high=1.0, live=True
    )
    max_parallax: float = parameter(
        10.0, "median parallax that makes a keyframe, degrees", low=0.0, high=180.0, live=True
    )
    max_rotation: float = parameter(25.0, "rotation that makes a keyframe, degrees", low=0.0, high=180.0, live=True)
    min_matches: int = parameter(200, "fewer matches make a keyframe", low=0, high=100_000, live=True)
    lost_matches: int = parameter(
        30, "fewer matches: the last keyframe is out of sight", low=0, high=100_000, live=True
    )
    min_sharpness: float = parameter(
        0.6, "of the recent images' median; a more blurred one makes no keyframe; 0: any", low=0.0, high=1.0
    )
    min_brightness: float = parameter(
        0.35, "of the recent images' median; a darker one makes no keyframe; 0: any", low=0.0, high=1.0
    )
    max_bad_seconds: float = parameter(
        1.0, "after so long without a good image a poor one makes a keyframe", low=0.0, high=3600.0, live=True
    )
    keyframe_memory_mb: int = parameter(
        256,
        "memory for keyframes, MiB; features of the least recently used ones are dropped",
        low=1,
        high=1_000_000,
        live=True,
    )
    recovery_candidates: int = parameter(
        5,
        "older keyframes that are compared with an image that lost the track; two are matched in full",
        low=0,
        high=1000,
        live=True,
    )
    loop_checks: int = parameter(
        CHECKS,
        "old keyframes that a new one, or an image, is matched with, to close loops; 0: none",
        low=0,
        high=100,
        live=True,
    )
    loop_store: str = parameter(
        "", "folder for images of keyframes that no longer fit into memory; empty: a quarter of keyframe_memory_mb"
    )
    keypoint_radius: float = parameter(
        4.0, "pixels of the original image within which keypoints are one place", low=0.1, high=100.0, live=True
    )

    estimator: str = parameter(
        "auto", "auto: poselib where it is installed", choices=("auto", "poselib", "opencv"), live=True
    )
    inlier_threshold: float = parameter(
        INLIER_THRESHOLD, "pixels of the original image", low=0.01, high=50.0, live=True
    )
    min_inliers: int = parameter(15, "fewer inliers give no pose", low=5, high=10_000, live=True)
    planar_ratio: float = parameter(
        0.8,
        "inliers of a homography over those of the essential matrix from which a scene is planar",
        low=0.1,
        high=1.0,
        live=True,
    )

    altitude: str = parameter(
        "none",
        "height above ground on the topic altitude: sensor_msgs/Range, std_msgs/Float64 or sensor_msgs/NavSatFix",
        choices=("none", "range", "float", "fix"),
    )
    altitude_along: str = parameter(
        "gravity", "gravity: altimeter; beam: range finder fixed to the camera", choices=("gravity", "beam"), live=True
    )
    altitude_deviation: float = parameter(
        0.02, "relative standard deviation of the altitude, where the message has none", low=0.0001, high=1.0, live=True
    )
    ground_height: float = parameter(
        FIRST_FIX,
        f"of the ground in NavSatFix, metres above the ellipsoid; {FIRST_FIX:g}: that of the first fix",
        low=FIRST_FIX,
        high=10_000.0,
    )
    use_depth: bool = parameter(False, "take scale from depth images on depth/image, registered to the images")
    depth_deviation: float = parameter(
        0.02, "relative standard deviation of the depth camera's calibration", low=0.0001, high=1.0, live=True
    )
    use_odometry: bool = parameter(
        False, "take scale from nav_msgs/Odometry on odometry; of the optical frame, or give base_frame"
    )
    use_imu: bool = parameter(
        False, "take gravity and turns from the orientation in sensor_msgs/Imu on imu; give base_frame"
    )
    gimbal: str = parameter(
        "unknown", "pitch: gravity from gimbal_pitch where no IMU tells it", choices=("unknown", "pitch"), live=True
    )
    gimbal_pitch: float = parameter(
        -90.0, "degrees of the optical axis above the horizon; -90: straight down", low=-180.0, high=180.0, live=True
    )
    sync_slop: float = parameter(
        0.1, "seconds between an image and the camera_info or depth image of it; 0: equal stamps", low=0.0, high=1.0
    )
    sensor_max_age: float = parameter(
        0.5, "seconds between a reading and the image; an older one counts as missing", low=0.001, high=60.0, live=True
    )

    use_detections: bool = parameter(False, "flag matches on vehicles and people, from the topic yolc/detections")
    dynamic_classes: str = parameter(
        ",".join(VEHICLES_AND_PEOPLE), "names of the classes that count as moving, separated by commas", live=True
    )
    dynamic_score: float = parameter(0.3, "lowest score of a detection that counts", low=0.0, high=1.0, live=True)
    dynamic_weight: float = parameter(
        0.0, "weight of flagged matches in the pose; 0: left out, 1: like others", low=0.0, high=1.0, live=True
    )
    detections_tolerance: float = parameter(
        0.1, "seconds between an image and the detections that are used for it", low=0.0, high=60.0, live=True
    )

    map_frame: str = parameter("loftr_map", "frame of the trajectory: the optical frame of the first keyframe")
    odom_frame: str = parameter(
        "loftr_odom", "frame of loftr/odometry: begins before the first step in metres; z up where gravity is known"
    )
    publish_tf: bool = parameter(
        False, "publish odom_frame -> base_frame (or the frame of the images) on /tf, unless another node does"
    )
    trajectory_file: str = parameter("", "TUM file for the trajectory, numbered where it exists; empty: none")
    base_frame: str = parameter("", "publish loftr/relative_pose_base between poses of this frame, from TF; empty: no")
    base_from_optical: str = parameter("", "x y z qx qy qz qw: pose of the optical frame in base_frame, in place of TF")
    base_from_imu: str = parameter(
        "",
        "x y z qx qy qz qw: pose of the frame of imu in base_frame; empty: from TF, else it has the base's axes",
    )
    tf_timeout: float = parameter(
        0.1, "seconds that a new keyframe waits for a transform that is late", low=0.0, high=10.0, live=True
    )

    def __post_init__(self) -> None:
        if self.min_interval > self.max_interval:
            raise InputError(f"min_interval {self.min_interval:g} is longer than max_interval {self.max_interval:g}")
        if self.lost_matches > self.min_matches:
            raise InputError(f"lost_matches {self.lost_matches} is more than min_matches {self.min_matches}")
        if self.base_from_optical:
            parse_mount(self.base_from_optical)
            if not self.base_frame:
                raise InputError("base_from_optical is the pose of the camera in base_frame: give base_frame too")
        if self.base_from_imu:
            parse_mount(self.base_from_imu, "base_from_imu")
            if not self.use_imu:
                raise InputError("base_from_imu is the pose of the IMU in base_frame: set use_imu too")
        if not self.odom_frame or self.odom_frame == self.base_frame:
            raise InputError("odom_frame must be the name of a frame, and another one than base_frame")
        if self.use_imu and not self.base_frame:
            raise InputError("use_imu needs to know how the camera sits on the vehicle: give base_frame")

    @property
    def policy(self) -> KeyframePolicy:
        """The keyframe policy of these parameters."""
        return KeyframePolicy(
            min_interval=self.min_interval,
            max_interval=self.max_interval,
            hover_parallax_deg=self.hover_parallax,
            hover_displacement=self.hover_displacement,
            max_displacement=self.max_displacement,
            min_matches=self.min_matches,
            lost_matches=self.lost_matches,
            min_overlap=self.min_overlap,
            max_parallax_deg=self.max_parallax,
            max_rotation_deg=self.max_rotation,
            max_bad_seconds=self.max_bad_seconds,
        )

    @property
    def matcher(self) -> MatcherSettings:
        """The matcher's settings of these parameters."""
        return MatcherSettings(self.max_side, self.match_threshold, max_matches=self.max_matches)

    @property
    def two_view(self) -> TwoViewSettings:
        """The two-view settings of these parameters."""
        return TwoViewSettings(
            self.estimator,  # type: ignore[arg-type]  # one of the declared choices
            self.inlier_threshold,
            self.min_inliers,
            self.planar_ratio,
        )

    @property
    def sensors(self) -> SensorSettings:
        """The noise and limits of the sensors."""
        return SensorSettings(
            altitude_deviation=self.altitude_deviation,
            altitude_along=self.altitude_along,  # type: ignore[arg-type]  # one of the declared choices
            ground_height=None if self.ground_height == FIRST_FIX else self.ground_height,
            depth_deviation=self.depth_deviation,
            sync_slop=self.sync_slop,
            limits=ScaleLimits(max_age=self.sensor_max_age),
        )

    @property
    def odometry(self) -> OdometryFrames:
        """The frames of loftr/odometry."""
        return OdometryFrames(self.odom_frame, self.base_frame, is_level=self.use_imu or self.gimbal == "pitch")

    @property
    def dynamic(self) -> DynamicSettings:
        """Which matches count as moving objects."""
        return DynamicSettings(
            classes=tuple(name.strip() for name in self.dynamic_classes.split(",") if name.strip()),
            score=self.dynamic_score,
            tolerance=self.detections_tolerance,
            weight=self.dynamic_weight,
        )

    @property
    def frontend(self) -> FrontendSettings:
        """The front end's settings of these parameters."""
        pitch = self.gimbal_pitch if self.gimbal == "pitch" else None
        return FrontendSettings(
            matcher=self.matcher,
            policy=self.policy,
            quality=QualitySettings(min_sharpness=self.min_sharpness, min_brightness=self.min_brightness),
            pair=PairSettings(self.two_view, self.sensors, self.dynamic, pitch),
            match_last=self.match_last,
            memory=self.keyframe_memory_mb << 20,
            recovery_candidates=self.recovery_candidates,
            keypoint_radius=self.keypoint_radius,
            loops=LoopSettings(self.loop_checks, self.loop_store),
            rotation=self.rotation,  # type: ignore[arg-type]  # one of the declared choices
        )
