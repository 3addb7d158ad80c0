"""The node base class, tried with a node that publishes the mean brightness of each image."""

import threading
import time

import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Float64

from perception_common.errors import InputError
from perception_common.images.conversion import fill_image, to_gray
from perception_common.node import base
from perception_common.node.base import RESULT_QOS, PerceptionNode
from perception_common.node.parameters import PerceptionParameters
from perception_common.node.worker import Request

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class Brightness(PerceptionNode[PerceptionParameters]):
    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Semaphore(0)
        self.seen = []
        self.forgotten = 0
        self.load_error = self.subscribe_error = self.unload_error = None
        self.applied = []
        super().__init__("brightness", PerceptionParameters)

    def load(self, parameters, device):
        if self.load_error:
            raise self.load_error
        self.publisher = self.result_publisher(Float64, "brightness")

    def unload(self):
        if self.unload_error:
            error, self.unload_error = self.unload_error, None
            raise error

    def subscribe(self):
        super().subscribe()
        if self.subscribe_error:
            raise self.subscribe_error

    def apply(self, parameters):
        self.applied.append((threading.current_thread().name, parameters.input_timeout))

    def decode(self, message):
        return to_gray(message)

    def process(self, header, image):
        self.started.release()
        assert self.gate.wait(10)
        if image.mean() > 250:
            raise RuntimeError("too bright")
        self.seen.append(header.stamp.sec)
        self.publisher.publish(Float64(data=float(image.mean())))

    def forget(self):
        self.forgotten += 1


