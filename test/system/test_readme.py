"""The README's tables are true: topics of the live graph, commands that exist and explain themselves."""

import gc
import re
import runpy
import signal
import subprocess
import sys

import cv2
import pytest

from perception_common.resources import find_share

pytestmark = pytest.mark.system
EVERY_NODE = {  # what rclpy and lifecycle nodes have by themselves
    *("/parameter_events", "/rosout", "/clock"),
    *("/yolc_node/transition_event", "/loftr_node/transition_event"),
}
BIN = find_share().parents[1] / "lib" / "yolc_ros"


@pytest.fixture
def as_before():
    """Signal handlers and garbage collection as they were before the commands ran."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    gc.unfreeze()


def section(repository, title):
    text = (repository / "README.md").read_text()
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text):
    """Cells of the table rows of a text, without the backquotes."""
    lines = [line for line in text.splitlines() if line.startswith(("| `", "| both"))]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def test_the_topics_are_those_of_the_live_graph(repository, bench, start):
    expected = {"yolc_node": set(), "loftr_node": set()}
    for node, direction, topic, kind in rows(section(repository, "Topics")):
        name = topic if topic.startswith("/") else f"/{topic}"
        for owner in expected if node == "both" else [node]:
            expected[owner].add((direction, name, kind.replace("/", "/msg/")))
    assert all(expected.values())

    start("perception")
    bench.camera().wait_for(2)
    for node, topics in expected.items():

        def live(node=node):
            found = {
                (direction, topic, kind)
                for direction, listing in (
                    ("out", bench.node.get_publisher_names_and_types_by_node(node, "/")),
                    ("in", bench.node.get_subscriber_names_and_types_by_node(node, "/")),
                )
                for topic, kinds in listing
                for kind in kinds
            }
            return {each for each in found if each[1] not in EVERY_NODE and "vision_msgs" not in each[2]}

        bench.until(lambda topics=topics, live=live: live() >= topics)
        assert live() == topics


def test_every_command_is_installed_and_has_help_with_an_example(repository, monkeypatch, capsys, as_before):
    """The scripts run in this process, which imports torch once and not for every one of them."""
    names = [name for row in rows(section(repository, "Commands")) for name in row[0].replace("`", "").split(", ")]
    assert sorted(names) == sorted(path.name for path in BIN.iterdir())
    for name in names:
        monkeypatch.setattr(sys, "argv", [str(BIN / name), "--help"])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(BIN / name), run_name="__main__")
        assert end.value.code == 0
        assert "example" in capsys.readouterr().out


def test_an_installed_command_runs_as_a_process():
    told = subprocess.run(
        [sys.executable, BIN / "yolc", "--help"], capture_output=True, text=True, check=False, timeout=60
    )
    assert told.returncode == 0, told.stderr
    assert "example" in told.stdout


def test_the_python_example_runs(repository, tmp_path, monkeypatch, picture):
    (code,) = re.findall(r"```python\n(.*?)```", (repository / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for name in ("0.jpg", "1.jpg"):
        cv2.imwrite(name, picture())
    told = {}
    exec(code, told)
    assert len(told["matches"].points0) == len(told["matches"].confidence)
    assert told["detections"].boxes.shape == (len(told["detections"].scores), 4)


@pytest.mark.parametrize("name", ["perception.yaml", "perception_cuda.yaml"])
def test_every_name_in_the_shipped_parameter_files_is_a_parameter(bench, start, name):
    process = start("perception", "--params-file", str(find_share() / "config" / name), autostart="false")
    bench.until(lambda: {"/yolc_node", "/loftr_node"} <= bench.diagnostics.keys())
    assert "unknown parameter" not in process.log.read_text()
