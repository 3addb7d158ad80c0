"""The diagnostics of a node, made from counters without a node."""

from diagnostic_msgs.msg import DiagnosticStatus

from perception_common.node.counters import FrameCounters
from perception_common.node.diagnostics import node_status

SECOND = 1_000_000_000


def status_of(counters, now=0.0, **changes):
    given = {"name": "/a_node", "device": "cpu", "state": "active", "failure": "", "problems": ()}
    return node_status(counters, now, dropped=3, details={"model": "lite"}, **{**given, **changes})


def values_of(status):
    return {pair.key: pair.value for pair in status.values}


def test_counts_rates_and_latencies_are_listed():
    counters = FrameCounters(now=0.0)
    jumps = [counters.add_arrival(stamp * SECOND, now=0.1 * stamp) for stamp in (1, 2, 4, 3)]
    counters.add_stage("network", 0.25)
    counters.add_processed(now=0.5)
    counters.add_refusal("too dark")
    assert jumps == [0, 0, 0, SECOND]

    status = status_of(counters, now=0.5)
    assert (status.level, status.message) == (DiagnosticStatus.OK, "active: 0.2 images/s answered")
    assert (status.name, status.hardware_id) == ("/a_node", "cpu")
    assert values_of(status) == {
        "state": "active",
        "model": "lite",
        "images received": "4",
        "images answered": "1",
        "images dropped": "3",
        "images lost before this node": "0",
        "of these in the middleware": "0",
        "images refused": "1",
        "last refusal": "too dark",
        "stamps jumped back": "1",
        "input rate [1/s]": "0.80",
        "output rate [1/s]": "0.20",
        "network p50 [ms]": "250.00",
        "network p95 [ms]": "250.00",
        "network p99 [ms]": "250.00",
    }


def test_a_failure_outweighs_problems_and_a_problem_outweighs_the_rate():
    counters = FrameCounters(now=0.0)
    warning = status_of(counters, problems=("no images", "no camera_info"))
    assert (warning.level, warning.message) == (DiagnosticStatus.WARN, "no images")
    assert [values_of(warning)[f"problem {number}"] for number in (0, 1)] == ["no images", "no camera_info"]
    error = status_of(counters, problems=("no images",), failure="no such weights")
    assert (error.level, error.message) == (DiagnosticStatus.ERROR, "no such weights")
