"""Races for loftr_node: transitions, parameters, requests, images and the end of ROS from several threads at once.

The node runs as in its executable, with SIFT in place of the network, so that a transition takes milliseconds. It
lives many times; each life ends after a pause, or with ROS shut down in the middle of everything. A fault is an
exception in a callback, a request without an answer, a refusal without a reason, a state that is not whole, an image
that is in no count, or a node that does not answer images when all is over.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from loftr_ros.parameters import LoftrParameters
from loftr_ros.ros.node import LoftrNode
from perception_common.node.guards.executor import GuardedExecutor
from perception_common.node.parameters import parameter_infos
from replay_ros.reliability.races import racers
from replay_ros.reliability.races.racers import Camera, Life, Peer
from replay_ros.reliability.report import ReliabilityReport, limit

PARAMETERS = tuple(parameter_infos(LoftrParameters))
DESCRIPTORS = 2  # that may differ: a socket or a file that is open for a moment
_PER_LIFE = 60  # transitions, allowed ones and refused ones
_SECONDS = 60.0  # longest wait for one step


def run_races(transitions: int, folder: Path, seed: int = 0) -> ReliabilityReport:
    """Race until so many transitions were asked for. ROS must not be initialised in this process.

    folder: unused, as nothing runs in a process of its own that could log there.
    """
    start = time.monotonic()
    counts: Counter[str] = Counter()
    faults: list[str] = []
    roles = (
        *(racers.manage, racers.manage, racers.call_directly, racers.change_parameters),
        *(racers.ask_for_matches, racers.watch),
    )
    kept: list[tuple[int, int]] = []
    with ExitStack() as stack:
        peers = [stack.enter_context(closing(Peer(f"racer{number}"))) for number in range(len(roles))]
        filming = stack.enter_context(closing(Peer("camera")))
        cast: list[tuple[racers.Role, Peer]] = [*zip(roles, peers, strict=True), (Camera(filming).send, filming)]
        while counts["transitions"] + counts["transitions refused"] < transitions:
            _live(cast, counts, faults, seed=1000 * seed + len(kept), is_abrupt=len(kept) % 2 == 1)
            gc.collect()  # nodes and their entities refer to each other
            kept.append((threading.active_count(), len(os.listdir("/proc/self/fd"))))
    (threads0, files0), (threads1, files1) = kept[0], kept[-1]
    return ReliabilityReport(
        "races",
        f"loftr_node with SIFT, {len(kept)} lives, seed {seed}",
        {**dict(sorted(counts.items())), "seconds": round(time.monotonic() - start, 1)},
        [
            limit("growth of threads", threads1 - threads0, 0),
            limit("growth of descriptors", files1 - files0, DESCRIPTORS),
        ],
        faults,
    )


def _live(
    cast: list[tuple[racers.Role, Peer]], counts: Counter[str], faults: list[str], *, seed: int, is_abrupt: bool
) -> None:
    """Let the node live once: start it, race, check that it still works, end it."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C raises KeyboardInterrupt here
    node = LoftrNode()
    every_image = {"min_interval": 0.0, "max_displacement": 0.0}  # is a keyframe, so that there are some to match
    start = {"model": "sift", "autostart": False, **every_image}
    node.set_parameters([Parameter(name, value=value) for name, value in start.items()])
    life = Life(node, counts, faults)
    _tell_failed_callbacks(node, life)
    executor = GuardedExecutor()
    executor.add_node(node)
    ended: list[str] = []

    def spin() -> None:
        try:
            with suppress(ExternalShutdownException):
                executor.spin()
        except Exception as error:
            ended.append(f"the executor ended: {type(error).__name__}: {error}")

    spinning = threading.Thread(target=spin)
    spinning.start()
    goal = counts["transitions"] + counts["transitions refused"] + _PER_LIFE
    racing = [racers.race(role, peer, life, 100 * seed + number) for number, (role, peer) in enumerate(cast)]
    try:
        _until(lambda: counts["transitions"] + counts["transitions refused"] >= goal or not spinning.is_alive())
        if not is_abrupt:
            life.over.set()
            _join(racing)
            _check_that_it_works(node, life, cast)
    finally:  # also after Ctrl-C: threads that go on would keep the process alive
        if is_abrupt:
            life.is_ending.set()
        rclpy.shutdown()
        spinning.join()
        faults.extend(ended)
        node.stop()  # from here on as in run_nodes, with the racers still running after an abrupt end
        executor.finish()
        life.is_ending.set()
        life.over.set()
        _join(racing)
        executor.shutdown()
        node.destroy_node()


def _tell_failed_callbacks(node: LoftrNode, life: Life) -> None:
    """Make a fault of each exception in a callback, which otherwise is a problem of the node."""
    report = node.problems.report

    def tell(key: str, text: str) -> None:
        if key.startswith("callback"):
            life.fault(text)
        report(key, text)

    node.problems.report = tell  # type: ignore[method-assign]


def _check_that_it_works(node: LoftrNode, life: Life, cast: list[tuple[racers.Role, Peer]]) -> None:
    """Bring the node to active and wait for the answer to an image, unless a manager shut it down; then stop it."""
    if node.state == "finalized":
        life.count("shutdowns")
        return
    down = {"active": node.trigger_deactivate, "inactive": node.trigger_cleanup}
    while node.state in down:
        down[node.state]()
    steps = (node.trigger_configure, node.trigger_activate)
    if any(step() != TransitionCallbackReturn.SUCCESS for step in steps):
        life.fault(f"the node cannot be started again: {node._failure}")
        return
    for name in PARAMETERS:
        if (stored := node.get_parameter(name).value) != (used := getattr(node.parameters, name)):
            life.fault(f"parameter {name} is {stored!r} for ROS and {used!r} for the node")
    film, filming = cast[-1]
    calm = Life(node, Counter(), [])
    filmer = racers.race(film, filming, calm, seed=0)
    if not _until(lambda: node.counters.processed > 0):
        life.fault("no image is answered")
    calm.over.set()
    filmer.join()
    node.trigger_deactivate()
    counters, worker = node.counters, node._worker
    dropped = worker.dropped if worker else 0
    if counters.received != counters.processed + dropped + counters.refused:
        life.fault(
            f"{counters.received} images received are not {counters.processed} answered, {dropped} dropped and "
            f"{counters.refused} refused ones"
        )


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(_SECONDS)
        if thread.is_alive():
            raise RuntimeError(f"the racer {thread.name} hangs")


def _until(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + _SECONDS
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
