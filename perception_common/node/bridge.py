"""Nodes between our messages and those of other packages, which may not be installed or not run yet."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from perception_common.errors import InputError
from perception_common.node.problems import Problems
from perception_common.node.runner import parse_arguments, spin_nodes

_PATIENCE = 5.0  # seconds after which something missing is a problem, as the nodes' input_timeout


def load_messages(module: str, install: str) -> ModuleType:
    """Import a module of messages such as "rtabmap_msgs.srv".

    install: what to do where it is missing, such as "apt install ros-jazzy-rtabmap-msgs"; the InputError names it.
    """
    package = module.split(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"{package} is not installed: {install}, and source its setup first") from error


@dataclass(frozen=True)
class Peer:
    """A topic or service of another program. kind: "topic" or "service". program: what to start, with its package."""

    kind: str
    name: str
    program: str
    is_there: Callable[[], bool]


def publisher_of(node: Node, topic: str, program: str) -> Peer:
    """Return the publisher that the node needs for a topic, given by its relative name."""
    name = node.resolve_topic_name(topic)
    return Peer("topic", name, program, lambda: node.count_publishers(name) > 0)


def server_of(client: Any, program: str) -> Peer:
    """Return the server that a client needs."""
    return Peer("service", client.srv_name, program, client.service_is_ready)


class PeerWatch:
    """Says what a bridge waits for: once at the start, and as a problem for each that is missing after 5 seconds."""

    def __init__(self, node: Node, problems: Problems, peers: Sequence[Peer]):
        self._log = node.get_logger().info
        self._problems = problems
        self._missing = list(peers)
        self._log("waiting for " + ", ".join(f"{peer.name} of {peer.program}" for peer in peers))
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # so that the timer also fires while sim time is stopped
        self._timer = node.create_timer(_PATIENCE, self._check, clock=steady)

    def _check(self) -> None:
        for peer in [*self._missing]:
            if peer.is_there():
                self._missing.remove(peer)
                self._problems.resolve(peer.name)
                continue
            self._problems.report(
                peer.name,
                f"there is no {peer.kind} {peer.name} after {_PATIENCE:g} s: start {peer.program}, or remap the name",
            )
        if not self._missing:
            self._log("everything that the bridge waits for is there")
            self._timer.cancel()


def run_bridge(make_node: Callable[[], Node], description: str, example: str, arguments: list[str] | None) -> int:
    """Run a node until SIGINT or SIGTERM; returns the exit status. Raises InputError of `make_node`.

    `arguments` are those of the command line without the program's name (None: sys.argv); those after --ros-args
    belong to ROS.
    """
    return spin_nodes([make_node], parse_arguments(description, example, arguments))
