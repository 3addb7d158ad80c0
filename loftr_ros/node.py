"""loftr_node: matches images with keyframes and publishes correspondences, relative poses and the trajectory."""

from __future__ import annotations

import time
from array import array
from collections import deque
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseStamped, PoseWithCovariance, Quaternion
from nav_msgs.msg import Path
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from loftr_ros.drawing import draw_matches
from loftr_ros.geometry.two_view import Geometry, TwoViewSettings, estimate_relative_pose, failed_pose
from loftr_ros.geometry.two_view import RelativePose as Motion
from loftr_ros.keyframes import FIRST, Decision, KeyframePolicy, Outcome, decide, is_too_soon, median_displacement
from loftr_ros.matcher import Features, Matcher, MatcherSettings, Matches
from loftr_ros.tracks import KeypointIds, NamedMatches, name_matches
from perception_common.camera import Camera
from perception_common.camera_info import CameraInfoBuffer
from perception_common.device import DevicePolicy
from perception_common.errors import InputError
from perception_common.geometry import quaternion_from_matrix
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


@dataclass(frozen=True, eq=False)
class KeyframeData:
    """A keyframe and what it needs to be matched again. image: (H, W) uint8. camera: None while it is not known."""

    message: Keyframe
    stamp_ns: int
    features: Features
    image: np.ndarray
    camera: Camera | None


