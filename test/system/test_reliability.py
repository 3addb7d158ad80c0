"""Short forms of the reliability runs; `make soak` and so on run the long ones."""

import pytest

from replay_ros.reliability.chaos.run import run_chaos
from replay_ros.reliability.overload import run_overload
from replay_ros.reliability.soak import run_soak

pytestmark = pytest.mark.system


def broken(report, ignored=()):
    """What went wrong, but for the limits whose names end so: a short run on a busy machine says little of them."""
    return [
        *report.failures,
        *(each.name for each in report.limits if not each.holds and not each.name.endswith(ignored)),
    ]


def test_soak(tmp_path):
    report = run_soak(150, tmp_path)
    assert not broken(report, ("growth of memory",))


def test_overload(tmp_path):
    report = run_overload(0.2, tmp_path)
    assert not broken(report, ("latency, last over first",))
    assert report.figures["yolc_node: images dropped"] > 0


def test_chaos(tmp_path):
    faults = [
        "not allowed",
        "unknown encoding",
        "corrupted",
        "jumps back an hour",
        "kill loftr_node",
        "trajectory",
        "checkpoint",
    ]
    report = run_chaos(1, tmp_path, only=faults)
    assert not broken(report, ("answers again",))
    assert len(report.figures) >= 5
