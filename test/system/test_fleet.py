"""Fleets of small simulated bags through real worker processes: the answers of the serial replay, whatever dies."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
import torch

from flight_sim.flight import CameraOptions, FlightOptions
from flight_sim.flight_path import FlightPathOptions
from perception_common.backends.devices import set_threads
from perception_common.resources import find_share
from replay_ros.bags.making.flight import FlightBagOptions, write_flight
from replay_ros.commands.fleet import main
from replay_ros.commands.replay import main as replay
from replay_ros.fleet.record import LOGS, MARKS, read_records

pytestmark = pytest.mark.system
BIN = find_share().parents[1] / "lib" / "yolc_ros"
BAGS = 6  # two may end with a killed driver, beside those that were done before
PARAMETERS = """
/**/yolc_node: {ros__parameters: {max_side: 192}}
/**/loftr_node: {ros__parameters: {model: sift, max_side: 256, altitude: range, gimbal: pitch, gimbal_pitch: -75.0}}
"""
TIMES = {"seconds", "timing", "latency", "node_latency", "out"}  # of a result: measured, and where it was written


@pytest.fixture(scope="module", autouse=True)
def environment():
    """Results name no commit: one that is made during the tests must not look like other software.

    Ray, which reads this when it is imported, uses loopback addresses, reports nothing, and a short folder.
    """
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as place:
        patch.setenv("GIT_DIR", os.devnull)
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_TMPDIR", place)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds `flights`, four bags of four images, and parameters.yaml."""
    folder = tmp_path_factory.mktemp("fleet")
    flight = FlightOptions(
        path=FlightPathOptions(kind="survey", duration_s=3.0, altitude_m=30.0, pitch_deg=-75.0),
        camera=CameraOptions(width=256, height=192),
        frame_rate_hz=1.0,
    )
    for seed in range(BAGS):
        write_flight(FlightBagOptions(folder / "flights" / f"flight_{seed}", seed=seed, flight=flight))
    (folder / "parameters.yaml").write_text(PARAMETERS)
    return folder


def arguments(folder, output, *more):
    options = ["--output", output, "--params-file", folder / "parameters.yaml", "--cpus", 1, *more]
    return [str(word) for word in ("replay", folder / "flights", *options)]


