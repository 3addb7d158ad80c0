"""loftr_node: matches images with keyframes and publishes correspondences, relative poses and the trajectory."""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path as FilePath

import numpy as np
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
from rclpy.task import Future
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from loftr_ros.drawing import draw_matches
from loftr_ros.frontend import Frontend
from loftr_ros.geometry.two_view.estimation import Geometry
from loftr_ros.keyframes.policy import Outcome
from loftr_ros.matcher import Matcher
from loftr_ros.parameters import LoftrParameters
from loftr_ros.results import FrameResult, PairResult
from loftr_ros.ros.messages import (
    base_pose_message,
    correspondences_message,
    failed_match,
    header_of,
    keyframe_message,
    match_response,
    path_message,
    pose_stamped_message,
    relative_pose_message,
    status_message,
)
from loftr_ros.ros.mount_lookup import MountLookup
from loftr_ros.sensors.topics import SensorTopic, sensor_topics
from loftr_ros.trajectory.tum_file import TrajectoryFile, numbered
from perception_common.backends.devices import DevicePolicy
from perception_common.cameras.camera import Camera
from perception_common.cameras.camera_info import CameraInfoBuffer
from perception_common.errors import InputError
from perception_common.images.conversion import fill_image, to_gray
from perception_common.node.base import PerceptionNode
from perception_common.node.runner import run_nodes
from perception_common.stamps import stamp_ns
from yolc_ros.msg import Correspondences, Keyframe, MatchingStatus, RelativePose
from yolc_ros.srv import MatchKeyframes


