"""loftr_node: matches images with keyframes; publishes correspondences, relative poses and the trajectory."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.task import Future
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from loftr_ros.frontend import Frontend
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.keyframes.policy import Outcome
from loftr_ros.matcher_choice import load_matcher
from loftr_ros.parameters import LoftrParameters
from loftr_ros.results import FrameResult
from loftr_ros.ros.messages import (
    BASE_POSE,
    ON_DEMAND,
    TOPICS,
    FrameNames,
    failed_match,
    frame_messages,
    match_response,
)
from loftr_ros.ros.mount_lookup import MountLookup
from loftr_ros.sensors.topics import SensorTopic, sensor_topics
from loftr_ros.trajectory.tum_file import TrajectoryFile, numbered
from perception_common.backends.devices import DevicePolicy
from perception_common.cameras.camera import Camera
from perception_common.cameras.camera_info import CameraInfoBuffer
from perception_common.errors import InputError
from perception_common.images.conversion import to_gray
from perception_common.node.base import PerceptionNode
from perception_common.node.message_class import message_class
from perception_common.node.runner import run_nodes
from perception_common.stamps import stamp_ns
from yolc_ros.srv import MatchKeyframes


class LoftrNode(PerceptionNode[LoftrParameters]):
    """Publishes the results of the front end; see msg/ for the fields."""

    def __init__(self, nodes_in_process: int = 1):
        self._frontend: Frontend[Any] | None = None
        self._device = ""
        self._scale = ""
        self._trajectories = 0
        self._file: TrajectoryFile | None = None
        self._mount: MountLookup | None = None
        super().__init__("loftr_node", LoftrParameters, nodes_in_process)
        self.create_service(MatchKeyframes, "match_keyframes", self._match_keyframes)

    def load(self, parameters: LoftrParameters, device: DevicePolicy) -> None:
        """Load the matcher, warm it up and make the publishers."""
        matcher = load_matcher(
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
        self._device = matcher.device_name
        self._mount = MountLookup(self, self.problems, parameters.base_frame, parameters.base_from_optical)
        self._trajectories = 0
        self._frontend = Frontend(matcher, parameters.frontend)
        self._results = {
            topic: self.result_publisher(kind, topic)
            for topic, kind in TOPICS.items()
            if topic != BASE_POSE or parameters.base_frame
        }
        if parameters.trajectory_file:  # fail now, not in flight, if the file cannot be written
            self._begin_file(parameters.trajectory_file)

    def unload(self) -> None:
        """Release the matcher and the keyframes."""
        self._frontend = None
        self._device = self._scale = ""
        if self._mount is not None:
            self._mount.destroy()
            self._mount = None
        if self._file is not None:
            self._file.close()
            self._file = None
        for problem in ("untrained", "camera", "calibration", "scale", "detections", "tf", "trajectory"):
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
            if not self.call_worker(change):  # while the worker runs, only it may change the front end
                change()

    def describe(self) -> dict[str, str]:
        """Return the diagnostics of the matcher, the keyframes and the sensors."""
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
        """Run the front end on an image and publish its result."""
        frontend, mount = self._frontend, self._mount
        if frontend is None or mount is None:
            return
        stamp = stamp_ns(header)
        height, width = image.shape
        result = frontend.process(
            stamp,
            image,
            self._camera(stamp, width, height, header.frame_id),
            frame_id=header.frame_id,
            T_base_camera=mount.lookup(header.frame_id, stamp),
        )
        for stage, seconds in result.seconds.items():
            self.record(stage, seconds)
        with self.stage("publishing"):
            frames = FrameNames(self.parameters.map_frame, self.parameters.base_frame)
            for topic, message in frame_messages(frontend, result, frames, self._is_wanted):
                self._results[topic].publish(message)
        if result.new_keyframe:
            self._write_trajectory(result)
            self._watch_sensors(result)
        if result.decision.outcome == Outcome.LOST:
            self.get_logger().warning(result.decision.reason, throttle_duration_sec=5.0)

    def _is_wanted(self, topic: str) -> bool:
        return topic not in ON_DEMAND or self._results[topic].get_subscription_count() > 0

    def _camera(self, stamp: int, width: int, height: int, image_frame: str) -> Camera | None:
        try:
            camera = self._cameras.camera(stamp, width, height)
        except InputError as error:
            self.problems.report("camera", str(error))
            return None
        self.problems.resolve("camera")
        if odd := self._cameras.oddities(stamp, image_frame):
            self.problems.report("calibration", odd)
        else:
            self.problems.resolve("calibration")
        return camera

    def _add_reading(self, topic: SensorTopic, message: object) -> None:
        if self._frontend is not None:
            topic.add(self._frontend.sensors, message, self.get_clock().now().nanoseconds)

    def _watch_sensors(self, result: FrameResult) -> None:
        """Report sensors that are switched on and give nothing."""
        parameters = self.parameters
        for pair in result.pairs[:1]:
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

    async def _match_keyframes(
        self, request: MatchKeyframes.Request, response: MatchKeyframes.Response
    ) -> MatchKeyframes.Response:
        """Answer a request in the worker thread; the executor goes on meanwhile."""
        frontend = self._frontend
        future = Future(executor=self.executor)
        future.add_done_callback(lambda _: None)  # wakes the executor

        def respond() -> None:
            try:
                if frontend is None:
                    raise InputError("the node is not active")
                pair = frontend.match_keyframes(request.older_id, request.newer_id)
                future.set_result(match_response(pair, frontend.model, frontend.trained))
            except InputError as error:
                future.set_result(failed_match(str(error)))
            except Exception as error:
                future.set_result(failed_match(f"{type(error).__name__}: {error}"))

        if frontend is None or not self.call_worker(respond):
            return failed_match("the node is not active: activate it first")
        return await future

    # --- trajectory file -------------------------------------------------------------------------------------------

    def _begin_file(self, path: str) -> None:
        if self._file is not None:
            self._file.close()
        self._trajectories += 1
        self._file = TrajectoryFile(numbered(Path(path).expanduser(), self._trajectories))

    def _write_trajectory(self, result: FrameResult) -> None:
        if self._file is None or result.pose is None:
            return
        try:
            if not result.pairs and self._file.poses:  # the first keyframe of another trajectory
                self._begin_file(self.parameters.trajectory_file)
            self._file.add(result.pose)
        except InputError as error:
            self.problems.report("trajectory", str(error))


def main(arguments: list[str] | None = None) -> int:
    """Run loftr_node alone."""
    example = "loftr_node --ros-args -r image:=/camera/image -r camera_info:=/camera/camera_info -p max_side:=800"
    return run_nodes([LoftrNode], "Match images with keyframes; publish correspondences and poses.", example, arguments)