class LoftrNode(PerceptionNode[LoftrParameters]):
    """Keeps the last keyframes; see msg/ for what it publishes."""

    def __init__(self, nodes_in_process: int = 1):
        self._matcher: Matcher | None = None
        self._trained = False
        self._keyframes: deque[KeyframeData] = deque()
        self._next_keyframe_id = 0
        self._next_keypoint_id = 0
        super().__init__("loftr_node", LoftrParameters, nodes_in_process)

    def load(self, parameters: LoftrParameters, device: DevicePolicy) -> None:
        """Load the network, warm it up and make the publishers."""
        self._matcher = Matcher.load(
            parameters.model,
            parameters.weights,
            device,
            parameters.matcher,
            sha256=parameters.weights_sha256 or None,
        )
        self._trained = self._matcher.trained
        if not self._trained:
            self.problems.report("untrained", f"{parameters.model} has random weights: its matches mean nothing")
        blank = self._matcher.encode(np.zeros((480, 640), np.uint8))
        self._matcher.match(blank, blank)
        self.forget()
        self._keyframe_publisher = self.result_publisher(Keyframe, "loftr/keyframe")
        self._correspondences = self.result_publisher(Correspondences, "loftr/correspondences")
        self._relative_pose = self.result_publisher(RelativePose, "loftr/relative_pose")
        self._status = self.result_publisher(MatchingStatus, "loftr/status")
        self._pose = self.result_publisher(PoseStamped, "loftr/pose")
        self._path_publisher = self.result_publisher(Path, "loftr/path")
        self._debug_image = self.result_publisher(Image, "loftr/debug_image")

    def unload(self) -> None:
        """Let go of the network and the keyframes."""
        self._matcher = None
        self._keyframes.clear()
        self.problems.resolve("untrained")
        self.problems.resolve("camera")

    def subscribe(self) -> None:
        """Subscribe to images and camera_info."""
        super().subscribe()
        self._cameras = CameraInfoBuffer(self.resolve_topic_name("camera_info"))
        self.sensor_subscription(CameraInfo, "camera_info", self._cameras.add)

    def apply(self, parameters: LoftrParameters) -> None:
        """Use a changed threshold or limit of the matcher; the other parameters are read for each image."""
        if self._matcher is not None:
            self._matcher = self._matcher.with_settings(parameters.matcher)

    def describe(self) -> dict[str, str]:
        """What the diagnostics say of the network and the keyframes."""
        matcher = self._matcher
        return {
            "model": self.parameters.model,
            "trained": str(self._trained),
            "device": str(matcher.device) if matcher else "",
            "keyframes made": str(self._next_keyframe_id),
        }

    def decode(self, message: Image | CompressedImage) -> np.ndarray:
        """Convert to (H, W) uint8 gray."""
        return to_gray(message)

    def forget(self) -> None:
        """Start a new trajectory; ids are not used again."""
        self._keyframes.clear()
        self._keypoints: dict[int, KeypointIds] = {}
        self._T_map_newest = np.eye(4)
        self._path: deque[PoseStamped] = deque(maxlen=PATH_LENGTH)

    # --- one image -----------------------------------------------------------------------------------------------

    def process(self, header: Header, image: np.ndarray) -> None:
        """Match the image with the last keyframe, and make it a keyframe when the policy says so."""
        if self._matcher is None:
            return
        start = time.perf_counter()
        if not self._keyframes:
            with self.stage("network"):
                features = self._matcher.encode(image)
            keyframe = self._add_keyframe(header, features, image)
            self._extend_path(header)
            self._say(header, FIRST, keyframe.message.id, 0, 0.0, start)
            return

        last = self._keyframes[-1]
        policy = self.parameters.policy
        seconds = (stamp_ns(header) - last.stamp_ns) / 1e9
        if too_soon := is_too_soon(policy, seconds):
            self._say(header, too_soon, last.message.id, 0, 0.0, start)
            return
        with self.stage("network"):
            features = self._matcher.encode(image)
            matches = self._matcher.match(last.features, features)
        count = len(matches)
        displacement = median_displacement(matches.points0, matches.points1, max(image.shape))
        decision = decide(policy, seconds, count, displacement)
        if decision.makes_keyframe:
            older = list(self._keyframes)[-self.parameters.match_last :]
            newer = self._add_keyframe(header, features, image)
            self._answer_newest_pair(last, newer, matches)
            for keyframe in reversed(older[:-1]):
                with self.stage("network"):
                    matches = self._matcher.match(keyframe.features, features)
                self._answer_pair(keyframe, newer, matches)
        self._say(header, decision, self._keyframes[-1].message.id, count, displacement, start)

    def _say(
        self, header: Header, decision: Decision, keyframe_id: int, matches: int, displacement: float, start: float
    ) -> None:
        """Publish the status, which is the last answer to an image."""
        self._status.publish(
            MatchingStatus(
                header=header,
                decision=int(decision.outcome),
                reason=decision.reason,
                keyframe_id=keyframe_id,
                matches=matches,
                displacement=displacement,
                matching_seconds=time.perf_counter() - start,
            )
        )
        if decision.outcome == Outcome.LOST:
            self.get_logger().warning(decision.reason, throttle_duration_sec=5.0)

    def _add_keyframe(self, header: Header, features: Features, image: np.ndarray) -> KeyframeData:
        """Publish and keep a new keyframe; the oldest one leaves."""
        height, width = image.shape
        stamp = stamp_ns(header)
        camera = self._camera(stamp, width, height)
        message = keyframe_message(header, self._next_keyframe_id, width, height, camera)
        self._next_keyframe_id += 1
        keyframe = KeyframeData(message, stamp, features, image, camera)
        self._keyframes.append(keyframe)
        self._keypoints[message.id] = KeypointIds()
        while len(self._keyframes) > self.parameters.match_last + 1:  # the new one and those that it is matched with
            del self._keypoints[self._keyframes.popleft().message.id]
        self._keyframe_publisher.publish(message)
        return keyframe

    def _camera(self, stamp: int, width: int, height: int) -> Camera | None:
        try:
            camera = self._cameras.camera(stamp, width, height)
        except InputError as error:
            self.problems.report("camera", str(error))
            return None
        self.problems.resolve("camera")
        return camera

    def _answer_newest_pair(self, older: KeyframeData, newer: KeyframeData, matches: Matches) -> None:
        """Answer the pair of the two newest keyframes, which also continues the trajectory."""
        motion = self._answer_pair(older, newer, matches)
        self._T_map_newest = self._T_map_newest @ motion.matrix
        self._extend_path(newer.message.header)
        if self._debug_image.get_subscription_count():
            self._publish_debug_image(older, newer, matches, motion)

    def _answer_pair(self, older: KeyframeData, newer: KeyframeData, matches: Matches) -> Motion:
        """Publish what the matches of two keyframes say; returns the motion."""
        with self.stage("geometry"):
            motion = self._motion(older, newer, matches)
            id0, id1 = older.message.id, newer.message.id
            named = name_matches(
                self._keypoints[id0],
                self._keypoints[id1],
                matches.points0,
                matches.points1,
                self._next_keypoint_id,
            )
            self._keypoints |= {id0: named.keypoints0, id1: named.keypoints1}
            self._next_keypoint_id = named.next_id
        with self.stage("publishing"):
            self._correspondences.publish(
                correspondences_message(
                    older.message, newer.message, matches, named, motion, self.parameters.model, self._trained
                )
            )
            self._relative_pose.publish(relative_pose_message(older.message, newer.message, len(matches), motion))
        return motion

    def _motion(self, older: KeyframeData, newer: KeyframeData, matches: Matches) -> Motion:
        camera1 = newer.camera
        camera0 = older.camera or (camera1 if camera1 and camera1.matches_size(*older.image.shape[::-1]) else None)
        if camera0 is None or camera1 is None:
            return failed_pose(len(matches), "no usable camera_info, see /diagnostics")
        return estimate_relative_pose(
            matches.points0,
            matches.points1,
            camera0,
            camera1,
            self.parameters.two_view,
            confidence=matches.confidence,
            spread=matches.spread,
        )

    def _extend_path(self, header: Header) -> None:
        stamped = PoseStamped(
            header=Header(stamp=header.stamp, frame_id=self.parameters.map_frame), pose=pose(self._T_map_newest)
        )
        self._path.append(stamped)
        self._pose.publish(stamped)
        if self._path_publisher.get_subscription_count():
            self._path_publisher.publish(Path(header=stamped.header, poses=list(self._path)))

    def _publish_debug_image(self, older: KeyframeData, newer: KeyframeData, matches: Matches, motion: Motion) -> None:
        title = f"keyframes {older.message.id} and {newer.message.id}: {motion.geometry.name}"
        picture = draw_matches(
            older.image,
            newer.image,
            matches.points0,
            matches.points1,
            matches.confidence,
            motion.inliers,
            title=title,
            trained=self._trained,
        )
        message = Image()
        fill_image(message, picture, newer.message.header)
        self._debug_image.publish(message)