class LoftrNode(PerceptionNode[LoftrParameters]):
    """Publishes what the front end answers; see msg/ for the fields."""

    def __init__(self, nodes_in_process: int = 1):
        self._frontend: Frontend | None = None
        self._device = ""
        self._scale = ""
        self._trajectories = 0
        self._file: TrajectoryFile | None = None
        self._mount: MountLookup | None = None
        super().__init__("loftr_node", LoftrParameters, nodes_in_process)
        self.create_service(MatchKeyframes, "match_keyframes", self._match_keyframes)

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
        self._mount = MountLookup(self, self.problems, parameters.base_frame, parameters.base_from_optical)
        self._trajectories = 0
        self._frontend = Frontend(matcher, parameters.frontend)
        self._keyframe = self.result_publisher(Keyframe, "loftr/keyframe")
        self._correspondences = self.result_publisher(Correspondences, "loftr/correspondences")
        self._relative_pose = self.result_publisher(RelativePose, "loftr/relative_pose")
        self._base_pose = (
            self.result_publisher(RelativePose, "loftr/relative_pose_base") if parameters.base_frame else None
        )
        self._status = self.result_publisher(MatchingStatus, "loftr/status")
        self._pose = self.result_publisher(PoseStamped, "loftr/pose")
        self._path = self.result_publisher(Path, "loftr/path")
        self._debug_image = self.result_publisher(Image, "loftr/debug_image")
        if parameters.trajectory_file:  # that it cannot be written is said before the flight
            self._begin_file(parameters.trajectory_file)

    def unload(self) -> None:
        """Let go of the network and the keyframes."""
        self._frontend = None
        self._device = self._scale = ""
        if self._mount is not None:
            self._mount.destroy()
            self._mount = None
        if self._file is not None:
            self._file.close()
            self._file = None
        for problem in ("untrained", "camera", "scale", "detections", "tf", "trajectory"):
            self.problems.resolve(problem)

    def subscribe(self) -> None:
        """Subscribe to images, camera_info and the sensors that are switched on."""
        super().subscribe()
        self._cameras = CameraInfoBuffer(self.resolve_topic_name("camera_info"))
        self.sensor_subscription(CameraInfo, "camera_info", self._cameras.add)
        if self._frontend is not None:
            self._frontend.sensors.clear()
        for topic in sensor_topics(self.parameters):
            kind = message_class(topic.type)
            self.sensor_subscription(kind, topic.name, partial(self._add_reading, topic), depth=topic.depth)

    def apply(self, parameters: LoftrParameters) -> None:
        """Use changed parameters from the next image on."""
        if self._frontend is not None:
            change = partial(self._frontend.apply, parameters.frontend)
            if not self.call_worker(change):  # it is the only one that may change the front end while it runs
                change()

    def describe(self) -> dict[str, str]:
        """What the diagnostics say of the network, the keyframes and the sensors."""
        frontend = self._frontend
        values = {
            "model": self.parameters.model,
            "trained": str(frontend is not None and frontend.trained),
            "device": self._device,
            "keyframes made": str(frontend.keyframes_made if frontend else 0),
        }
        if frontend is not None:
            values |= {
                "keyframes kept": str(len(frontend.keyframes_kept)),
                "memory of keyframes [MiB]": f"{frontend.keyframe_bytes / 2**20:.1f}",
                "scale": self._scale,
            }
            for reason, count in frontend.sensors.ignored().items():
                values[f"ignored: {reason}"] = str(count)
        return values

    def decode(self, message: Image | CompressedImage) -> np.ndarray:
        """Convert to (H, W) uint8 gray."""
        return to_gray(message)

    def forget(self) -> None:
        """Start a new trajectory; ids are not used again."""
        if self._frontend is not None:
            self._frontend.forget()

    def process(self, header: Header, image: np.ndarray) -> None:
        """Ask the front end and publish what it answers."""
        frontend, mount = self._frontend, self._mount
        if frontend is None or mount is None:
            return
        stamp = stamp_ns(header)
        height, width = image.shape
        answer = frontend.process(
            stamp,
            image,
            self._camera(stamp, width, height),
            frame_id=header.frame_id,
            T_base_camera=mount.lookup(header.frame_id, stamp),
        )
        for stage, seconds in answer.seconds.items():
            self.record(stage, seconds)
        with self.stage("publishing"):
            self._publish(frontend, answer)
        if answer.new_keyframe:
            self._write_trajectory(answer)
            self._watch_sensors(answer)
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

    def _add_reading(self, topic: SensorTopic, message: object) -> None:
        if self._frontend is not None:
            topic.add(self._frontend.sensors, message, self.get_clock().now().nanoseconds)

    def _watch_sensors(self, answer: FrameResult) -> None:
        """Say what sensors that are switched on do not give."""
        parameters = self.parameters
        for pair in answer.pairs[:1]:
            self._scale = pair.scale.source.name.lower() + (f": {pair.scale.reason}" if pair.scale.reason else "")
            has_source = parameters.altitude != "none" or parameters.use_depth or parameters.use_odometry
            if has_source and pair.motion.geometry in (Geometry.GENERAL, Geometry.PLANAR):
                self._report("scale", "no scale" if not pair.is_metric else "", pair.scale.reason)
            if parameters.use_detections:
                self._report("detections", pair.dynamic_reason and "no moving things", pair.dynamic_reason)

    def _report(self, problem: str, what: str, reason: str) -> None:
        if what:
            self.problems.report(problem, f"{what}: {reason}")
        else:
            self.problems.resolve(problem)

    # --- answers ---------------------------------------------------------------------------------------------------

    def _publish(self, frontend: Frontend, answer: FrameResult) -> None:
        """Publish an answer; its status comes last."""
        if keyframe := answer.new_keyframe:
            self._keyframe.publish(keyframe_message(keyframe))
            for pair in answer.pairs:
                self._correspondences.publish(correspondences_message(pair, frontend.model, frontend.trained))
                self._relative_pose.publish(relative_pose_message(pair))
                if self._base_pose and (message := base_pose_message(pair, self.parameters.base_frame)):
                    self._base_pose.publish(message)
            map_frame = self.parameters.map_frame
            self._pose.publish(pose_stamped_message(keyframe.stamp_ns, map_frame, answer.T_map_camera))
            if self._path.get_subscription_count():
                self._path.publish(path_message(frontend.trajectory.poses, map_frame))
            if answer.pairs and self._debug_image.get_subscription_count():
                self._publish_debug_image(frontend, answer.pairs[0])
        self._status.publish(status_message(answer))

    def _publish_debug_image(self, frontend: Frontend, pair: PairResult) -> None:
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

    async def _match_keyframes(
        self, request: MatchKeyframes.Request, response: MatchKeyframes.Response
    ) -> MatchKeyframes.Response:
        """Answer a request in the worker thread; meanwhile the executor goes on."""
        frontend = self._frontend
        future = Future(executor=self.executor)
        future.add_done_callback(lambda _: None)  # it wakes the executor

        def answer() -> None:
            try:
                if frontend is None:
                    raise InputError("the node is not active")
                pair = frontend.match_keyframes(request.older_id, request.newer_id)
                future.set_result(match_response(pair, frontend.model, frontend.trained))
            except InputError as error:
                future.set_result(failed_match(str(error)))
            except Exception as error:
                future.set_result(failed_match(f"{type(error).__name__}: {error}"))

        if frontend is None or not self.call_worker(answer):
            return failed_match("the node is not active: activate it first")
        return await future

    # --- trajectory file -------------------------------------------------------------------------------------------

    def _begin_file(self, path: str) -> None:
        if self._file is not None:
            self._file.close()
        self._trajectories += 1
        self._file = TrajectoryFile(numbered(FilePath(path).expanduser(), self._trajectories))

    def _write_trajectory(self, answer: FrameResult) -> None:
        if self._file is None or answer.pose is None:
            return
        try:
            if not answer.pairs and self._file.poses:  # the first keyframe of another trajectory
                self._begin_file(self.parameters.trajectory_file)
            self._file.add(answer.pose)
        except InputError as error:
            self.problems.report("trajectory", str(error))


def message_class(type_name: str) -> type:
    """Return the class of a ROS type such as "sensor_msgs/msg/Range"."""
    package, kind, name = type_name.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), name)


def main(arguments: list[str] | None = None) -> int:
    """Run loftr_node alone."""
    example = "loftr_node --ros-args -r image:=/camera/image -r camera_info:=/camera/camera_info -p max_side:=800"
    return run_nodes([LoftrNode], "Match images with keyframes; publish correspondences and poses.", example, arguments)
