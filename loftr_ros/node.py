"""loftr_node: matches images with keyframes and publishes correspondences, relative poses and the trajectory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from loftr_ros.answers import FrameAnswer, PairAnswer
from loftr_ros.drawing import draw_matches
from loftr_ros.frontend import Frontend, FrontendSettings
from loftr_ros.geometry.two_view import TwoViewSettings
from loftr_ros.keyframes import KeyframePolicy, Outcome
from loftr_ros.matcher import Matcher, MatcherSettings
from loftr_ros.messages import (
    correspondences_message,
    header_of,
    keyframe_message,
    path_message,
    pose_stamped_message,
    relative_pose_message,
    status_message,
)
from perception_common.camera import Camera
from perception_common.camera_info import CameraInfoBuffer
from perception_common.device import DevicePolicy
from perception_common.errors import InputError
from perception_common.image import fill_image, to_gray
from perception_common.node import PerceptionNode, PerceptionParameters
from perception_common.parameters import parameter
from perception_common.runtime import run_nodes
from perception_common.stamps import stamp_ns
from yolc_ros.msg import Correspondences, Keyframe, MatchingStatus, RelativePose

PATH_LENGTH = 10_000  # poses; the oldest ones leave a longer path


@dataclass(frozen=True)
class LoftrParameters(PerceptionParameters):
    """The parameters of loftr_node."""

    model: str = parameter("loftr_lite", "network variant: a file in config/models")
    max_side: int = parameter(640, "images are matched at this long side, pixels; 0: as they are", low=0, high=8192)
    match_threshold: float = parameter(0.2, "lowest confidence of a match", low=0.001, high=0.999, live=True)
    max_matches: int = parameter(2000, "only the most confident matches; 0: all", low=0, high=100_000, live=True)
    match_last: int = parameter(2, "keyframes that a new one is matched with", low=1, high=20, live=True)
    min_interval: float = parameter(
        0.0, "seconds after a keyframe in which images are skipped", low=0.0, high=60.0, live=True
    )
    max_interval: float = parameter(5.0, "seconds after which a keyframe is made", low=0.0, high=3600.0, live=True)
    max_displacement: float = parameter(
        0.15, "median length of matches that makes a keyframe, of the long side", low=0.0, high=2.0, live=True
    )
    min_matches: int = parameter(200, "fewer matches make a keyframe", low=0, high=100_000, live=True)
    lost_matches: int = parameter(
        30, "fewer matches: the last keyframe is out of sight", low=0, high=100_000, live=True
    )
    estimator: str = parameter(
        "auto", "auto: poselib where it is installed", choices=("auto", "poselib", "opencv"), live=True
    )
    inlier_threshold: float = parameter(1.5, "pixels of the original image", low=0.01, high=50.0, live=True)
    min_inliers: int = parameter(15, "fewer inliers are no pose", low=5, high=10_000, live=True)
    planar_ratio: float = parameter(
        0.8, "inliers of a homography over those of the essential matrix in a flat scene", low=0.1, high=1.0, live=True
    )
    map_frame: str = parameter("loftr_map", "frame of the trajectory: the optical frame of the first keyframe")

    def __post_init__(self) -> None:
        if self.min_interval > self.max_interval:
            raise InputError(f"min_interval {self.min_interval:g} is longer than max_interval {self.max_interval:g}")
        if self.lost_matches > self.min_matches:
            raise InputError(f"lost_matches {self.lost_matches} is more than min_matches {self.min_matches}")

    @property
    def policy(self) -> KeyframePolicy:
        """The keyframe policy of these parameters."""
        return KeyframePolicy(
            self.min_interval, self.max_interval, self.max_displacement, self.min_matches, self.lost_matches
        )

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
    def matcher(self) -> MatcherSettings:
        """The matcher's settings of these parameters."""
        return MatcherSettings(self.max_side, self.match_threshold, max_matches=self.max_matches)

    @property
    def frontend(self) -> FrontendSettings:
        """The front end's settings of these parameters."""
        return FrontendSettings(self.matcher, self.policy, self.two_view, self.match_last)


