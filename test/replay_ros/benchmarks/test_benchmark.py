"""The subjects of the benchmark at tiny sizes, and their checks of equal outputs. Durations are not tested."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from perception_common.errors import InputError
from replay_ros.benchmarks import plain_yolc, synthetic, untrained
from replay_ros.benchmarks.measurement import QUICK_PLAN, BenchmarkPlan, Check, Measurement, take_turns
from replay_ros.benchmarks.run import SUBJECTS
from replay_ros.benchmarks.subjects import memory, yolc
from replay_ros.commands.benchmark import main
from yolc_ros.network.fuse import prepare_for_inference

CHECKS = {
    "loftr": 3,
    "memory": 0,
    "yolc": 3,
    "lite": 0,
    "load": 0,
    "runtimes": 4,
    "stages": 1,
    "pose": 0,
    "consistency": 0,
    "tracks": 0,
    "tracking": 0,
    "hover": 0,
    "looks": 0,
    "budget": 0,
    "training": 0,
    "loops": 1,
    "georeference": 1,
    "odometry": 0,
    "fleet": 1,
}  # number of equality checks


@pytest.fixture(autouse=True)
def keep_threads():
    """The command sets the threads of torch for the whole process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def run_quick(subject, folder):
    path = folder / f"{subject}.json"
    status = main(["--quick", "--only", subject, "--repeat", "1", "--json", str(path)])
    return status, json.loads(path.read_text())


@pytest.mark.slow
class TestSubjects:
    @pytest.mark.parametrize("subject", SUBJECTS)
    def test_has_rows_and_equal_outputs(self, subject, tmp_path, capsys, monkeypatch):
        if subject == "stages":
            pytest.importorskip("rclpy")
            pytest.importorskip("yolc_ros.msg", reason="the messages exist only after a build")
        if subject == "runtimes":
            for package in ("onnx", "onnxscript", "onnxruntime"):
                pytest.importorskip(package)
            monkeypatch.setenv("ROS_HOME", str(tmp_path))
            monkeypatch.setattr("replay_ros.benchmarks.subjects.runtimes.PROVIDERS", ("cpu",))
        status, content = run_quick(subject, tmp_path)
        (report,) = content["reports"]
        assert status == 0
        assert report["subject"] == subject
        assert all(0 < row["minimum"] <= row["lower_quartile"] <= row["median"] for row in report["rows"])
        equality = [check for check in report["checks"] if check["kind"] == "equality"]
        assert len(equality) == CHECKS[subject]
        assert all(check["holds"] for check in equality)
        assert content["machine"]["threads"] == content["plan"]["threads"] == 1
        printed = capsys.readouterr().out
        assert all(row["name"] in printed for row in report["rows"])

    def test_lite_has_frames_per_second_beside_milliseconds(self, tmp_path):
        _, content = run_quick("lite", tmp_path)
        rows = {(row["name"], row["unit"]): row["median"] for row in content["reports"][0]["rows"]}
        milliseconds = {name: value for (name, unit), value in rows.items() if unit == "ms"}
        assert len(milliseconds) in (3, 6)  # with bf16 where the CPU computes it
        assert all(rows[name, "frames/s"] == pytest.approx(1000 / value) for name, value in milliseconds.items())


class TestMeasurement:
    def test_quartiles(self):
        row = Measurement.milliseconds("x", [0.004, 0.001, 0.002, 0.003, 0.005])
        values = (row.minimum, row.lower_quartile, row.median, row.upper_quartile)
        assert values == pytest.approx((1, 2, 3, 4))
        assert (row.unit, row.runs) == ("ms", 5)

    def test_a_ratio_is_taken_round_by_round(self):
        assert Measurement.ratio("x", [1, 10, 100], [2, 20, 200]).upper_quartile == 0.5

    def test_tasks_take_turns_and_the_first_round_is_not_timed(self):
        calls = []
        seconds = take_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2, "")
        assert calls == ["a", "b"] * 3
        assert [len(values) for values in seconds.values()] == [2, 2]

    def test_nan_does_not_hold(self):
        assert not Check("x", "equality", math.nan, 1.0).holds


class TestMemory:
    def test_kornia_is_left_out_without_enough_memory(self, monkeypatch):
        monkeypatch.setattr(memory, "available_memory", lambda: 1 << 30)
        monkeypatch.setattr(memory, "peak_in_child", lambda side, plan: Measurement.of(side, "MiB", [100.0]))
        report = memory.measure(BenchmarkPlan(threads=1))
        assert [row.name for row in report.rows] == ["ours"]
        assert not report.checks
        assert "kornia was left out" in report.notes[0]

    def test_the_estimate_includes_four_matrices_of_all_cell_pairs(self):
        assert memory.estimate_kornia(1600, 1200) > 4 * 30_000**2 * 4

    @pytest.mark.slow
    def test_a_child_that_fails_is_named(self):
        plan = dataclasses.replace(QUICK_PLAN, memory_pair=(0, 0))
        with pytest.raises(InputError, match="matching with ours failed"):
            memory.peak_in_child("ours", plan)


class TestYolcComparison:
    @pytest.fixture(scope="class")
    def found(self):
        image = torch.from_numpy(synthetic.crowded_frame(128, 96)).permute(2, 0, 1)[None].contiguous()
        with torch.inference_mode():
            network = untrained.untrained_yolc("yolc_lite", image, 20, yolc.SCORE)
            ours = yolc.detect_before_nms(prepare_for_inference(network), image)
            return ours, plain_yolc.detect(network, image, yolc.SCORE)

    def test_ours_equals_the_plain_version(self, found):
        assert 10 <= len(found[0].boxes) <= 40
        assert all(check.holds for check in yolc.compare_detections(*found))

    def test_a_different_box_is_noticed(self, found):
        ours, plain = found
        moved = dataclasses.replace(ours, boxes=ours.boxes + torch.tensor([0.0, 0.02, 0.0, 0.0]))
        assert [check.holds for check in yolc.compare_detections(moved, plain)] == [True, True, False]

    def test_a_missing_object_is_noticed(self, found):
        ours, plain = found
        kept = torch.arange(len(plain.scores)) != len(plain.scores) // 2
        columns = {name: getattr(plain, name)[kept] for name in ("scores", "labels", "positions", "boxes")}
        fewer = dataclasses.replace(plain, **columns)
        assert not yolc.compare_detections(ours, fewer)[0].holds

    def test_the_highest_neighbour_is_never_the_pixel_itself(self):
        heatmap = torch.tensor([[[0.1, 0.2, 0.3], [0.4, 0.9, 0.5], [0.6, 0.7, 0.8]]])
        expected = torch.tensor([[[0.9, 0.9, 0.9], [0.9, 0.8, 0.9], [0.9, 0.9, 0.9]]])
        assert torch.equal(yolc.highest_neighbour(heatmap), expected)


def test_the_textured_pair_overlaps_by_two_thirds():
    image0, image1 = synthetic.textured_pair(96, 64)
    assert image0.shape == image1.shape == (64, 96)
    np.testing.assert_array_equal(image0[:, :64], image1[:, 32:])
