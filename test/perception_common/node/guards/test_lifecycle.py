"""Requests for transitions, allowed or not, from one client or from many threads."""

import random
import threading
import time

import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import TransitionCallbackReturn

from perception_common.node.guards.executor import GuardedExecutor
from perception_common.node.guards.lifecycle import MAX_REFUSALS, GuardedLifecycleNode

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
# The states and transitions of https://design.ros2.org/articles/node_lifecycle.html.
NEXT = {
    ("unconfigured", "configure"): "inactive",
    ("inactive", "cleanup"): "unconfigured",
    ("inactive", "activate"): "active",
    ("active", "deactivate"): "inactive",
    ("unconfigured", "shutdown"): "finalized",
    ("inactive", "shutdown"): "finalized",
    ("active", "shutdown"): "finalized",
}
NUMBERS = {"configure": 1, "cleanup": 2, "activate": 3, "deactivate": 4}
SHUTDOWNS = {"unconfigured": 5, "inactive": 6, "active": 7}


class Plain(GuardedLifecycleNode):
    """Records the log, and how many transitions run at once."""

    def __init__(self):
        super().__init__("plain")
        self.warnings = []
        self.running = self.most_running = self.done = 0
        self.get_logger = lambda: self
        self.warning = self.warnings.append

    def _step(self):
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        time.sleep(0.0005)
        self.running -= 1
        self.done += 1
        return SUCCESS

    def on_configure(self, state):
        return self._step()

    on_cleanup = on_activate = on_deactivate = on_shutdown = on_configure


@pytest.fixture(scope="module", autouse=True)
def ros():
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def node():
    node = Plain()
    yield node
    node.destroy_node()


def trigger(node, label):
    return getattr(node, f"trigger_{label}")()


def request(node, number=0, label=""):
    message = ChangeState.Request(transition=Transition(id=number, label=label))
    return node._answer_request(message, ChangeState.Response()).success


@pytest.mark.parametrize("by", ["method", "number", "label"])
def test_every_transition_in_every_state_does_what_the_standard_says(node, by):
    paths = {"unconfigured": [], "inactive": ["configure"], "active": ["configure", "activate"]}
    for state, path in paths.items():
        for label in ("configure", "activate", "deactivate", "cleanup"):
            while node.state != "unconfigured":
                trigger(node, {"active": "deactivate", "inactive": "cleanup"}[node.state])
            for step in path:
                assert trigger(node, step) == SUCCESS
            if by == "method":
                succeeded = trigger(node, label) == SUCCESS
            else:
                succeeded = request(node, NUMBERS[label]) if by == "number" else request(node, label=label)
            assert succeeded == ((state, label) in NEXT)
            assert node.state == NEXT.get((state, label), state)


def test_every_other_number_and_label_is_refused_in_every_state(node):
    """A label decides where both are given, as in rclpy."""
    labels = (
        "create",
        "destroy",
        "transition_success",
        "on_configure_error",
        "unconfigured",
        "Configure",
        "\u00e9",
        "1",
    )
    for step in (None, "configure", "activate", "shutdown"):
        assert step is None or trigger(node, step) == SUCCESS
        state = node.state
        allowed = {NUMBERS.get(label, SHUTDOWNS.get(state)) for start, label in NEXT if start == state}
        for number in range(256):
            assert number in allowed or not request(node, number)
            assert not request(node, number, labels[number % len(labels)])
        assert node.state == state


def test_nothing_is_allowed_after_shutdown(node):
    assert request(node, SHUTDOWNS["unconfigured"])
    assert node.state == "finalized"
    for label in ("configure", "activate", "deactivate", "cleanup", "shutdown"):
        assert trigger(node, label) == FAILURE
        assert not request(node, label=label)
    for number in range(10):
        assert not request(node, number)
    assert node.state == "finalized"


def test_a_refusal_is_logged_once_until_something_is_allowed(node):
    for _ in range(3):
        assert not request(node, NUMBERS["activate"])
    assert not request(node, label="fly")
    assert node.warnings == [
        "transition number 3 is not allowed in state unconfigured: refused",
        "transition fly is not allowed in state unconfigured: refused",
    ]
    assert request(node, NUMBERS["configure"])
    assert not request(node, NUMBERS["configure"])
    assert node.warnings[2:] == ["transition number 1 is not allowed in state inactive: refused"]


def test_requests_by_turns_and_endless_labels_do_not_fill_the_log(node):
    for _ in range(50):
        assert not request(node, NUMBERS["activate"])
        assert not request(node, NUMBERS["cleanup"])
    assert len(node.warnings) == 2
    for number in range(100):
        assert not request(node, label=f"{number}\n{'x' * 5000}")
    assert len(node.warnings) == MAX_REFUSALS
    assert max(map(len, node.warnings)) < 120
    assert not any("\n" in line for line in node.warnings)


def test_two_managers_that_race_are_both_answered(node):
    executor = GuardedExecutor()
    managers = [rclpy.create_node(f"manager{number}") for number in range(2)]
    for each in (node, *managers):
        executor.add_node(each)
    clients = [manager.create_client(ChangeState, "/plain/change_state") for manager in managers]
    end = time.monotonic() + 20
    while not all(client.service_is_ready() for client in clients):
        assert time.monotonic() < end
        executor.spin_once(timeout_sec=0.02)
    for number, state in ((1, "inactive"), (3, "active"), (4, "inactive"), (2, "unconfigured")):
        futures = [client.call_async(ChangeState.Request(transition=Transition(id=number))) for client in clients]
        while not all(future.done() for future in futures):
            assert time.monotonic() < end
            executor.spin_once(timeout_sec=0.02)
        assert sorted(future.result().success for future in futures) == [False, True]
        assert node.state == state
    executor.shutdown()
    for manager in managers:
        manager.destroy_node()


def test_transitions_from_many_threads_run_one_after_the_other(node):
    results = []

    def hammer(seed):
        chosen = random.Random(seed)
        for _ in range(60):
            results.append(trigger(node, chosen.choice(("configure", "activate", "deactivate", "cleanup"))))

    threads = [threading.Thread(target=hammer, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 360
    assert set(results) == {SUCCESS, FAILURE}
    assert results.count(SUCCESS) == node.done
    assert node.most_running == 1
    assert node.state in ("unconfigured", "inactive", "active")
