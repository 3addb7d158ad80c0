"""The service match_keyframes under load: every request is answered, and images flow meanwhile."""

import threading
import time
from collections import Counter
from contextlib import suppress

import numpy as np
import pytest
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from loftr_ros.ros.node import LoftrNode
from perception_common.images.conversion import fill_image
from perception_common.node.guards.executor import GuardedExecutor
from perception_common.node.worker import MAX_REQUESTS
from yolc_ros.srv import MatchKeyframes

ANSWER_SECONDS = 0.1  # of one request
IMAGE_SECONDS = 0.03


class Client:
    """A camera and a client of the service in a context of their own, spun by a thread of their own."""

    def __init__(self):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("client", context=self.context)
        self.images = self.node.create_publisher(Image, "image", QoSProfile(depth=10))
        self.service = self.node.create_client(MatchKeyframes, "match_keyframes", qos_profile=QoSProfile(depth=1000))
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin)
        self.thread.start()
        self.futures = []
        self.stamp = 0

    def ask(self, older=0, newer=1):
        self.futures.append(self.service.call_async(MatchKeyframes.Request(older_id=older, newer_id=newer)))

    def send(self):
        self.stamp += 1
        message = Image()
        message.header.stamp.sec = self.stamp
        fill_image(message, np.full((24, 32), 100, np.uint8), message.header)
        self.images.publish(message)

    def answers(self):
        """The words of the answers; "" is success."""
        return Counter(future.result().message for future in self.futures if future.done())

    def close(self):
        self.executor.shutdown()
        self.thread.join()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


class Bench:
    """loftr_node with slow stand-ins for matching, in the executor that the executables use."""

    def __init__(self):
        rclpy.init()
        self.node = LoftrNode()
        self.node.set_parameters([Parameter("model", value="sift")])
        self.executor = GuardedExecutor()
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self._spin)
        self.thread.start()
        self.client = Client()

    def _spin(self):
        with suppress(ExternalShutdownException):
            self.executor.spin()

    def start(self):
        self.node.autostart()
        self.node._frontend.match_keyframes = lambda older, newer: time.sleep(ANSWER_SECONDS) or self.fail()
        self.node.process = lambda header, image: time.sleep(IMAGE_SECONDS)
        until(lambda: self.client.images.get_subscription_count() and self.client.service.service_is_ready())

    @staticmethod
    def fail():
        raise ValueError("matched")  # the least that shows that the request was worked on

    def close(self):
        self.executor.shutdown()
        self.thread.join()
        self.node.destroy_node()
        self.client.close()
        rclpy.try_shutdown()


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not hold in time"
        time.sleep(0.01)


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.close()


@pytest.mark.alone
def test_a_flood_of_requests_is_answered_while_images_flow(bench):
    """25 requests and 20 images a second for 5 s; the node can answer 10 requests a second without any image."""
    bench.start()
    due = time.monotonic()
    for number in range(125):
        bench.client.ask()
        if number % 5 != 4:
            bench.client.send()
        due += 0.04
        time.sleep(max(0.0, due - time.monotonic()))
    until(lambda: all(future.done() for future in bench.client.futures))
    answers = bench.client.answers()
    busy = f"busy: {MAX_REQUESTS} requests wait for an answer; ask again later"
    assert set(answers) == {"ValueError: matched", busy}
    worked, refused = answers["ValueError: matched"], answers[busy]
    assert worked + refused == 125
    assert worked > 20
    values = bench.node.describe()
    assert (values["requests answered"], values["requests refused"]) == (str(worked), str(refused))
    worker, counters = bench.node._worker, bench.node.counters
    assert worker.wait_until_idle(5)
    assert counters.received >= 95  # of 100
    assert counters.received == counters.processed + worker.dropped + counters.refused
    assert counters.processed >= 0.8 * worked  # they take turns


def test_requests_get_an_answer_through_all_of_the_life_cycle(bench):
    inactive = "the node is not active: activate it first"
    bench.start()
    client, node = bench.client, bench.node

    def expect(*words):
        until(lambda: all(future.done() for future in client.futures))
        assert set(client.answers()) == set(words)
        client.futures.clear()

    for _ in range(5):
        client.ask()
    until(lambda: any(future.done() for future in client.futures))  # the others wait for their turn
    node.trigger_deactivate()
    expect("ValueError: matched", inactive)
    client.ask()
    expect(inactive)
    node.trigger_cleanup()
    client.ask()
    expect(inactive)
    bench.start()
    client.ask()
    expect("ValueError: matched")
    for _ in range(5):
        client.ask()
    until(lambda: any(future.done() for future in client.futures))
    node.trigger_shutdown()
    expect("ValueError: matched", inactive)
    client.ask()
    expect(inactive)


def test_requests_during_a_long_transition_are_answered_after_it(bench):
    """As many as come in 4 s at 20 a second, more than the 10 that a service keeps by default."""
    bench.start()
    entered, end = threading.Event(), threading.Event()
    bench.node.create_timer(0.01, lambda: entered.set() or end.wait(20))  # as a transition, it holds the executor
    assert entered.wait(10)
    for _ in range(80):
        bench.client.ask()
    time.sleep(0.5)
    end.set()
    until(lambda: all(future.done() for future in bench.client.futures))
    assert sum(bench.client.answers().values()) == 80


def test_requests_that_wait_at_the_end_of_the_process_are_refused(bench):
    """As run_nodes ends: ROS is shut down by a signal, then the node is stopped."""
    bench.start()
    for _ in range(5):
        bench.client.ask()
    until(lambda: len(bench.node._worker._requests) + sum(each.done() for each in bench.client.futures) >= 4)
    time.sleep(0.05)  # the fifth is taken too; what ROS never handed over gets no answer
    rclpy.shutdown()
    bench.thread.join()
    bench.node.stop()
    bench.executor.finish()
    until(lambda: all(future.done() for future in bench.client.futures))
    assert bench.client.answers()["the node is not active: activate it first"] >= 2
