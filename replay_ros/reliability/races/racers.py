"""The threads that race for one node: managers, parameter changes, requests, a camera, and direct calls."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image

from loftr_ros.ros.node import LoftrNode
from perception_common.images.conversion import fill_image
from yolc_ros.srv import MatchKeyframes

ANSWER_SECONDS = 60.0  # longest wait for an answer; a transition may wait for the image in progress
LABELS = ("configure", "activate", "deactivate", "cleanup")
NUMBERS = (1, 3, 4, 2)  # of the same transitions
LIKELY = (3, 3, 1, 1)  # so that the node is active for long enough to make keyframes
# Valid values, values out of range, contradictions, words that are no choice, wrong types, an unknown name.
CHANGES: tuple[dict[str, Any], ...] = (
    {"max_matches": 50},
    {"max_matches": 2000, "min_matches": 100},
    {"keyframe_memory_mb": 1},
    {"keyframe_memory_mb": 64},
    {"keyframe_memory_mb": 128, "max_parallax": 5.0},
    {"max_rotation": 20.0},
    {"match_last": 3},
    {"processing_mode": "every"},
    {"processing_mode": "latest"},
    {"min_inliers": -1},
    {"lost_matches": 90_000},
    {"estimator": "guess"},
    {"max_matches": "many"},
    {"max_interval": float("nan")},
    {"match_threshold": [0.1, 0.2]},
    {"no_such_parameter": 1},
)


class Life:
    """What the racers share during one life of the node; thread-safe."""

    def __init__(self, node: LoftrNode, counts: Counter[str], faults: list[str]):
        self.node = node
        self.over = threading.Event()  # the racers end
        self.is_ending = threading.Event()  # ROS is being shut down under the node: no answer is owed any more
        self._lock = threading.Lock()
        self._counts, self._faults = counts, faults

    def count(self, what: str) -> None:
        """Count an event."""
        with self._lock:
            self._counts[what] += 1

    def fault(self, text: str) -> None:
        """Keep a fault, unless ROS is being shut down."""
        if not self.is_ending.is_set():
            with self._lock:
                self._faults.append(text)


class Peer:
    """A ROS node in a context of its own, as in another process; used by one thread."""

    def __init__(self, name: str):
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node(name, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._clients: dict[str, Any] = {}

    def ask(self, life: Life, kind: type, service: str, request: Any) -> Any:
        """Return the answer of a service, None where there is none; no answer is a fault while the node lives."""
        client = self._clients.setdefault(service, None) or self.node.create_client(kind, service)
        self._clients[service] = client
        while not client.service_is_ready():
            if life.over.wait(0.01):
                return None
        future = client.call_async(request)
        end = time.monotonic() + ANSWER_SECONDS
        while not future.done() and time.monotonic() < end and not (life.is_ending.is_set() and life.over.is_set()):
            self._executor.spin_once(timeout_sec=0.05)
        if future.done():
            return future.result()
        client.remove_pending_request(future)
        life.count("unanswered at the end" if life.is_ending.is_set() else "unanswered")
        life.fault(f"{service} gave no answer in {ANSWER_SECONDS:g} s")
        return None

    def close(self) -> None:
        """Destroy the node and its context."""
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)


def manage(peer: Peer, life: Life, chosen: random.Random) -> None:
    """Ask for transitions, by number and by label, allowed or not."""
    life.over.wait(chosen.choice((0.0, 0.1)))
    if chosen.random() < 0.8:
        (place,) = chosen.choices(range(4), LIKELY)
        transition = Transition(id=NUMBERS[place]) if chosen.random() < 0.5 else Transition(label=LABELS[place])
    elif chosen.random() < 0.9:  # what no state allows, or only a state between two others
        transition = Transition(id=chosen.choice((0, 8, 9, 10, 99)), label=chosen.choice(("", "fly")))
    else:
        transition = Transition(id=chosen.choice((5, 6, 7)))  # a shutdown
    answer = peer.ask(life, ChangeState, "loftr_node/change_state", ChangeState.Request(transition=transition))
    if answer is not None:
        life.count("transitions" if answer.success else "transitions refused")


def call_directly(peer: Peer, life: Life, chosen: random.Random) -> None:
    """Trigger transitions and set parameters from a thread of the node's own process."""
    life.over.wait(chosen.choice((0.0, 0.1)))  # else the managers, who wait for the middleware, would get no turn
    try:
        if chosen.random() < 0.3:
            (change,) = chosen.sample(CHANGES[:-1], 1)
            life.node.set_parameters([Parameter(name, value=value) for name, value in change.items()])
            life.count("parameter changes")
            return
        (label,) = chosen.choices(LABELS, LIKELY)
        result = getattr(life.node, f"trigger_{label}")()
        life.count("transitions" if result == TransitionCallbackReturn.SUCCESS else "transitions refused")
    except Exception as error:
        life.fault(f"a direct call raised {type(error).__name__}: {error}")


