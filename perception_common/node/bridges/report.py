"""What a bridge tells in /diagnostics."""

from __future__ import annotations

import time
from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from perception_common.node.bridges.peers import Peer, PeerWatch
from perception_common.node.bridges.traffic import Traffic
from perception_common.node.diagnostics import diagnostic_status
from perception_common.node.problems import Problems

_SECONDS = 1.0


def bridge_status(
    name: str, missing: Sequence[Peer], traffic: Sequence[Traffic], problems: Sequence[str]
) -> DiagnosticStatus:
    """Describe a bridge: WARN with a problem or while everything is refused, else OK.

    missing: the peers that the bridge waits for. problems: what is wrong now, the oldest first.
    """
    waits_for = ", ".join(peer.name for peer in missing)
    counted = ", ".join(f"{each.passed} of {each.received} {each.what} passed on" for each in traffic)
    return diagnostic_status(
        name=name,
        hardware_id="",
        problems=[*problems, *(each.blockage for each in traffic if each.blockage)],
        otherwise=f"waiting for {waits_for}" if waits_for else counted,
        values={
            "waiting for": waits_for,
            **{key: value for each in traffic for key, value in each.values().items()},
        },
    )


class BridgeReport:
    """Watches the peers of a bridge, and publishes its status in /diagnostics once a second."""

    def __init__(self, node: Node, problems: Problems, peers: Sequence[Peer], traffic: Sequence[Traffic]):
        self._node = node
        self._problems = problems
        self._traffic = tuple(traffic)
        self._watch = PeerWatch(peers, problems, node.get_logger().info, time.monotonic())
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", QoSProfile(depth=10))
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # so that the timer also fires while sim time is stopped
        self._timer = node.create_timer(_SECONDS, self._tell, clock=steady)

    def _tell(self) -> None:
        self._watch.check(time.monotonic())
        status = bridge_status(
            self._node.get_fully_qualified_name(), self._watch.missing, self._traffic, self._problems.active()
        )
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._publisher.publish(DiagnosticArray(header=header, status=[status]))
