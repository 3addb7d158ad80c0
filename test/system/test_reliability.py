"""Short forms of the reliability runs; `make soak` and so on run the long ones."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from replay_ros.live.processes import find_executable, hear_sigint
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


@pytest.mark.parametrize(("run", "number", "status"), [("soak", signal.SIGINT, 130), ("races", signal.SIGTERM, 143)])
def test_an_interrupt_ends_a_run_with_its_nodes_and_without_a_traceback(tmp_path, run, number, status):
    program = str(find_executable("reliability"))
    command = [sys.executable, program, run, "--amount", "100000", "--folder", str(tmp_path / "logs")]
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, preexec_fn=hear_sigint)
    nodes = []
    try:
        logs = [tmp_path / "said", tmp_path / "logs" / "002_loftr_node.log"]
        end = time.monotonic() + 120
        while not any(log.exists() and "waiting for images" in log.read_text() for log in logs):
            assert process.poll() is None, (tmp_path / "said").read_text()
            assert time.monotonic() < end
            time.sleep(0.1)
        nodes = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        assert process.wait(timeout=60) == status
    finally:
        process.kill()
        left = [node for node in nodes if node.is_running()]
        for node in left:
            node.kill()
    assert "Traceback" not in (tmp_path / "said").read_text()
    assert not left