def change_parameters(peer: Peer, life: Life, chosen: random.Random) -> None:
    """Set parameters through the services, valid ones and others."""
    parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in chosen.choice(CHANGES).items()]
    if chosen.random() < 0.1:
        parameters[0].value.type = 0  # not set, which would delete the parameter
    if chosen.random() < 0.5:
        request = SetParameters.Request(parameters=parameters)
        answer = peer.ask(life, SetParameters, "loftr_node/set_parameters", request)
        results = answer.results if answer else []
    else:
        request = SetParametersAtomically.Request(parameters=parameters)
        answer = peer.ask(life, SetParametersAtomically, "loftr_node/set_parameters_atomically", request)
        results = [answer.result] if answer else []
    for result in results:
        life.count("parameter changes" if result.successful else "parameter changes refused")
        if not result.successful and not result.reason:
            life.fault(f"{parameters[0].name} was refused without a reason")


def ask_for_matches(peer: Peer, life: Life, chosen: random.Random) -> None:
    """Ask for matches of keyframes that exist and of others."""
    older = max(0, int(life.node.describe()["keyframes made"]) - 2)
    request = MatchKeyframes.Request(older_id=older, newer_id=older + chosen.choice((0, 1, 1, 1, 2)))
    answer = peer.ask(life, MatchKeyframes, "match_keyframes", request)
    if answer is not None:
        life.count("requests matched" if answer.success else "requests refused")
        if not answer.success and not answer.message:
            life.fault("a request was refused without a reason")


def watch(peer: Peer, life: Life, chosen: random.Random) -> None:
    """Check between transitions that the state is whole: an active node has a network, a worker and publishers."""
    node = life.node
    with node._change_lock:
        worker = node._worker
        runs = worker is not None and not worker.is_stopped
        if (node.state == "active") != runs or (runs and node._frontend is None):
            life.fault(f"state {node.state}: worker {'runs' if runs else 'stopped'}, network {node._frontend}")
    life.over.wait(0.002)


class Camera:
    """Publishes small images of a moving scene, with some broken ones and stamps that jump back."""

    def __init__(self, peer: Peer):
        qos = QoSProfile(depth=10)
        self._images = peer.node.create_publisher(Image, "image", qos)
        self._infos = peer.node.create_publisher(CameraInfo, "camera_info", qos)
        self._scene = np.kron(np.random.default_rng(0).integers(0, 255, (40, 60), np.uint8), np.ones((8, 8), np.uint8))
        self._second = 1000

    def send(self, peer: Peer, life: Life, chosen: random.Random) -> None:
        """Publish an image and its camera_info, then wait a moment."""
        self._second += 1 if chosen.random() < 0.98 else -50
        message = Image()
        message.header.stamp.sec = self._second
        left = 4 * (self._second % 40)
        fill_image(message, np.ascontiguousarray(self._scene[:96, left : left + 128]), message.header)
        if chosen.random() < 0.05:
            message.encoding = "telepathic8"
        info = CameraInfo(header=message.header, width=128, height=96, distortion_model="plumb_bob", d=[0.0] * 5)
        info.k = [100.0, 0.0, 64.0, 0.0, 100.0, 48.0, 0.0, 0.0, 1.0]
        self._infos.publish(info)
        self._images.publish(message)
        life.count("images")
        life.over.wait(0.01)


Role = Callable[[Peer, Life, random.Random], None]


def race(role: Role, peer: Peer, life: Life, seed: int) -> threading.Thread:
    """Start a thread that repeats a role until the life is over; an exception in it is a fault."""
    chosen = random.Random(seed)

    def run() -> None:
        while not life.over.is_set():
            try:
                role(peer, life, chosen)
            except Exception as error:
                life.fault(f"{role.__name__}: {type(error).__name__}: {error}")

    thread = threading.Thread(target=run, name=role.__name__)
    thread.start()
    return thread
