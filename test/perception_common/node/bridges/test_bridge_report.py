"""The status of a bridge in /diagnostics."""

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from perception_common.node.bridges.peers import Peer
from perception_common.node.bridges.report import bridge_status
from perception_common.node.bridges.traffic import Traffic


@pytest.fixture
def traffic():
    return Traffic("loops", lambda _: None)


def test_a_bridge_that_waits_names_what_it_waits_for(traffic):
    missing = [Peer("topic", name, "SLAM", lambda: False) for name in ("/info", "/pose")]
    status = bridge_status("/a_bridge", missing, [traffic], problems=())
    assert (status.level, status.name) == (DiagnosticStatus.OK, "/a_bridge")
    assert status.message == "waiting for /info, /pose"
    assert {pair.key: pair.value for pair in status.values}["waiting for"] == "/info, /pose"


def test_a_bridge_that_passes_something_on_is_well(traffic):
    for _ in range(3):
        traffic.receive()
    traffic.refuse("no scale")
    traffic.pass_on()
    status = bridge_status("/a_bridge", (), [traffic], problems=())
    assert (status.level, status.message) == (DiagnosticStatus.OK, "1 of 3 loops passed on")


def test_a_problem_comes_before_refusals_of_everything(traffic):
    traffic.receive()
    traffic.refuse("no scale")
    refused = "none of 1 loops was passed on, the last one: no scale"
    assert bridge_status("/a_bridge", (), [traffic], problems=()).message == refused
    status = bridge_status("/a_bridge", (), [traffic], problems=("no topic /info",))
    assert (status.level, status.message) == (DiagnosticStatus.WARN, "no topic /info")
    values = {pair.key: pair.value for pair in status.values}
    assert (values["problem 0"], values["problem 1"]) == ("no topic /info", refused)
