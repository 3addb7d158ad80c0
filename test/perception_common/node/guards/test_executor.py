"""No exception in a callback of any kind ends the executor; it is said once and is over when the callback succeeds."""

import threading
import time
from types import SimpleNamespace

import pytest
import rclpy
from rcl_interfaces.srv import GetParameters
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSProfile
from rclpy.task import Future
from std_msgs.msg import String

from perception_common.node.guards.executor import GuardedExecutor, callback_problem, describe_failure
from perception_common.node.problems import Problems

DEPTH = QoSProfile(depth=10)


class Bench:
    """A node whose callbacks raise while `fails` is true, and a peer that triggers them."""

    def __init__(self):
        self.log = []
        self.heard, self.ticks, self.fails = [], 0, True
        self.node = rclpy.create_node("fragile")
        self.node.problems = Problems(self.log.append)
        self.subscription = self.node.create_subscription(String, "words", self._hear, DEPTH)
        self.node.create_service(GetParameters, "ask", self._answer)
        self.peer = rclpy.create_node("peer")
        self.words = self.peer.create_publisher(String, "words", DEPTH)
        self.client = self.peer.create_client(GetParameters, "ask")
        self.executor = GuardedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.peer)

    def _hear(self, message):
        if self.fails:
            raise ValueError("bad\nword")
        self.heard.append(message.data)

    def _answer(self, request, response):
        if self.fails:
            raise KeyError("no answer")
        return response

    def _tick(self):
        self.ticks += 1
        if self.fails:
            raise RuntimeError("tick")

    def until(self, condition, seconds=10.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "the condition did not hold in time"
            self.executor.spin_once(timeout_sec=0.02)

    def close(self):
        self.executor.shutdown()
        self.node.destroy_node()
        self.peer.destroy_node()


@pytest.fixture
def bench():
    rclpy.init()
    bench = Bench()
    bench.until(lambda: bench.words.get_subscription_count() and bench.client.service_is_ready())
    yield bench
    bench.close()
    rclpy.try_shutdown()


def test_a_subscription_that_raises_is_said_once_and_resolved(bench):
    for _ in range(2):
        bench.words.publish(String(data="one"))
        bench.until(lambda: bench.log)
    assert len(bench.log) == 1
    assert "callback of /words failed and the node continues: ValueError: bad word (" in bench.log[0]
    assert f"{__file__}:" in bench.log[0]
    assert bench.node.problems.active() == tuple(bench.log)
    bench.fails = False
    bench.words.publish(String(data="two"))
    bench.until(lambda: bench.heard)
    bench.until(lambda: not bench.node.problems.active())


def test_a_timer_and_a_service_that_raise_keep_all_others_running(bench):
    bench.node.create_timer(0.01, bench._tick)
    bench.client.call_async(GetParameters.Request())
    bench.until(lambda: len(bench.log) == 2 and bench.ticks > 3)
    assert sorted(line.split(" failed")[0] for line in bench.log) == [
        "the callback of Bench._tick",
        "the callback of ask",
    ]
    bench.fails = False
    answer = bench.client.call_async(GetParameters.Request())
    bench.until(answer.done)
    bench.until(lambda: not bench.node.problems.active())


def test_a_message_that_cannot_be_taken_does_not_block_the_callback_group(bench):
    """rclpy alone would raise, and hold the group of the subscription for ever."""

    class Unreadable:
        @staticmethod
        def take_message(kind, raw):
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

    real = bench.executor._take_subscription

    def take(subscription):
        if bench.fails and subscription is bench.subscription:
            real(subscription)  # the message is gone
            return real(SimpleNamespace(handle=Unreadable(), msg_type=String, raw=False))
        return real(subscription)

    bench.executor._take_subscription = take
    bench.words.publish(String(data="broken"))
    bench.until(lambda: bench.log)
    assert "UnicodeDecodeError" in bench.log[0]
    bench.fails = False
    bench.words.publish(String(data="whole"))
    bench.until(lambda: bench.heard == ["whole"])
    answer = bench.client.call_async(GetParameters.Request())  # of the same group
    bench.until(answer.done)


def test_a_node_without_problems_has_them_in_the_log(bench):
    plain = rclpy.create_node("plain")
    bench.executor.add_node(plain)
    plain.create_timer(0.01, bench._tick)
    bench.until(lambda: bench.ticks > 2)
    assert not bench.log
    assert "RuntimeError: tick" in bench.executor._own_problems.active()[0]
    plain.destroy_node()


def test_spin_continues_after_a_failure_of_the_executor_and_ends_with_ros(bench, monkeypatch):
    calls = []

    def wait(*arguments, **options):
        calls.append(time.monotonic())
        if len(calls) == 3:
            rclpy.shutdown()
        raise RuntimeError("wait set")

    monkeypatch.setattr(bench.executor, "wait_for_ready_callbacks", wait)
    with pytest.raises(ExternalShutdownException):
        bench.executor.spin()
    assert len(calls) == 3
    assert "RuntimeError: wait set" in bench.executor._own_problems.active()[0]


def test_finish_sends_the_answers_that_are_there_also_after_a_shutdown_of_ros():
    """The client has a context of its own, as in another process."""
    ours, theirs = rclpy.Context(), rclpy.Context()
    for context in (ours, theirs):
        rclpy.init(context=context)
    node, peer = rclpy.create_node("server", context=ours), rclpy.create_node("client", context=theirs)
    waiting = Future()
    received = threading.Event()

    async def answer(request, response):
        received.set()
        return await waiting

    node.create_service(GetParameters, "late", answer, callback_group=ReentrantCallbackGroup())
    client = peer.create_client(GetParameters, "late")
    assert client.wait_for_service(10)
    future = client.call_async(GetParameters.Request())
    executor = GuardedExecutor(context=ours)
    executor.add_node(node)
    while not received.is_set():
        executor.spin_once(timeout_sec=0.1)
    rclpy.shutdown(context=ours)
    waiting.set_result(GetParameters.Response())
    executor.finish()
    other = rclpy.executors.SingleThreadedExecutor(context=theirs)
    other.add_node(peer)
    other.spin_until_future_complete(future, timeout_sec=10)
    assert future.done()
    executor.shutdown()
    other.shutdown()
    node.destroy_node()
    peer.destroy_node()
    rclpy.shutdown(context=theirs)


def test_a_failure_is_one_line_with_its_place():
    assert describe_failure("it", ValueError("a\nb")) == "it failed and the node continues: ValueError: a b"
    assert callback_problem(object()) == "callback of object"
