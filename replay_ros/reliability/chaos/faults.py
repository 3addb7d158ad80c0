"""Faults of processes, input and settings. A fault is a function that returns when its cause has ended."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from functools import partial

from lifecycle_msgs.msg import Transition

from loftr_ros.parameters import LoftrParameters
from perception_common.node.parameters import ParameterInfo, parameter_infos
from replay_ros.reliability.chaos.system import CAMERA, System
from yolc_ros.parameters import YolcParameters

Fault = Callable[[System], None]

_STOP_SECONDS = 10.0
_JUMP_SECONDS = 3600.0
_FAULT_SECONDS = 3.0  # how long most causes last
_PARAMETER_CHANGES = 100
# A live parameter of these would end the flow of images that the run needs.
_KEPT = ("input_timeout",)


class Broken(Exception):  # noqa: N818 (a verdict, not an error of this program)
    """Something that must hold after a fault does not."""


def _kill_node(name: str, system: System) -> None:
    system.kill_node(name)
    system.start_node(name)


def _kill_camera(system: System) -> None:
    system.camera.process.kill()
    system.camera.process.wait()
    system.bench.listen(_FAULT_SECONDS)
    system.restart_camera()


def _stop_node(name: str, system: System) -> None:
    system.pause(system.nodes[name], _STOP_SECONDS)


def _stop_camera(system: System) -> None:
    system.pause(system.camera.process, _STOP_SECONDS)


def _jump(seconds: float, system: System) -> None:
    """Let the camera's clock jump for a while, and back again."""
    system.camera.change(stamp_offset_s=seconds)
    before = time.time()
    system.bench.listen(_FAULT_SECONDS)
    require_answers(system, before, "while the clock was wrong")
    system.camera.change(stamp_offset_s=0.0)


def _camera_sends(values: Mapping[str, object], is_answered: bool, system: System) -> None:
    """Let the camera send something else for a while."""
    system.camera.change(**values)
    before = time.time()
    system.bench.listen(_FAULT_SECONDS)
    if is_answered:
        require_answers(system, before, f"to {dict(values)}")
    system.camera.change(**{name: getattr(CAMERA, name) for name in values})


def _random_parameters(system: System) -> None:
    """Set live parameters of both nodes to random values, many of them of a wrong type or out of range."""
    rng = random.Random(0)
    kinds = {"yolc_node": YolcParameters, "loftr_node": LoftrParameters}
    live = {
        node: {name: info for name, info in parameter_infos(kind).items() if info.live and name not in _KEPT}
        for node, kind in kinds.items()
    }
    for _ in range(_PARAMETER_CHANGES):
        node = rng.choice(list(live))
        name = rng.choice(list(live[node]))
        system.set_parameters(node, {name: random_value(rng, live[node][name])})
    for node, kind in kinds.items():
        for name in live[node]:
            value = "none" if name == "lsm" else 0.5 if name == "max_interval" else getattr(kind(), name)
            if not system.set_parameters(node, {name: value}):
                raise Broken(f"{node} refuses its own default of {name}")


def random_value(rng: random.Random, info: ParameterInfo) -> bool | int | float | str:
    """Return a value that may have any type, within the range or not."""
    numbers: list[int | float] = [-1, 0, 1, 10**12, -1.5, 0.3, float("nan"), float("inf")]
    if info.low is not None and info.high is not None:
        numbers += [info.low, info.high, rng.uniform(info.low, info.high), int(rng.uniform(info.low, info.high))]
    values: list[bool | int | float | str] = [*numbers, True, False, "", "none", *info.choices]
    return rng.choice(values)


def _corrupt_weights(system: System) -> None:
    """Overwrite and cut the weights of a running node; a new configuration must fail, and work when they are back."""
    good = system.weights.read_bytes()
    with system.weights.open("r+b") as file:
        file.write(b"\xff" * 4096)
        file.truncate(100_000)
    before = time.time()
    system.bench.listen(_FAULT_SECONDS)
    require_answers(system, before, "while the file of the weights was broken")
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
        if not system.change_state("yolc_node", transition):
            raise Broken(f"yolc_node refused the transition {transition}")
    if system.change_state("yolc_node", Transition.TRANSITION_CONFIGURE):
        raise Broken("yolc_node took broken weights")
    system.weights.write_bytes(good)
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        if not system.change_state("yolc_node", transition):
            raise Broken(f"yolc_node refused the transition {transition} with good weights")


def _invalid_transitions(system: System) -> None:
    """Request transitions that an active node does not have."""
    for node in system.nodes:
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE, 250):
            if system.change_state(node, transition):
                raise Broken(f"{node} took the transition {transition} while it was active")


def require_answers(system: System, then: float, when: str) -> None:
    """Raise Broken unless both nodes answered after `then`, seconds of the system's clock."""
    for name, count in system.answers_since(then).items():
        if not count:
            raise Broken(f"{name} gave no answer {when}")


FAULTS: dict[str, Fault] = {
    "kill yolc_node": partial(_kill_node, "yolc_node"),
    "kill loftr_node": partial(_kill_node, "loftr_node"),
    "kill the camera": _kill_camera,
    "stop yolc_node for 10 s": partial(_stop_node, "yolc_node"),
    "stop loftr_node for 10 s": partial(_stop_node, "loftr_node"),
    "stop the camera for 10 s": _stop_camera,
    "clock jumps forward an hour and back": partial(_jump, _JUMP_SECONDS),
    "clock jumps back an hour and forward": partial(_jump, -_JUMP_SECONDS),
    "images of another size": partial(_camera_sends, {"width": 320, "height": 90}, True),
    "images of another encoding": partial(_camera_sends, {"encoding": "mono8"}, True),
    "images of an unknown encoding": partial(_camera_sends, {"encoding": "banana"}, False),
    "images of another type": partial(_camera_sends, {"kind": "foreign"}, False),
    "topics that vanish": partial(_camera_sends, {"kind": "nothing"}, False),
    "images at twenty times the rate": partial(_camera_sends, {"rate_hz": 200.0}, True),
    "one image in two seconds": partial(_camera_sends, {"rate_hz": 0.5}, False),
    "random parameters": _random_parameters,
    "transitions that are not allowed": _invalid_transitions,
    "corrupted weights": _corrupt_weights,
}
