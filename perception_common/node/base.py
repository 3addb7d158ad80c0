"""The lifecycle node that both perception nodes are: newest frame in, one worker thread, answers out.

A callback only stores a message; the worker decodes it and calls `process`. What a vehicle's operator must know (drops,
rates, latency of each stage, problems) goes to /diagnostics once a second.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from perception_common.backends.devices import DevicePolicy, choose_device, default_threads
from perception_common.errors import InputError
from perception_common.node.parameters import NodeParameters, parameter
from perception_common.node.problems import Problems
from perception_common.node.windows import LatencyWindow, RateWindow
from perception_common.node.worker import Worker
from perception_common.stamps import stamp_ns

RESULT_QOS = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.RELIABLE)


@dataclass(frozen=True)
class PerceptionParameters:
    """The parameters that both nodes have."""

    model: str = parameter("", "network variant: a file in config/models")
    weights: str = parameter(
        "default", "weights file (.safetensors, .ckpt, .pth), 'default': the shipped ones, 'none': random ones"
    )
    weights_sha256: str = parameter("", "refuse a weights file with another SHA-256; empty: do not check")
    device: str = parameter("auto", "auto, cpu, cuda or cuda:N")
    precision: str = parameter("fp32", "arithmetic of the network", choices=("fp32", "fp16", "bf16"))
    num_threads: int = parameter(
        0, "CPU threads of the network; 0: the cores shared out among the nodes", low=0, high=256
    )
    processing_mode: str = parameter(
        "latest", "latest: the newest image, older ones are dropped; every: all, in order", choices=("latest", "every")
    )
    queue_size: int = parameter(100, "images that may wait in processing_mode 'every'", low=1, high=10000)
    image_transport: str = parameter(
        "raw", "raw: topic 'image'; compressed: topic 'image/compressed'", choices=("raw", "compressed")
    )
    input_timeout: float = parameter(5.0, "seconds without an image before a warning", low=0.1, high=3600.0, live=True)
    autostart: bool = parameter(True, "configure and activate at start, without a lifecycle manager")


P = TypeVar("P", bound=PerceptionParameters)


class PerceptionNode(LifecycleNode, Generic[P]):
    """Subscribes to images while active and calls `process` for each, in a thread of its own.

    A subclass gives `load`, `decode`, `process`, `unload` and, where it has state from frame to frame, `forget`. Its
    publishers are made in `load` with `result_publisher`.
    """

    def __init__(self, name: str, kind: type[P], nodes_in_process: int = 1):
        """`nodes_in_process`: how many perception nodes share this process's cores."""
        super().__init__(name)
        self.problems = Problems(self.get_logger().warning)
        self._node_parameters = NodeParameters(self, kind, is_locked=lambda: self._configured, on_change=self.apply)
        self._threads = default_threads(nodes_in_process)
        self._configured = False
        self._worker: Worker[Any] | None = None
        self._subscriptions_held: list[Any] = []
        self._publishers_held: list[Any] = []
        self._failure = ""
        self._forget_pending = False
        self._reset_counts()
        for sentence in self._node_parameters.unknown(self):
            self.problems.report(sentence, sentence)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RESULT_QOS)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # speaks also while simulated time stands still
        self.create_timer(1.0, self._watch, clock=steady)

    def _reset_counts(self) -> None:
        self._received = 0
        self._answered = 0
        self._refused = 0
        self._jumps = 0
        self._last_refusal = ""
        self._last_stamp_ns: int | None = None
        self._last_arrival = time.monotonic()
        self._input_rate = RateWindow(5.0)
        self._output_rate = RateWindow(5.0)
        self._stages: dict[str, LatencyWindow] = {}

    # --- what a subclass gives -----------------------------------------------------------------------------------

    @abstractmethod
    def load(self, parameters: P, device: DevicePolicy) -> None:
        """Load the network, warm it up and make the publishers. Raises InputError when that cannot be done."""

    @abstractmethod
    def unload(self) -> None:
        """Let go of what `load` made (publishers are destroyed by the base)."""

    @abstractmethod
    def decode(self, message: Image | CompressedImage) -> np.ndarray:
        """Convert an image message. Raises InputError when the image cannot be used."""

    @abstractmethod
    def process(self, header: Header, image: np.ndarray) -> None:
        """Make and publish the answer to one image. Runs in the worker thread."""

    def forget(self) -> None:
        """Drop what was kept from earlier frames: time jumped back, or the node was just activated.

        Runs in the worker thread, before the next image.
        """

    def apply(self, parameters: P) -> None:
        """Use parameters that were changed while the node runs."""

    def describe(self) -> dict[str, str]:
        """Key-value pairs of the subclass for the diagnostics."""
        return {}

    # --- what a subclass uses ------------------------------------------------------------------------------------

    @property
    def parameters(self) -> P:
        """The parameters in force."""
        return self._node_parameters.values

    def result_publisher(self, kind: type, topic: str, qos: QoSProfile = RESULT_QOS) -> Any:
        """A lifecycle publisher with a relative topic name, destroyed at cleanup; its QoS can be overridden."""
        publisher = self.create_lifecycle_publisher(
            kind, topic, qos, qos_overriding_options=QoSOverridingOptions.with_default_policies()
        )
        self._publishers_held.append(publisher)
        return publisher

    def sensor_subscription(self, kind: type, topic: str, callback: Any, depth: int = 1) -> Any:
        """A subscription to a sensor that lasts until the node is deactivated; its QoS can be overridden."""
        depth = self.parameters.queue_size if self.parameters.processing_mode == "every" else depth
        qos = QoSProfile(depth=depth, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        name = self.resolve_topic_name(topic)
        subscription = self.create_subscription(
            kind,
            topic,
            callback,
            qos,
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=lambda info: self._report_incompatible(name, info)
            ),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._subscriptions_held.append(subscription)
        return subscription

    def subscribe(self) -> None:
        """Make the subscriptions; a subclass adds its own."""
        kinds = {"raw": (Image, "image"), "compressed": (CompressedImage, "image/compressed")}
        kind, topic = kinds[self.parameters.image_transport]
        self._image_topic = self.sensor_subscription(kind, topic, self._receive).topic_name

    def call_worker(self, task: Callable[[], None]) -> bool:
        """Run a task in the worker thread, between two images; False when the node is not active."""
        return self._worker is not None and self._worker.call(task)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a stage of `process` for the diagnostics."""
        start = time.perf_counter()
        yield
        self.record(name, time.perf_counter() - start)

    def record(self, stage: str, seconds: float) -> None:
        """Add what a stage took to the diagnostics."""
        self._stages.setdefault(stage, LatencyWindow()).add(seconds)

    # --- lifecycle -----------------------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the network and warm it up."""
        try:
            device = choose_device(self.parameters.device, self.parameters.precision)
            for note in device.notes:
                self.get_logger().warning(note)
            torch.set_num_threads(self.parameters.num_threads or self._threads)
            self.load(self.parameters, device)
        except InputError as error:
            return self._fail(str(error))
        except Exception as error:
            return self._fail(f"could not configure: {type(error).__name__}: {error}")
        self._failure = ""
        self._configured = True
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker and subscribe."""
        self._reset_counts()
        self._forget_pending = True  # whatever was seen before the node was inactive is of another time
        result = super().on_activate(state)  # the publishers must be ready before the first answer
        self._worker = Worker(
            self._work,
            mode="latest" if self.parameters.processing_mode == "latest" else "every",
            capacity=self.parameters.queue_size,
            on_error=self._report_failed_frame,
        )
        try:
            self.subscribe()
        except Exception as error:
            self._stop_input()
            return self._fail(f"could not subscribe: {type(error).__name__}: {error}")
        self.get_logger().info(f"waiting for images on {self._image_topic}")
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and stop the worker."""
        self._stop_input()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the network and the publishers."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop whatever runs and let go of everything."""
        self._stop_input()
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured, from where a corrected node can be configured again."""
        return self.on_shutdown(state)

    def autostart(self) -> None:
        """Configure and activate, if the parameter `autostart` says so; after a failure the node stays idle."""
        if not self.parameters.autostart:
            return
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def destroy_node(self) -> None:
        """Stop the worker before the node goes."""
        self._stop_input()
        super().destroy_node()

    def _fail(self, reason: str) -> TransitionCallbackReturn:
        self._failure = reason
        self.get_logger().error(reason)
        self._release()
        return TransitionCallbackReturn.FAILURE

    def _stop_input(self) -> None:
        for subscription in self._subscriptions_held:
            self.destroy_subscription(subscription)
        self._subscriptions_held.clear()
        if self._worker is not None:
            self._worker.stop(timeout=30.0)
            self._worker = None
        self.problems.resolve("input")

    def _release(self) -> None:
        for publisher in self._publishers_held:
            self.destroy_lifecycle_publisher(publisher)
        self._publishers_held.clear()
        self._configured = False
        self.unload()

    # --- frames --------------------------------------------------------------------------------------------------

    def _receive(self, message: Image | CompressedImage) -> None:
        """Store the message; runs in the executor, which must never wait."""
        self._received += 1
        self._last_arrival = time.monotonic()
        self._input_rate.add(self._last_arrival)
        stamp = stamp_ns(message.header)
        if self._last_stamp_ns is not None and stamp < self._last_stamp_ns:
            self._jumps += 1
            self._forget_pending = True
            self.get_logger().warning(
                f"stamps on {self._image_topic} jumped back by {(self._last_stamp_ns - stamp) / 1e9:.3f} s: "
                "starting anew (did a bag start over?)"
            )
        self._last_stamp_ns = stamp
        if self._worker is not None:
            self._worker.submit(message)

    def _work(self, message: Image | CompressedImage) -> None:
        """Answer one image; runs in the worker thread."""
        torch.set_num_threads(self.parameters.num_threads or self._threads)  # OpenMP counts them for each thread
        if self._forget_pending:
            self._forget_pending = False
            self.forget()
        try:
            with self.stage("conversion"):
                image = self.decode(message)
        except InputError as error:
            self._refuse(f"image on {self._image_topic} skipped: {error}")
            return
        self.problems.resolve("image")
        self.process(message.header, image)
        self._answered += 1
        self._output_rate.add(time.monotonic())
        age = (self.get_clock().now() - Time.from_msg(message.header.stamp)).nanoseconds / 1e9
        self.record("since stamp", age)

    def _refuse(self, reason: str) -> None:
        self._refused += 1
        self._last_refusal = reason
        self.problems.report("image", reason)

    def _report_failed_frame(self, _: Any, error: Exception) -> None:
        if not self.context.ok():
            return  # a signal ended ROS under the last image; nobody is there for its answer
        self._refuse(f"image on {self._image_topic} skipped: {type(error).__name__}: {error}")

    # --- diagnostics ---------------------------------------------------------------------------------------------

    def _report_incompatible(self, topic: str, info: Any) -> None:
        policy = str(getattr(info.last_policy_kind, "name", info.last_policy_kind))
        policy = policy.removeprefix("RMW_QOS_POLICY_").lower()
        self.problems.report(
            f"qos {topic}",
            f"a publisher of {topic} has an incompatible QoS ({policy}) and nothing arrives from it: "
            f"set the parameter qos_overrides.{topic}.subscription.{policy}",
        )

    def _watch(self) -> None:
        """Once a second: look for missing input and publish the diagnostics."""
        if self._worker is not None:
            silent = time.monotonic() - self._last_arrival
            if silent > self.parameters.input_timeout:
                topic = self._image_topic
                count = self.count_publishers(topic)
                hint = (
                    "nobody publishes it: is the camera running, is 'image' remapped?"
                    if count == 0
                    else (f"{count} publisher(s) are there: are they sending, with a compatible QoS?")
                )
                self.problems.report("input", f"no image on {topic} for {self.parameters.input_timeout:g} s: {hint}")
            else:
                self.problems.resolve("input")
        self._diagnostics.publish(self._diagnosis())

    def _diagnosis(self) -> DiagnosticArray:
        problems = self.problems.active()
        state = self._state_machine.current_state[1]
        if self._failure:
            level, message = DiagnosticStatus.ERROR, self._failure
        elif problems:
            level, message = DiagnosticStatus.WARN, problems[0]
        else:
            now = time.monotonic()
            level, message = DiagnosticStatus.OK, f"{state}: {self._output_rate.rate(now):.1f} images/s answered"
        worker = self._worker
        values = {"state": state, **self.describe()}
        values |= {
            "images received": str(self._received),
            "images answered": str(self._answered),
            "images dropped": str(worker.dropped if worker else 0),
            "images refused": str(self._refused),
            "last refusal": self._last_refusal,
            "stamps jumped back": str(self._jumps),
            "input rate [1/s]": f"{self._input_rate.rate(time.monotonic()):.2f}",
            "output rate [1/s]": f"{self._output_rate.rate(time.monotonic()):.2f}",
        }
        for name, window in list(self._stages.items()):
            values[f"{name} p50 [ms]"] = f"{1e3 * window.p50:.2f}"
            values[f"{name} p95 [ms]"] = f"{1e3 * window.p95:.2f}"
            values[f"{name} p99 [ms]"] = f"{1e3 * window.p99:.2f}"
        for number, problem in enumerate(problems):
            values[f"problem {number}"] = problem
        status = DiagnosticStatus(
            level=level,
            name=self.get_fully_qualified_name(),
            message=message,
            hardware_id=self.parameters.device,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )
        return DiagnosticArray(header=Header(stamp=self.get_clock().now().to_msg()), status=[status])
