"""The check of a GPU, on the CPU: its comparisons, its files and its errors."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from loftr_ros.matches import Matches
from perception_common.errors import InputError
from replay_ros.benchmarks.gpu_check import check, nodes
from replay_ros.benchmarks.gpu_check.parity import OnDevice, different_boxes, different_matches
from replay_ros.benchmarks.gpu_check.plan import QUICK_GPU_CHECK
from replay_ros.benchmarks.machine import describe_machine
from replay_ros.benchmarks.measurement import Check, SubjectReport
from replay_ros.commands.benchmark import main
from yolc_ros.detector import Detections


@pytest.fixture(autouse=True)
def keep_threads():
    """The command sets the threads of torch for the whole process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def matches(*cells):
    cells0, cells1 = (np.array(column, np.int64) for column in zip(*cells, strict=True))
    points, ones = np.zeros((len(cells), 2), np.float32), np.ones(len(cells), np.float32)
    return Matches(points, points, ones, ones, cells0, cells1, (64, 64), (64, 64))


def detections(*boxes, label=0):
    count = len(boxes)
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.ones(count, np.float32),
        labels=np.full(count, label),
        region=np.full(count, -1),
        regions=(),
        class_names=("car", "bus"),
    )


def test_matches_differ_by_their_cells():
    some = matches((1, 2), (3, 4), (5, 6))
    assert different_matches(some, some) == 0
    assert different_matches(matches((5, 6), (3, 4), (1, 2)), some) == 0
    assert different_matches(matches((1, 2), (3, 4), (5, 7)), some) == 0.5
    assert different_matches(matches((7, 7)), some) == 1


def test_boxes_differ_by_class_and_place():
    box, other = (0, 0, 10, 10), (20, 20, 30, 30)
    assert different_boxes(detections(box, other), detections(other, (0, 0, 10.5, 10))) == 0
    assert different_boxes(detections(box), detections(box, other)) == pytest.approx(1 / 3)
    assert different_boxes(detections(box), detections(box, label=1)) == 1
    assert different_boxes(detections(), detections(box)) == 1
    assert different_boxes(detections(), detections()) == 0


def test_outputs_come_back_to_the_cpu_after_graphs_were_recorded():
    class Counting:
        runs = 0

        def run(self, part, x):
            self.runs += 1
            return (x + self.runs,)

    runtime = Counting()
    (found,) = OnDevice(runtime, torch.device("cpu")).run("part", torch.zeros(2))
    assert found.tolist() == [3, 3]


def test_without_a_gpu_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="needs a CUDA GPU, and torch finds none; --device cpu tries"):
        main(["--gpu-check", "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [["--gpu-check"], ["--output", "out"], ["--device", "cpu"], ["--gpu-check", "--output", "out", "--json", "x"]],
)
def test_options_that_do_not_fit_are_refused(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="--gpu-check"):
        main(arguments)


def test_what_no_time_is_left_for_is_named_and_the_rest_is_written(tmp_path, monkeypatch):
    report = SubjectReport("parity", "compared", checks=(Check("maps", "equality", 0.0, 1.0),))
    monkeypatch.setattr(check.parity, "measure", lambda device, plan: report)
    plan = dataclasses.replace(QUICK_GPU_CHECK, seconds=-1.0)
    found = check.check_gpu("cpu", plan, describe_machine(1), tmp_path)
    assert [each.subject for each in found] == ["parity", "nodes", "timings"]
    assert all("left out" in each.conditions for each in found)
    plan = dataclasses.replace(QUICK_GPU_CHECK, seconds=1e9)
    monkeypatch.setattr(check.nodes, "measure", lambda *_: SubjectReport("nodes", "replayed"))
    monkeypatch.setattr(check.timings, "measure", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        check.check_gpu("cpu", plan, describe_machine(1), tmp_path)
    content = json.loads((tmp_path / check.JSON).read_text())
    assert [each["subject"] for each in content["reports"]] == ["parity", "nodes"]
    assert "maps: 0, at most 1: equal" in (tmp_path / check.MARKDOWN).read_text()


@pytest.mark.slow
def test_the_whole_command_on_the_cpu(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(nodes, "has_ros", lambda: False)  # test/system starts nodes
    arguments = ["--gpu-check", "--output", str(tmp_path), "--device", "cpu", "--quick", "--threads", "1"]
    assert main(arguments) == 0
    content = json.loads((tmp_path / check.JSON).read_text())
    parity, replayed, timings = content["reports"]
    assert {each["kind"] for each in parity["checks"]} >= {"equality"}
    assert all(each["holds"] for report in content["reports"] for each in report["checks"])
    compared = {each["name"].split(": ")[1] for each in parity["checks"]}
    assert compared >= {"encode, coarse", "transform, transformed1", "fine, offset", "maps, heatmap"}
    assert "2 images of 160x120" in replayed["conditions"]
    assert {row["name"] for row in timings["rows"]} == {
        f"{model}, {name}" for model in ("loftr_lite", "yolc_lite") for name in ("fp32", "auto")
    }
    shown = capsys.readouterr().out
    assert (tmp_path / check.MARKDOWN).read_text() == shown
