"""The other programs that a bridge needs: which of their topics and services are missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node

from perception_common.node.problems import Problems

_PATIENCE = 5.0  # seconds after which something missing is a problem, as the nodes' input_timeout


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
    """Says what a bridge waits for: once at the start, and as a problem for each that is missing for 5 seconds.

    `now` is in seconds of one monotonic clock. log: gets the lines that are no problems.
    """

    def __init__(self, peers: Sequence[Peer], problems: Problems, log: Callable[[str], None], now: float):
        self._peers = tuple(peers)
        self._problems = problems
        self._log = log
        self._last_seen = {peer.name: now for peer in peers}
        self.missing = self._peers
        log("waiting for " + ", ".join(f"{peer.name} of {peer.program}" for peer in peers))

    def check(self, now: float) -> None:
        """Look which peers are there; those that go away are missed again."""
        missing = tuple(peer for peer in self._peers if not peer.is_there())
        for peer in self._peers:
            if peer not in missing:
                self._last_seen[peer.name] = now
                self._problems.resolve(peer.name)
            elif now - self._last_seen[peer.name] >= _PATIENCE:
                self._problems.report(
                    peer.name,
                    f"there is no {peer.kind} {peer.name} for {_PATIENCE:g} s: start {peer.program}, or remap the name",
                )
        if self.missing and not missing:
            self._log("everything that the bridge waits for is there")
        self.missing = missing
