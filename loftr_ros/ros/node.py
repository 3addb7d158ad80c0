"""loftr_node: matches images with keyframes; publishes correspondences, relative poses and the trajectory."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.task import Future
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from loftr_ros.frontend import Frontend, NextIds
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.keyframes.policy import Outcome
from loftr_ros.matcher_choice import load_matcher
from loftr_ros.parameters import LoftrParameters
from loftr_ros.results import FrameResult
from loftr_ros.ros.base_edges import BaseEdges
from loftr_ros.ros.messages import (
    BASE_POSE,
    ODOMETRY,
    ON_DEMAND,
    TOPICS,
    failed_match,
    frame_messages,
    match_response,
)
from loftr_ros.ros.mount_lookup import MountLookup
from loftr_ros.ros.pairing import installed_pairing
from loftr_ros.ros.transform_output import TransformOutput
from loftr_ros.sensors.sensor_mounts import SensorMounts
from loftr_ros.sensors.topics import sensor_topics
from loftr_ros.trajectory.odometry import Odometry
from loftr_ros.trajectory.tum_file import TrajectoryRecorder
from perception_common.backends.devices import DevicePolicy
from perception_common.cameras.camera import Camera
from perception_common.cameras.camera_info import CameraInfoBuffer
from perception_common.cameras.pairing import Partners, SyncSettings
from perception_common.errors import InputError
from perception_common.images.conversion import to_gray
from perception_common.images.intensity import Intensity
from perception_common.node.base import PerceptionNode
from perception_common.node.message_class import message_class
from perception_common.node.runner import run_nodes
from perception_common.node.worker import MAX_REQUESTS, Refusal, Request
from perception_common.sensors.topics import SensorTopic
from perception_common.stamps import stamp_ns
from yolc_ros.srv import MatchKeyframes

_REQUEST_DEPTH = 1000  # requests that the middleware keeps during a transition: 30 s of more than 30 a second
_EDGE_SECONDS = 0.5  # between two looks for late transforms while no image comes
_STEADY = Clock(clock_type=ClockType.STEADY_TIME)  # so that the timer also fires while sim time is stopped


class LoftrNode(PerceptionNode[LoftrParameters]):
    """Publishes the results of the front end; see msg/ for the fields."""

    input_problems = (*PerceptionNode.input_problems, "camera", "calibration", "scale", "detections")

    def __init__(self, nodes_in_process: int = 1):
        self._frontend: Frontend[Any] | None = None
        self._next_ids = NextIds()
        self._intensity = Intensity()
        self._device = ""
        self._scale = ""
        self._recorder: TrajectoryRecorder | None = None
        self._requests_answered = self._requests_refused = 0
        self._mount: MountLookup | None = None
        self._edges: BaseEdges | None = None
        self._odometry: Odometry | None = None
        self._transforms: TransformOutput | None = None
        super().__init__("loftr_node", LoftrParameters, nodes_in_process)
        self.create_service(
            MatchKeyframes,
            "match_keyframes",
            self._match_keyframes,
            qos_profile=QoSProfile(depth=_REQUEST_DEPTH, reliability=QoSReliabilityPolicy.RELIABLE),
            callback_group=ReentrantCallbackGroup(),  # a request that waits keeps no other callback waiting
        )

    def load(self, parameters: LoftrParameters, device: DevicePolicy) -> None:
        """Load the matcher, warm it up and make the publishers."""
        self._intensity = Intensity(parameters.intensity, self.get_logger().info)
        matcher = load_matcher(
            parameters.model,
            parameters.weights,
            device,
            parameters.matcher,
            sha256=parameters.weights_sha256 or None,
        )
        if not matcher.trained:
            self.problems.report("untrained", f"{parameters.model} has random weights: its matches mean nothing")
        blank = matcher.encode(np.zeros((120, 160), np.uint8))
        matcher.match(blank, blank)
        self._device = matcher.device_name
        self._mount = MountLookup(self, self.problems, parameters.base_frame, parameters.base_from_optical)
        if parameters.base_frame:
            self._edges = BaseEdges(self._mount.mount)
            self._edge_timer = self.create_timer(_EDGE_SECONDS, self._complete_edges, clock=_STEADY)
        self._odometry = Odometry(parameters.odometry)
        if parameters.publish_tf:
            self._transforms = TransformOutput(self, self.problems)
        self._frontend = Frontend(matcher, parameters.frontend, self._next_ids)
        self._frontend.sensors.mounts = SensorMounts(parameters.base_from_imu, self._mount.mount)
        self._results = {
            topic: self.result_publisher(kind, topic)
            for topic, kind in TOPICS.items()
            if topic != BASE_POSE or parameters.base_frame
        }
        if parameters.trajectory_file:  # fail now, not in flight, if the file cannot be written
            self._recorder = TrajectoryRecorder(Path(parameters.trajectory_file).expanduser())

    def unload(self) -> None:
        """Release the matcher and the keyframes; their ids are not given again."""
        if self._frontend is not None:
            self._next_ids = self._frontend.next_ids
        self._frontend = None
        self._device = self._scale = ""
        if self._mount is not None:
            self._mount.destroy()
            self._mount = None
        if self._edges is not None:
            self.destroy_timer(self._edge_timer)
            self._edges = None
        if self._transforms is not None:
            self._transforms.destroy()
            self._transforms = None
        if self._recorder is not None:
            if lost := self._recorder.close():
                self.get_logger().error(lost)
            self._recorder = None
        for problem in ("untrained", "tf", "trajectory", "loops"):
            self.problems.resolve(problem)

    def subscribe(self) -> None:
        """Subscribe to images, camera_info and the sensors that are switched on."""
        sync = SyncSettings(installed_pairing(), self.parameters.sync_slop)
        self._cameras, self._partners = CameraInfoBuffer(self.resolve_topic_name("camera_info")), Partners(sync)
        if self._frontend is not None:
            self._frontend.sensors.clear()
            self._frontend.sensors.synchronise(sync)
        super().subscribe()
        self.sensor_subscription(CameraInfo, "camera_info", self._add_camera_info)
        for topic in sensor_topics(self.parameters):
            kind = message_class(topic.type)
            self.sensor_subscription(kind, topic.name, partial(self._add_reading, topic), depth=topic.depth)

    def apply(self, parameters: LoftrParameters) -> None:
        """Use changed parameters from the next image on."""
        if self._frontend is not None:
            self._frontend.apply(parameters.frontend)

    def describe(self) -> dict[str, str]:
        """Return the diagnostics of the matcher, the keyframes and the sensors."""
        frontend = self._frontend
        values = {
            "model": self.parameters.model,
            "trained": str(frontend is not None and frontend.trained),
            "device": self._device,
            "keyframes made": str(frontend.keyframes_made if frontend else 0),
            "requests answered": str(self._requests_answered),
            "requests refused": str(self._requests_refused),
        }
        if frontend is not None:
            values |= {
                "keyframes kept": str(len(frontend.keyframes_kept)),
                "memory of keyframes [MiB]": f"{frontend.keyframe_bytes / 2**20:.1f}",
                "scale": self._scale,
            }
            for reason, count in frontend.sensors.ignored().items():
                values[f"ignored: {reason}"] = str(count)
        if self._odometry is not None:
            values["odometry"] = self._odometry.withheld or "published"
            values["frame of odometry"] = self._odometry.alignment
        if self._edges is not None and self._mount is not None:
            values["base edges waiting"] = str(self._edges.waiting)
            for reason, count in self._edges.given_up.copy().items():
                values[f"base edges given up: {reason}"] = str(count)
            values["transforms ignored"] = str(self._mount.mount.invalid_transforms)
        return values

    def decode(self, message: Image | CompressedImage) -> np.ndarray:
        """Convert to (H, W) uint8 gray."""
        return to_gray(message, self._intensity)

    def forget(self) -> None:
        """Start a new trajectory; ids are not used again."""
        self._intensity.forget()
        if self._frontend is not None:
            self._frontend.forget()
        if self._edges is not None:
            self._publish_late_edges()  # of transforms that arrived while the node was not active
            self._edges.forget()

    def process(self, header: Header, image: np.ndarray) -> None:
        """Run the front end on an image and publish its result."""
        frontend, lookup, odometry = self._frontend, self._mount, self._odometry
        if frontend is None or lookup is None or odometry is None:
            return
        stamp, mount = stamp_ns(header), lookup.mount
        height, width = image.shape
        mount.begin_image(stamp)
        frontend.complete_mounts(mount.lookup)
        result = frontend.process(
            stamp,
            image,
            self._camera(stamp, width, height, header.frame_id),
            frame_id=header.frame_id,
            mount=lambda: mount.find(header.frame_id, stamp, wait=self.parameters.tf_timeout).T,
        )
        for stage, seconds in result.seconds.items():
            self.record(stage, seconds)
        with self.stage("publishing"):
            edges = self._edges.update if self._edges else None
            for topic, message in frame_messages(
                frontend, result, self.parameters.map_frame, self._is_wanted, edges, odometry.update(result)
            ):
                self._results[topic].publish(message)
                if topic == ODOMETRY and self._transforms is not None:
                    self._transforms.publish(message)
        self._watch_edges()
        if frontend.problem:
            self.problems.report("loops", frontend.problem)
        else:
            self.problems.resolve("loops")
        if self._recorder is not None:
            self._record(self._recorder, result)
        if result.new_keyframe:
            self._watch_sensors(result)
        if result.decision.outcome == Outcome.LOST:
            self.get_logger().warning(result.decision.reason, throttle_duration_sec=5.0)

    def _complete_edges(self) -> None:
        """Publish the base edges whose transforms came after the last image; called by a timer."""
        if self._edges is not None and self._edges.waiting:
            self.ask_worker(Request(answer=self._publish_late_edges, refuse=lambda why: None))  # asked again soon

    def _publish_late_edges(self) -> None:
        if self._edges is not None:
            for message in self._edges.update():
                self._results[BASE_POSE].publish(message)
            self._watch_edges()

    def _watch_edges(self) -> None:
        if self._edges is not None and self._mount is not None and self._mount.is_available:
            if problem := self._edges.problem:
                self.problems.report("tf", problem)
            else:
                self.problems.resolve("tf")

    def _is_wanted(self, topic: str) -> bool:
        return topic not in ON_DEMAND or self._results[topic].get_subscription_count() > 0

    def _camera(self, stamp: int, width: int, height: int, image_frame: str) -> Camera | None:
        try:
            camera = self._cameras.camera(self._partners.of(stamp), width, height)
        except InputError as error:
            self.problems.report("camera", str(error))
            return None
        self.problems.resolve("camera")
        if odd := self._cameras.oddities(self._partners.of(stamp), width, height, image_frame):
            self.problems.report("calibration", odd)
        else:
            self.problems.resolve("calibration")
        return camera

    def arrived(self, header: Header) -> None:
        """Pair the image with its camera_info and its depth image."""
        self._partners.add_image(stamp_ns(header))
        if self._frontend is not None:
            self._frontend.sensors.add_image(stamp_ns(header))

    def _add_camera_info(self, info: CameraInfo) -> None:
        self._cameras.add(info)
        self._partners.add(stamp_ns(info.header))

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
        """Answer a request on the worker thread; the executor goes on meanwhile."""
        answered: Future = Future()
        answered.add_done_callback(self._resume_requests)  # which then sends the answer
        self.ask_worker(
            Request(
                answer=lambda: answered.set_result(self._match(request)),
                refuse=lambda why: answered.set_result(self._refuse_request(why)),
            )
        )
        return await answered

    def _resume_requests(self, _: Future) -> None:
        if self.executor is not None:
            self.executor.wake()

    def _match(self, request: MatchKeyframes.Request) -> MatchKeyframes.Response:
        self._requests_answered += 1
        try:
            self.prepare()
            if self._frontend is None:
                raise InputError("the node is not active: activate it first")
            pair = self._frontend.match_keyframes(request.older_id, request.newer_id)
            return match_response(pair, self._frontend.model, self._frontend.trained)
        except InputError as error:
            return failed_match(str(error))
        except Exception as error:
            return failed_match(f"{type(error).__name__}: {error}")

    def _refuse_request(self, why: Refusal) -> MatchKeyframes.Response:
        self._requests_refused += 1
        if why == "busy":
            return failed_match(f"busy: {MAX_REQUESTS} requests wait for an answer; ask again later")
        return failed_match("the node is not active: activate it first")

    def _record(self, recorder: TrajectoryRecorder, result: FrameResult) -> None:
        """Write the pose of a new keyframe; with any other image, what could not be written before."""
        if result.new_keyframe and result.pose is not None:
            recorder.add(result.pose, starts=not result.pairs)
        try:
            recorder.write()
        except InputError as error:
            self.problems.report("trajectory", str(error))
        else:
            self.problems.resolve("trajectory")


def main(arguments: list[str] | None = None) -> int:
    """Run loftr_node alone."""
    example = "loftr_node --ros-args -r image:=/camera/image -r camera_info:=/camera/camera_info -p max_side:=800"
    return run_nodes([LoftrNode], "Match images with keyframes; publish correspondences and poses.", example, arguments)