class LoftrNode(PerceptionNode[LoftrParameters]):
    """Publishes what the front end answers; see msg/ for the fields."""

    def __init__(self, nodes_in_process: int = 1):
        self._frontend: Frontend | None = None
        self._device = ""
        super().__init__("loftr_node", LoftrParameters, nodes_in_process)

    def load(self, parameters: LoftrParameters, device: DevicePolicy) -> None:
        """Load the network, warm it up and make the publishers."""
        matcher = Matcher.load(
            parameters.model,
            parameters.weights,
            device,
            parameters.matcher,
            sha256=parameters.weights_sha256 or None,
        )
        if not matcher.trained:
            self.problems.report("untrained", f"{parameters.model} has random weights: its matches mean nothing")
        blank = matcher.encode(np.zeros((480, 640), np.uint8))
        matcher.match(blank, blank)
        self._device = str(matcher.device)
        self._frontend = Frontend(matcher, parameters.frontend)
        self.forget()
        self._keyframe = self.result_publisher(Keyframe, "loftr/keyframe")
        self._correspondences = self.result_publisher(Correspondences, "loftr/correspondences")
        self._relative_pose = self.result_publisher(RelativePose, "loftr/relative_pose")
        self._status = self.result_publisher(MatchingStatus, "loftr/status")
        self._pose = self.result_publisher(PoseStamped, "loftr/pose")
        self._path = self.result_publisher(Path, "loftr/path")
        self._debug_image = self.result_publisher(Image, "loftr/debug_image")

    def unload(self) -> None:
        """Let go of the network and the keyframes."""
        self._frontend = None
        self._device = ""
        self.problems.resolve("untrained")
        self.problems.resolve("camera")

    def subscribe(self) -> None:
        """Subscribe to images and camera_info."""
        super().subscribe()
        self._cameras = CameraInfoBuffer(self.resolve_topic_name("camera_info"))
        self.sensor_subscription(CameraInfo, "camera_info", self._cameras.add)

    def apply(self, parameters: LoftrParameters) -> None:
        """Use changed parameters from the next image on."""
        if self._frontend is not None:
            self._frontend.apply(parameters.frontend)

    def describe(self) -> dict[str, str]:
        """What the diagnostics say of the network and the keyframes."""
        frontend = self._frontend
        return {
            "model": self.parameters.model,
            "trained": str(frontend is not None and frontend.trained),
            "device": self._device,
            "keyframes made": str(frontend.keyframes_made if frontend else 0),
        }

    def decode(self, message: Image | CompressedImage) -> np.ndarray:
        """Convert to (H, W) uint8 gray."""
        return to_gray(message)

    def forget(self) -> None:
        """Start a new trajectory; ids are not used again."""
        self._trajectory: deque[PoseStamped] = deque(maxlen=PATH_LENGTH)
        if self._frontend is not None:
            self._frontend.forget()

    def process(self, header: Header, image: np.ndarray) -> None:
        """Ask the front end and publish what it answers."""
        if self._frontend is None:
            return
        stamp = stamp_ns(header)
        height, width = image.shape
        answer = self._frontend.process(stamp, image, self._camera(stamp, width, height), frame_id=header.frame_id)
        for stage, seconds in answer.seconds.items():
            self.record(stage, seconds)
        with self.stage("publishing"):
            self._publish(self._frontend, answer)
        if answer.decision.outcome == Outcome.LOST:
            self.get_logger().warning(answer.decision.reason, throttle_duration_sec=5.0)

    def _camera(self, stamp: int, width: int, height: int) -> Camera | None:
        try:
            camera = self._cameras.camera(stamp, width, height)
        except InputError as error:
            self.problems.report("camera", str(error))
            return None
        self.problems.resolve("camera")
        return camera

    def _publish(self, frontend: Frontend, answer: FrameAnswer) -> None:
        """Publish an answer; its status comes last."""
        if keyframe := answer.new_keyframe:
            self._keyframe.publish(keyframe_message(keyframe))
            for pair in answer.pairs:
                self._correspondences.publish(correspondences_message(pair, frontend.model, frontend.trained))
                self._relative_pose.publish(relative_pose_message(pair))
            self._trajectory.append(
                pose_stamped_message(keyframe.stamp_ns, self.parameters.map_frame, answer.T_map_camera)
            )
            self._pose.publish(self._trajectory[-1])
            if self._path.get_subscription_count():
                self._path.publish(path_message(self._trajectory))
            if answer.pairs and self._debug_image.get_subscription_count():
                self._publish_debug_image(frontend, answer.pairs[0])
        self._status.publish(status_message(answer))

    def _publish_debug_image(self, frontend: Frontend, pair: PairAnswer) -> None:
        picture = draw_matches(
            frontend.image(pair.older.id),
            frontend.image(pair.newer.id),
            pair.matches.points0,
            pair.matches.points1,
            pair.matches.confidence,
            pair.motion.inliers,
            title=f"keyframes {pair.older.id} and {pair.newer.id}: {pair.motion.geometry.name}",
            trained=frontend.trained,
        )
        message = Image()
        fill_image(message, picture, header_of(pair.newer.stamp_ns, pair.newer.frame_id))
        self._debug_image.publish(message)


def main(arguments: list[str] | None = None) -> int:
    """Run loftr_node alone."""
    example = "loftr_node --ros-args -r image:=/camera/image -r camera_info:=/camera/camera_info -p max_side:=800"
    return run_nodes([LoftrNode], "Match images with keyframes; publish correspondences and poses.", example, arguments)