class Bench:
    """The node, and a peer that publishes images and records what the node publishes; the test spins both."""

    def __init__(self):
        self.node = Brightness()
        self.peer = rclpy.create_node("peer")
        self.images = self.peer.create_publisher(Image, "image", RESULT_QOS)
        self.results, self.diagnostics = [], []
        self.peer.create_subscription(Float64, "brightness", lambda m: self.results.append(m.data), RESULT_QOS)
        self.peer.create_subscription(DiagnosticArray, "/diagnostics", self._keep, RESULT_QOS)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.peer)

    def _keep(self, message):
        self.diagnostics += [s for s in message.status if s.name == "/brightness"]

    def until(self, condition, seconds=10.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "the condition did not hold in time"
            self.executor.spin_once(timeout_sec=0.02)

    def start(self):
        self.node.autostart()
        self.until(lambda: self.images.get_subscription_count() and self.peer.count_publishers("brightness"))

    def send(self, stamp, value=100):
        message = Image()
        fill_image(message, np.full((4, 6), value, np.uint8), message.header)
        message.header.stamp.sec = stamp
        self.images.publish(message)
        return message

    def values(self):
        return {pair.key: pair.value for pair in self.diagnostics[-1].values}

    def close(self):
        self.node.gate.set()
        self.executor.shutdown()
        self.node.destroy_node()
        self.peer.destroy_node()


@pytest.fixture(scope="module", autouse=True)
def ros():
    reliable = "qos_overrides./image.subscription.reliability:=reliable"
    rclpy.init(args=["--ros-args", "-p", reliable])
    yield
    rclpy.try_shutdown()


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.close()


def set_parameters(node, **values):
    assert node.set_parameters_atomically([Parameter(k, value=v) for k, v in values.items()]).successful


def test_an_image_gives_a_result_and_is_counted_in_the_diagnostics(bench):
    bench.start()
    bench.send(1, value=40)
    bench.until(lambda: bench.results == [40.0])
    bench.until(lambda: bench.diagnostics and bench.values().get("images answered") == "1")
    values = bench.values()
    assert bench.diagnostics[-1].level == DiagnosticStatus.OK
    assert values["state"] == "active"
    assert values["images received"] == "1"
    assert values["images dropped"] == "0"
    assert float(values["conversion p50 [ms]"]) >= 0


def test_only_the_newest_image_is_kept_and_drops_are_counted(bench):
    bench.start()
    bench.node.gate.clear()
    bench.send(1)
    bench.until(lambda: bench.node.started.acquire(blocking=False))
    for stamp in (2, 3, 4):
        bench.send(stamp)
        bench.until(lambda count=stamp: bench.node.counters.received == count)
    bench.node.gate.set()
    bench.until(lambda: len(bench.node.seen) == 2)
    assert bench.node.seen == [1, 4]
    bench.until(lambda: bench.diagnostics and bench.values()["images dropped"] == "2")


def test_mode_every_processes_all_images_in_order(bench):
    set_parameters(bench.node, processing_mode="every")
    bench.start()
    bench.node.gate.clear()
    for stamp in range(1, 7):
        bench.send(stamp)
        bench.until(lambda count=stamp: bench.node.counters.received == count)
    bench.node.gate.set()
    bench.until(lambda: bench.node.seen == [1, 2, 3, 4, 5, 6])


def test_an_undecodable_image_is_skipped_and_reported(bench):
    bench.start()
    message = Image(height=4, width=6, encoding="mono8", step=6)  # no data
    bench.images.publish(message)
    bench.until(lambda: bench.node.counters.refused == 1)
    (problem,) = bench.node.problems.active()
    assert "/image skipped" in problem
    bench.until(lambda: bench.diagnostics and bench.diagnostics[-1].level == DiagnosticStatus.WARN)
    assert problem == bench.values()["last refusal"]

    bench.send(1)
    bench.until(lambda: bench.node.seen == [1])
    bench.until(lambda: bench.node.problems.active() == ())


def test_an_exception_in_process_does_not_stop_the_node_and_is_logged_once(bench, monkeypatch):
    bench.start()
    log = []
    monkeypatch.setattr(bench.node.problems, "_log", log.append)
    for stamp in (1, 2, 3):
        bench.send(stamp, value=255)
        bench.until(lambda count=stamp: bench.node.counters.refused == count)
    assert bench.node.problems.active() == tuple(log)
    assert len(log) == 1
    assert "too bright" in log[0]
    bench.send(4)
    bench.until(lambda: bench.node.seen == [4])
    bench.until(lambda: bench.node.problems.active() == ())


def test_frames_whose_processing_fails_are_a_problem_until_one_succeeds(bench):
    bench.start()
    for count in (1, 2):
        bench.send(count, value=255)
        bench.until(lambda count=count: bench.node.counters.refused == count)
        bench.diagnostics.clear()
        bench.until(lambda: bench.diagnostics)
        assert bench.diagnostics[-1].level == DiagnosticStatus.WARN
        assert bench.values()["problem 0"] == "image on /image skipped: RuntimeError: too bright"
    bench.send(3, value=40)
    bench.until(lambda: bench.results == [40.0])
    bench.diagnostics.clear()
    bench.until(lambda: bench.diagnostics)
    assert bench.diagnostics[-1].level == DiagnosticStatus.OK


def test_stamps_that_jump_back_reset_the_state(bench):
    bench.start()
    for number, stamp in enumerate((5, 6, 2, 3), 1):
        bench.send(stamp)
        bench.until(lambda count=number: len(bench.node.seen) == count)
    assert bench.node.seen == [5, 6, 2, 3]
    assert bench.node.forgotten == 2  # once at activation
    bench.until(lambda: bench.diagnostics and bench.values()["stamps jumped back"] == "1")


def test_stamps_before_1970_are_answered(bench):
    """builtin_interfaces/Time has signed seconds, which rclpy's Time refuses."""
    bench.start()
    bench.send(-5)
    bench.until(lambda: bench.node.counters.processed)
    assert bench.node._worker.wait_until_idle(5)
    assert (bench.node.seen, bench.node.counters.refused, bench.node.problems.active()) == ([-5], 0, ())


def test_two_cameras_on_one_topic_are_a_problem_that_names_it_and_lose_nothing(bench):
    bench.start()
    first, second = bench.images, bench.peer.create_publisher(Image, "image", RESULT_QOS)
    bench.until(lambda: second.get_subscription_count())
    for number in range(24):
        bench.images = second if number % 6 == 5 else first
        bench.send(number)
        bench.until(lambda count=number + 1: len(bench.node.seen) == count)
    bench.until(bench.node.problems.active)
    (problem,) = bench.node.problems.active()
    assert problem.startswith("several publishers send images on /image,")
    assert bench.node.counters.lost.in_middleware == 0
    bench.node.trigger_deactivate()
    assert bench.node.problems.active() == ()


def test_missing_images_are_a_problem_that_names_the_topic(bench):
    set_parameters(bench.node, input_timeout=0.1)
    bench.start()
    bench.until(lambda: bench.node.problems.active())
    assert "no image on /image for 0.1 s" in bench.node.problems.active()[0]
    set_parameters(bench.node, input_timeout=60.0)
    bench.until(lambda: not bench.node.problems.active())


def test_in_a_simulation_the_simulated_time_counts(bench):
    """As in a lockstep replay: the clock stands still while another node loads or computes."""
    clock = bench.peer.create_publisher(Clock, "/clock", RESULT_QOS)
    bench.node.set_parameters([Parameter("use_sim_time", value=True)])
    set_parameters(bench.node, input_timeout=0.5)
    bench.start()
    bench.until(lambda: clock.get_subscription_count())

    def tick(seconds):
        clock.publish(Clock(clock=Time(sec=seconds)))
        bench.until(lambda: bench.node.get_clock().now().nanoseconds == seconds * 10**9)
        told = len(bench.diagnostics)
        bench.until(lambda: len(bench.diagnostics) > told + 1)  # a check of the input lies between
        return bench.node.problems.active()

    assert tick(1000) == ()
    assert tick(1000) == ()
    (problem,) = tick(1002)
    assert problem.startswith("no image on /image for 0.5 s")
    bench.send(1002)
    bench.until(lambda: bench.node.seen)
    assert tick(1002) == ()


def test_the_lifecycle_can_be_run_twice(bench):
    node = bench.node
    for _ in range(2):
        assert node.trigger_configure() == SUCCESS
        assert node.count_subscribers("image") == 0
        assert node.trigger_activate() == SUCCESS
        bench.until(lambda: bench.images.get_subscription_count() == 1)
        assert node.trigger_deactivate() == SUCCESS
        bench.until(lambda: bench.images.get_subscription_count() == 0)
        assert node.trigger_cleanup() == SUCCESS
        bench.until(lambda: bench.peer.count_publishers("brightness") == 0)


@pytest.mark.parametrize("error", [InputError("no such weights: check the path"), RuntimeError("boom")])
def test_a_failed_load_is_reported_in_one_line_and_can_be_retried(bench, error):
    node = bench.node
    node.load_error = error
    assert node.trigger_configure() == FAILURE
    bench.until(lambda: bench.diagnostics and bench.diagnostics[-1].level == DiagnosticStatus.ERROR)
    assert str(error) in bench.diagnostics[-1].message
    assert "\n" not in bench.diagnostics[-1].message

    node.load_error = None
    assert node.trigger_configure() == SUCCESS


@pytest.mark.parametrize("error", [InputError("no such topic"), RuntimeError("boom")])
def test_a_failed_subscribe_leaves_a_node_that_the_next_activate_starts(bench, error):
    node = bench.node
    assert node.trigger_configure() == SUCCESS
    node.subscribe_error = error
    for _ in range(2):
        assert node.trigger_activate() == FAILURE
        assert node.state == "inactive"
        assert node.count_subscribers("image") == 0
    bench.until(lambda: bench.diagnostics and bench.diagnostics[-1].level == DiagnosticStatus.ERROR)
    assert f"could not subscribe: {type(error).__name__}: {error}" == bench.diagnostics[-1].message

    node.subscribe_error = None
    assert node.trigger_activate() == SUCCESS
    bench.until(lambda: bench.images.get_subscription_count() and bench.peer.count_publishers("brightness"))
    bench.send(1, value=40)
    bench.until(lambda: bench.results == [40.0])
    bench.until(lambda: bench.diagnostics[-1].level == DiagnosticStatus.OK)


def test_a_transition_that_raises_is_said_and_the_node_can_be_configured_again(bench):
    bench.start()
    node = bench.node
    assert node.trigger_deactivate() == SUCCESS
    node.unload_error = RuntimeError("device lost")
    assert node.trigger_cleanup() == TransitionCallbackReturn.ERROR
    bench.until(lambda: bench.diagnostics and bench.diagnostics[-1].level == DiagnosticStatus.ERROR)
    assert "RuntimeError: device lost" in bench.diagnostics[-1].message
    assert node.state == "unconfigured"
    assert node.trigger_configure() == SUCCESS
    bench.diagnostics.clear()
    bench.until(lambda: bench.diagnostics and bench.diagnostics[-1].level == DiagnosticStatus.OK)


def test_every_image_is_counted_also_after_the_deactivation(bench):
    set_parameters(bench.node, processing_mode="every")
    bench.start()
    bench.node.gate.clear()
    for stamp in range(1, 6):
        bench.send(stamp)
        bench.until(lambda count=stamp: bench.node.counters.received == count)
    bench.node._receive(Image(), {})  # a message that was taken before the end of the subscription
    threading.Timer(0.2, bench.node.gate.set).start()
    assert bench.node.trigger_deactivate() == SUCCESS
    bench.node._receive(Image(), {})
    bench.diagnostics.clear()
    bench.until(lambda: bench.diagnostics)
    values = bench.values()
    counts = [int(values[f"images {what}"]) for what in ("received", "answered", "dropped", "refused")]
    assert counts == [7, 1, 6, 0]


def test_an_image_that_does_not_end_bars_the_next_activation_only(bench, monkeypatch):
    monkeypatch.setattr(base, "_WORKER_STOP_SECONDS", 0.05)
    bench.start()
    node = bench.node
    node.gate.clear()
    bench.send(1)
    bench.until(lambda: node.started.acquire(blocking=False))
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_activate() == FAILURE
    assert "still being processed" in node._failure
    node.gate.set()
    bench.until(lambda: node.trigger_activate() == SUCCESS)
    bench.until(lambda: bench.images.get_subscription_count())
    bench.send(2)
    bench.until(lambda: node.seen == [1, 2])


def test_parameters_are_applied_on_the_worker_thread_before_an_image_or_a_request(bench):
    bench.start()
    answers = []
    for timeout in (7.0, 8.0):
        set_parameters(bench.node, input_timeout=timeout)
    assert bench.node.applied == []
    bench.send(1)
    bench.until(lambda: bench.node.seen == [1])
    set_parameters(bench.node, input_timeout=9.0)
    bench.node.ask_worker(Request(lambda: (bench.node.prepare(), answers.append("answered")), answers.append))
    bench.until(lambda: answers == ["answered"])
    assert bench.node.applied == [("worker", 8.0), ("worker", 9.0)]


def test_problems_of_the_input_end_with_the_input(bench):
    bench.start()
    bench.images.publish(Image(height=4, width=6, encoding="mono8", step=6))  # no data
    bench.until(lambda: bench.node.problems.active())
    assert bench.node.trigger_deactivate() == SUCCESS
    assert bench.node.problems.active() == ()


def test_an_incompatible_publisher_is_a_problem_until_it_is_gone(bench):
    bench.start()
    qos = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    other = bench.peer.create_publisher(Image, "image", qos)
    bench.until(bench.node.problems.active)
    bench.diagnostics.clear()
    bench.until(lambda: len(bench.diagnostics) == 2)  # it lasts
    (problem,) = bench.node.problems.active()
    assert "a publisher of /image has an incompatible QoS (reliability)" in problem
    bench.peer.destroy_publisher(other)
    bench.until(lambda: not bench.node.problems.active())


def test_autostart_can_be_switched_off(bench):
    set_parameters(bench.node, autostart=False)
    bench.node.autostart()
    assert bench.node.state == "unconfigured"


def test_a_parameter_that_is_not_live_can_change_after_cleanup(bench):
    bench.start()
    change = [Parameter("processing_mode", value="every")]
    assert not bench.node.set_parameters_atomically(change).successful
    bench.node.trigger_deactivate()
    bench.node.trigger_cleanup()
    assert bench.node.set_parameters_atomically(change).successful


def test_a_node_that_waits_for_an_export_says_so_at_once(bench, monkeypatch):
    seen = []

    def load(parameters, device):
        device.report("part 1 of 3 (encode)")
        device.report("part 2 of 3 (transform), 20 s so far")
        bench.until(lambda: len(bench.diagnostics) >= 2)  # while the node configures, without its timer
        seen.extend((status.level, status.message) for status in bench.diagnostics)

    bench.executor.remove_node(bench.node)
    monkeypatch.setattr(bench.node, "load", load)
    assert bench.node.trigger_configure() == SUCCESS
    assert (DiagnosticStatus.WARN, "the network is not ready: part 1 of 3 (encode)") in seen
    assert (DiagnosticStatus.WARN, "the network is not ready: part 2 of 3 (transform), 20 s so far") in seen
    assert bench.node.problems.active() == ()
