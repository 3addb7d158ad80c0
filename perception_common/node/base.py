"""The lifecycle node that both perception nodes derive from.

A callback only stores the newest message; one worker thread decodes it and calls `process`. Drops, rates, the latency
of each stage and current problems are published on /diagnostics once a second.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType, ROSClock
from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from perception_common.backends.devices import DevicePolicy, choose_device, default_threads
from perception_common.errors import InputError
from perception_common.node.counters import FrameCounters
from perception_common.node.diagnostics import node_status
from perception_common.node.guards.executor import callback_problem
from perception_common.node.guards.lifecycle import GuardedLifecycleNode
from perception_common.node.guards.memory import RETURN_SECONDS, return_free_memory
from perception_common.node.parameters import PerceptionParameters
from perception_common.node.problems import Problems, incompatible_qos, lost_images, missing_images, several_publishers
from perception_common.node.ros_parameters import NodeParameters
from perception_common.node.worker import Request, Worker
from perception_common.resources import find_config
from perception_common.stamps import stamp_ns
from perception_common.timing.silence import Silence
from perception_common.timing.stage_timer import StageTimer

RESULT_QOS = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.RELIABLE)
_WORKER_STOP_SECONDS = 30.0  # longest wait for the image in progress when the node is deactivated
_DIAGNOSTICS_SECONDS = 1.0
_JUMP_SECONDS = 5.0  # between two lines about stamps that jump back, which those of two cameras do all the time

P = TypeVar("P", bound=PerceptionParameters)


class PerceptionNode(GuardedLifecycleNode, Generic[P]):
    """Subscribes to images while active and calls `process` for each on the worker thread.

    A subclass implements `load`, `unload`, `decode`, `process` and, if it keeps state between frames, `forget`. It
    creates its publishers in `load` with `result_publisher`.

    input_problems: keys of the problems that are over when the node no longer receives images.
    """

    input_problems: tuple[str, ...] = ("input", "image", "lost images", "publishers")

    def __init__(self, name: str, kind: type[P], nodes_in_process: int = 1):
        """kind: the class of the parameters. nodes_in_process: perception nodes that share this process's cores."""
        super().__init__(name)
        self.problems = Problems(self.get_logger().warning)
        self._node_parameters = NodeParameters(
            self, kind, is_locked=lambda: self._configured, on_change=self._keep_for_worker
        )
        self._default_threads = default_threads(nodes_in_process)
        self._configured = False
        self._worker: Worker[Any] | None = None
        self._active_subscriptions: list[Any] = []
        self._result_publishers: list[Any] = []
        self._failure = ""
        self._forget_pending = self._apply_pending = False
        self.counters, self._simulated_silence = FrameCounters(time.monotonic()), Silence()
        for sentence in self._node_parameters.unknown(self):
            self.problems.report(sentence, sentence)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RESULT_QOS)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # so that the timer also fires while sim time is stopped
        self.create_timer(_DIAGNOSTICS_SECONDS, self._watch, clock=steady)
        self.create_timer(RETURN_SECONDS, return_free_memory, clock=steady)

    # --- implemented by a subclass -------------------------------------------------------------------------------

    @abstractmethod
    def load(self, parameters: P, device: DevicePolicy) -> None:
        """Load the network, warm it up and create the publishers. Raises InputError when that fails."""

    @abstractmethod
    def unload(self) -> None:
        """Release what `load` created, except for the publishers, which the base class destroys."""

    @abstractmethod
    def decode(self, message: Image | CompressedImage) -> np.ndarray:
        """Convert an image message to the array that `process` takes. Raises InputError for an unusable image."""

    @abstractmethod
    def process(self, header: Header, image: np.ndarray) -> None:
        """Process one image and publish the results. Runs on the worker thread."""

    def arrived(self, header: Header) -> None:
        """Take note of an image that arrived. Runs on the executor thread, which must not block."""

    def forget(self) -> None:
        """Drop state of earlier frames: stamps jumped back, or the node was just activated.

        Runs on the worker thread, before the next image.
        """

    def apply(self, parameters: P) -> None:
        """Use parameters that were changed while the node runs.

        Runs on the worker thread, before the next image or request; only the newest of several changes arrives.
        """

    def describe(self) -> dict[str, str]:
        """Return the subclass's key-value pairs for the diagnostics."""
        return {}

    # --- used by a subclass --------------------------------------------------------------------------------------

    @property
    def parameters(self) -> P:
        """The current parameters."""
        return self._node_parameters.values

    def result_publisher(self, kind: type, topic: str, depth: int = RESULT_QOS.depth) -> Any:
        """Create a lifecycle publisher that is destroyed at cleanup; its QoS can be overridden by parameters."""
        qos = QoSProfile(depth=depth, reliability=RESULT_QOS.reliability)
        publisher = self.create_lifecycle_publisher(
            kind, topic, qos, qos_overriding_options=QoSOverridingOptions.with_default_policies()
        )
        self._result_publishers.append(publisher)
        return publisher

    def sensor_subscription(
        self,
        kind: type,
        topic: str,
        callback: Any,
        depth: int = 1,
        on_lost: Callable[[Any], None] | None = None,
        on_matched: Callable[[Any], None] | None = None,
    ) -> Any:
        """Create a subscription that is destroyed at deactivation; its QoS can be overridden by parameters.

        on_lost, on_matched: called with rclpy's QoSMessageLostInfo when messages are lost, and with its
        QoSSubscriptionMatchedInfo when publishers come or go, if the middleware tells.
        """
        depth = self.parameters.queue_size if self.parameters.processing_mode == "every" else depth
        name = self.resolve_topic_name(topic)
        subscribe = partial(
            self.create_subscription,
            kind,
            topic,
            callback,
            QoSProfile(depth=depth, reliability=QoSReliabilityPolicy.BEST_EFFORT),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        events = partial(
            SubscriptionEventCallbacks,
            incompatible_qos=lambda info: self.problems.report(f"qos {name}", incompatible_qos(name, info)),
        )
        try:
            subscription = subscribe(event_callbacks=events(message_lost=on_lost, matched=on_matched))
        except UnsupportedEventTypeError:
            subscription = subscribe(event_callbacks=events())
        self._active_subscriptions.append(subscription)
        return subscription

    def subscribe(self) -> None:
        """Create the subscriptions of an active node; a subclass adds its own."""
        kinds = {"raw": (Image, "image"), "compressed": (CompressedImage, "image/compressed")}
        kind, topic = kinds[self.parameters.image_transport]
        self._image_topic = self.sensor_subscription(
            kind,
            topic,
            self._receive,
            on_lost=lambda info: self.counters.lost.add_event(info.total_count),
            on_matched=lambda info: self.counters.lost.join(info.total_count_change),
        ).topic_name

    def ask_worker(self, request: Request) -> None:
        """Answer a request on the worker thread, in turn with images; refused at once when the node is not active.

        Its `answer` calls `prepare` first.
        """
        if self._worker is None:
            request.refuse("stopped")
        else:
            self._worker.ask(request)

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Time a stage of `process` for the diagnostics, also when it raises."""
        return StageTimer(self.record).stage(name)

    def record(self, stage: str, seconds: float) -> None:
        """Add the duration of a stage to the diagnostics."""
        self.counters.add_stage(stage, seconds)

    # --- lifecycle -----------------------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the network and warm it up."""
        try:
            device = self._choose_device()
            for note in device.notes:
                self.get_logger().warning(note)
            self._set_threads()
            try:
                self.load(self.parameters, device)
            finally:
                self.problems.resolve("engine")
        except InputError as error:
            return self._fail_to_configure(str(error))
        except Exception as error:
            return self._fail_to_configure(f"could not configure: {type(error).__name__}: {error}")
        self._failure = ""
        self._configured = True
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker and subscribe. A failure leaves the node inactive, with its network."""
        if self._worker is not None and not self._worker.stop(timeout=0):
            return self._fail("an image from before the deactivation is still being processed: activate again later")
        self.counters, self._simulated_silence = FrameCounters(time.monotonic()), Silence()
        self._forget_pending = True  # frames from before a deactivation are too old to match with
        result = super().on_activate(state)  # activates the publishers, before the first result
        try:
            self._worker = Worker(
                self._work,
                mode="latest" if self.parameters.processing_mode == "latest" else "every",
                capacity=self.parameters.queue_size,
                on_error=self._report_failed_frame,
            )
            self.subscribe()
        except Exception as error:
            self._stop_input()
            super().on_deactivate(state)
            return self._fail(f"could not subscribe: {type(error).__name__}: {error}")
        self._failure = ""
        self.get_logger().info(f"waiting for images on {self._image_topic}")
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and stop the worker."""
        return self._said("deactivate", self._stop_input) or super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the network and the publishers."""
        return self._said("clean up", self._release) or TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the input and release everything."""
        failed = self._said("shut down", self._stop_input)
        return self._said("shut down", self._release) or failed or TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured, from where the node can be configured again."""
        return self.on_shutdown(state)

    def autostart(self) -> None:
        """Configure and activate if the parameter `autostart` is set; after a failure the node stays where it is."""
        if not self.parameters.autostart:
            return
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def stop(self) -> None:
        """Stop the input and refuse the requests that wait, while the executor can still send the answers."""
        with self._change_lock:
            self._stop_input()

    def destroy_node(self) -> None:
        """Stop the worker, then destroy the node."""
        with self._change_lock:
            self._stop_input()
            super().destroy_node()

    def _fail(self, reason: str) -> TransitionCallbackReturn:
        self._failure = reason
        self.get_logger().error(reason)
        return TransitionCallbackReturn.FAILURE

    def _fail_to_configure(self, reason: str) -> TransitionCallbackReturn:
        self._said("release what was loaded", self._release)
        return self._fail(reason)

    def _said(self, what: str, step: Callable[[], None]) -> TransitionCallbackReturn | None:
        """Run a step of a transition; returns ERROR when it raises, which rclpy alone would do without a word."""
        try:
            step()
        except Exception as error:
            self._fail(f"could not {what}: {type(error).__name__}: {error}")
            return TransitionCallbackReturn.ERROR
        return None

    def _stop_input(self) -> None:
        while self._active_subscriptions:
            subscription = self._active_subscriptions.pop()
            for problem in (callback_problem(subscription), f"qos {subscription.topic_name}"):
                self.problems.resolve(problem)
            self.destroy_subscription(subscription)
        if self._worker is not None and not self._worker.stop(timeout=_WORKER_STOP_SECONDS):
            self.get_logger().warning(f"the image in progress takes more than {_WORKER_STOP_SECONDS:g} s")
        for problem in self.input_problems:
            self.problems.resolve(problem)

    def _release(self) -> None:
        for publisher in self._result_publishers:
            self.destroy_lifecycle_publisher(publisher)
        self._result_publishers.clear()
        self._configured = False
        self.unload()

    def _choose_device(self) -> DevicePolicy:
        given = self.parameters
        policy = choose_device(
            given.device, given.precision, given.backend, given.providers, cuda_graphs=given.cuda_graphs
        )
        return replace(policy, report=self._report_export)

    def _report_export(self, progress: str) -> None:
        """Say in the log and in the diagnostics at once what the node waits for: no timer fires while it configures."""
        self.problems.report("engine", f"the network is not ready: {progress}")
        self.get_logger().info(progress)
        self._publish_diagnostics(time.monotonic())

    def _set_threads(self) -> None:
        """Set torch's thread count for the calling thread; OpenMP keeps one count for each thread."""
        torch.set_num_threads(self.parameters.num_threads or self._default_threads)

    # --- frames --------------------------------------------------------------------------------------------------

    def _receive(self, message: Image | CompressedImage, info: Mapping[str, Any]) -> None:
        """Hand the message to the worker; runs on the executor thread, which must not block.

        info: about the message, by rclpy; its sequence number is None where the middleware gives none.
        """
        sequence = info.get("publication_sequence_number")
        if jump := self.counters.add_arrival(stamp_ns(message.header), time.monotonic(), sequence):
            self._forget_pending = True
            self.get_logger().warning(
                f"stamps on {self._image_topic} jumped back by {jump / 1e9:.3f} s: "
                "starting anew (did a bag start over?)",
                throttle_duration_sec=_JUMP_SECONDS,
            )
        self._simulated_silence.end(self.get_clock().now().nanoseconds / 1e9)
        self.arrived(message.header)
        if self._worker is not None:
            self._worker.submit(message)

    def _keep_for_worker(self, _: P) -> None:
        """Let the worker apply changed parameters, so that it alone changes what it works with."""
        self._apply_pending = True

    def prepare(self) -> None:
        """Use the parameters in force on the worker thread, before an image or a request."""
        self._set_threads()
        if self._apply_pending:
            self._apply_pending = False
            self.apply(self.parameters)

    def _work(self, message: Image | CompressedImage) -> None:
        """Decode and process one image; runs on the worker thread."""
        self.prepare()
        if self._forget_pending:
            self._forget_pending = False
            self.forget()
        try:
            with self.stage("conversion"):
                image = self.decode(message)
        except InputError as error:
            self._refuse(str(error))
            return
        self.process(message.header, image)
        self.problems.resolve("image")
        self.counters.add_processed(time.monotonic())
        self.record("since stamp", (self.get_clock().now().nanoseconds - stamp_ns(message.header)) / 1e9)

    def _refuse(self, cause: str) -> None:
        reason = f"image on {self._image_topic} skipped: {cause}"
        self.counters.add_refusal(reason)
        self.problems.report("image", reason)

    def _report_failed_frame(self, _: Any, error: Exception) -> None:
        if self.context.ok():  # else a signal shut ROS down while this image was processed, which is no failure
            self._refuse(str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}")

    def _watch_losses(self, now: float) -> None:
        counters = self.counters
        if counters.lost.is_alarming(now):
            middleware, profile = get_rmw_implementation_identifier(), find_config("fastdds_large_images.xml")
            text = lost_images(self._image_topic, counters.received, counters.lost, middleware, profile)
            self.problems.report("lost images", text)
        else:
            self.problems.resolve("lost images")
        if counters.lost.is_mixed:
            self.problems.report("publishers", several_publishers(self._image_topic))
        else:
            self.problems.resolve("publishers")

    def _watch(self) -> None:
        """Check for missing input and publish the diagnostics; called once a second."""
        now = time.monotonic()
        if self._worker is not None and not self._worker.is_stopped:
            timeout = self.parameters.input_timeout
            if self._silence(now) > timeout:
                topic = self._image_topic
                self.problems.report("input", missing_images(topic, timeout, self.count_publishers(topic)))
            else:
                self.problems.resolve("input")
            self._watch_losses(now)
            for subscription in self._active_subscriptions:
                topic = subscription.topic_name
                if subscription.get_publisher_count() >= self.count_publishers(topic):  # all of them are compatible
                    self.problems.resolve(f"qos {topic}")
        self._publish_diagnostics(now)

    def _silence(self, now: float) -> float:
        """Seconds without an image; of simulated time where there is any, which may be slow or stand still."""
        clock = self.get_clock()
        if isinstance(clock, ROSClock) and clock.ros_time_is_active and self.count_publishers("/clock"):
            return self._simulated_silence.seconds(clock.now().nanoseconds / 1e9)
        return now - self.counters.last_arrival

    def _publish_diagnostics(self, now: float) -> None:
        status = node_status(
            self.counters,
            now,
            name=self.get_fully_qualified_name(),
            device=self.parameters.device,
            state=self.state,
            failure=self._failure,
            problems=self.problems.active(),
            dropped=self._worker.dropped if self._worker else 0,
            details=self.describe(),
        )
        header = Header(stamp=self.get_clock().now().to_msg())
        self._diagnostics.publish(DiagnosticArray(header=header, status=[status]))