def start(folder, output, *more):
    """Start the command as the leader of a session of its own."""
    command = [sys.executable, str(BIN / "fleet"), *arguments(folder, output, *more)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def wait_for(condition, driver=None, seconds=240):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        assert driver is None or driver.poll() is None, driver.communicate()[0]
        time.sleep(0.05)
    return found


def marks(output):
    return {path.stem: path.stat().st_mtime_ns for path in (output / MARKS).glob("[!.]*.json")}


def bytes_of(bag: Path):
    return {file.name: file.read_bytes() for file in bag.iterdir()}


def untimed(result: Path):
    """A result without its times and without the path of its bag."""
    content = json.loads(result.read_text())
    detection = content["detection"]
    return {key: value for key, value in content.items() if key not in TIMES} | {
        "detection": detection and {key: value for key, value in detection.items() if key != "truth"}
    }


@pytest.fixture(scope="module")
def serial(folder):
    """The answers of `yolc replay`, bag by bag."""
    before = torch.get_num_threads()
    set_threads(1)
    for bag in sorted((folder / "flights").iterdir()):
        words = [bag, folder / "serial" / bag.name, "--params-file", folder / "parameters.yaml", "--no-report"]
        assert replay([str(word) for word in words]) == 0
    set_threads(before)
    return folder / "serial"


def assert_equal(output, serial):
    """The fleet answered every bag once, with the bytes of the serial replay."""
    records = read_records(output)
    assert [record.name for record in records] == sorted(path.name for path in serial.iterdir() if path.is_dir())
    assert {record.status for record in records} == {"done"}
    for record in records:
        assert bytes_of(output / record.files["bag"]) == bytes_of(serial / record.name)
        assert untimed(output / record.files["result"]) == untimed(serial / f"{record.name}.json")


def test_two_workers_answer_as_the_serial_replay(folder, serial, capsys):
    assert main(arguments(folder, folder / "local", "--workers", 2)) == 0
    assert_equal(folder / "local", serial)
    assert f"{BAGS} done, 0 incomplete, 0 failed" in capsys.readouterr().out
    assert (folder / "local" / "overview.html").read_text().count('href="bags/flight_0.html"') > 1


def test_a_bag_that_cannot_be_read_ends_nothing_else(folder, capsys):
    (folder / "broken.mcap").write_bytes(b"no bag")
    words = ["replay", folder / "flights" / "flight_0", folder / "broken.mcap", folder / "missing", "--no-detection"]
    words += ["--output", folder / "odd", "--params-file", folder / "parameters.yaml", "--no-report"]
    assert main([str(word) for word in words]) == 3
    assert [record.status for record in read_records(folder / "odd")] == ["done", "failed", "failed"]
    stderr = capsys.readouterr().err
    assert "broken" in stderr
    assert "does not exist" in stderr


def test_a_task_is_repeated_when_its_worker_is_killed(folder, serial):
    output = folder / "killed_worker"
    driver = start(folder, output, "--no-report")
    wait_for(lambda: list((output / LOGS).glob("*.log")) if (output / LOGS).is_dir() else [], driver)
    children = Path(f"/proc/{driver.pid}/task/{driver.pid}/children").read_text().split()
    (worker,) = [pid for pid in children if b"local_worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(int(worker), signal.SIGKILL)
    out, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0, out
    assert "killed (SIGKILL)" in out
    assert sum(record.attempts for record in read_records(output)) == BAGS + 1
    assert_equal(output, serial)
    assert not list((output / "bags").glob("*.html"))


@pytest.mark.parametrize("engine", [["--workers", 2], ["--ray", "local", "--workers", 2]], ids=["local", "ray"])
def test_a_killed_driver_goes_on_and_does_nothing_twice(folder, serial, engine):
    if "--ray" in engine:
        pytest.importorskip("ray")
    output = folder / f"killed_driver_{len(engine)}"
    driver = start(folder, output, "--no-report", *engine)
    try:
        wait_for(lambda: marks(output), driver)
    finally:
        driver.kill()
        driver.wait()
    wait_for(lambda: not workers_of(driver.pid), seconds=60)
    before = marks(output)  # a task may have ended with the driver
    assert len(before) < BAGS
    with contextlib.suppress(ProcessLookupError):  # helpers of Ray, which otherwise end within a minute
        os.killpg(driver.pid, signal.SIGKILL)
    again = start(folder, output, "--no-report", *engine)
    out, _ = again.communicate(timeout=400)
    assert again.returncode == 0, out
    assert f"{len(before)} of {BAGS} tasks are done already" in out
    assert {name: marks(output)[name] for name in before} == before  # not done again
    assert_equal(output, serial)


def workers_of(session):
    """Processes that work on tasks of a driver that was the leader of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (path / "cmdline").read_bytes()
            environment = (path / "environ").read_bytes()
            if (b"local_worker" in command or command.startswith((b"ray::perform", b"ray::fleet"))) and (
                f"YOLC_TEST={session}".encode() in environment or os.getsid(int(path.name)) == session
            ):
                found.append(int(path.name))
    return found


def test_a_node_that_is_killed_loses_nothing(folder, serial):
    """Two nodes of Ray on this machine, with one core each; one is killed while both work."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    output, store = folder / "killed_node", 80 * 2**20
    (Path(os.environ["RAY_TMPDIR"]) / "ray").mkdir(exist_ok=True)  # Ray writes the address there
    head = {"num_cpus": 1, "object_store_memory": store, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        node = cluster.add_node(num_cpus=1, object_store_memory=store)
        assert cluster.address.startswith("127.0.0.1:")
        killer = threading.Thread(target=kill_node, args=(cluster, node, output))
        killer.start()
        status = main(arguments(folder, output, "--ray", cluster.address, "--no-report"))
        killer.join()
    finally:
        cluster.shutdown()
    assert status == 0
    assert_equal(output, serial)
    assert max(record.attempts for record in read_records(output)) == 2


def kill_node(cluster, node, output):
    """Kill a node when two tasks have begun and neither is done."""
    wait_for(lambda: len(list((output / LOGS).glob("*.log"))) >= 2)
    cluster.remove_node(node, allow_graceful=False)