# --- messages ----------------------------------------------------------------------------------------------------


def pose(T: np.ndarray) -> Pose:
    """Return a Pose of a (4, 4) transform."""
    x, y, z, w = quaternion_from_matrix(T[:3, :3]).tolist()
    position = Point(x=float(T[0, 3]), y=float(T[1, 3]), z=float(T[2, 3]))
    return Pose(position=position, orientation=Quaternion(x=x, y=y, z=z, w=w))


def keyframe_message(header: Header, keyframe_id: int, width: int, height: int, camera: Camera | None) -> Keyframe:
    """Return the message of a keyframe; the matrices are 0 where the camera is not known."""
    message = Keyframe(header=header, id=keyframe_id, width=width, height=height)
    if camera is not None:
        message.k = camera.rectified_matrix.ravel()
        message.k_original = camera.matrix.ravel()
        message.distortion_model = camera.model
        message.d = list(camera.distortion)
    return message


def correspondences_message(
    older: Keyframe, newer: Keyframe, matches: Matches, named: NamedMatches, motion: Motion, model: str, trained: bool
) -> Correspondences:
    """Return the message of the matches of two keyframes."""

    def floats(values: np.ndarray) -> array[float]:
        return array("f", np.ascontiguousarray(values, np.float32).tobytes())

    def integers(values: np.ndarray) -> array[int]:
        return array("I", np.ascontiguousarray(values, np.uint32).tobytes())

    def flags(values: np.ndarray) -> array[int]:
        return array("B", np.ascontiguousarray(values, np.uint8).tobytes())

    return Correspondences(
        header=newer.header,
        older=older,
        newer=newer,
        x0=floats(matches.points0[:, 0]),
        y0=floats(matches.points0[:, 1]),
        x1=floats(matches.points1[:, 0]),
        y1=floats(matches.points1[:, 1]),
        confidence=floats(matches.confidence),
        spread=floats(matches.spread),
        id0=integers(named.ids0),
        id1=integers(named.ids1),
        inlier=flags(motion.inliers),
        dynamic=flags(np.zeros(len(matches))),
        model=model,
        trained=trained,
    )


def relative_pose_message(older: Keyframe, newer: Keyframe, matches: int, motion: Motion) -> RelativePose:
    """Return the message of a relative pose; what is not known of it has a large variance (see covariance.py)."""
    return RelativePose(
        header=newer.header,
        older_id=older.id,
        newer_id=newer.id,
        older_stamp=older.header.stamp,
        newer_stamp=newer.header.stamp,
        pose=PoseWithCovariance(pose=pose(motion.matrix), covariance=motion.covariance.ravel()),
        scale_status=RelativePose.SCALE_UNKNOWN,
        geometry=int(motion.geometry),
        matches=matches,
        inliers=int(motion.inliers.sum()),
        parallax=motion.parallax,
        residual=motion.residual,
        reason=motion.reason if motion.geometry != Geometry.GENERAL else "",
    )


def main(arguments: list[str] | None = None) -> int:
    """Run loftr_node alone."""
    example = "loftr_node --ros-args -r image:=/camera/image -r camera_info:=/camera/camera_info -p max_side:=800"
    return run_nodes([LoftrNode], "Match images with keyframes; publish correspondences and poses.", example, arguments)
