"""The command line of `benchmark`: status, output and errors."""

import sys

import pytest
import torch

from perception_common.errors import InputError
from perception_common.text.markdown import markdown_table
from replay_ros.benchmarks.measurement import QUICK_PLAN, Check, Figure, FigurePoint, SubjectReport
from replay_ros.benchmarks.run import run_subject
from replay_ros.commands import benchmark


@pytest.fixture(autouse=True)
def keep_threads():
    """The command sets the threads of torch for the whole process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_unequal_outputs_are_status_2(monkeypatch, capsys):
    report = SubjectReport("yolc", "", checks=(Check("largest difference", "equality", 0.5, 1e-4, "px"),))
    monkeypatch.setattr(benchmark, "run_subject", lambda *_, **__: report)
    assert benchmark.main(["--only", "yolc"]) == 2
    assert "largest difference: 0.5 px, at most 0.0001 px: NOT EQUAL" in capsys.readouterr().out


def test_a_missed_aim_is_not_a_failure(monkeypatch, capsys):
    report = SubjectReport("yolc", "", checks=(Check("overhead", "aim", 12.0, 10.0, "ms"),))
    monkeypatch.setattr(benchmark, "run_subject", lambda *_, **__: report)
    assert benchmark.main(["--only", "yolc"]) == 0
    assert "overhead: 12 ms, at most 10 ms: missed" in capsys.readouterr().out


def test_a_named_subject_needs_its_optional_modules(monkeypatch):
    monkeypatch.delitem(sys.modules, "replay_ros.benchmarks.subjects.loftr", raising=False)
    monkeypatch.setitem(sys.modules, "kornia", None)
    monkeypatch.setitem(sys.modules, "kornia.feature", None)
    with pytest.raises(InputError, match=r"loftr needs kornia.*pip install kornia"):
        benchmark.main(["--quick", "--only", "loftr"])


def test_a_subject_without_its_optional_modules_is_left_out(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "replay_ros.benchmarks.subjects.loftr", raising=False)
    monkeypatch.setitem(sys.modules, "kornia", None)
    monkeypatch.setitem(sys.modules, "kornia.feature", None)
    assert run_subject("loftr", QUICK_PLAN, is_required=False) is None
    assert "loftr needs kornia" in capsys.readouterr().err


FIGURE = Figure("time", "AP50", (FigurePoint("LSM", "k=1", 0.4, 0.5), FigurePoint("LSM", "k=2", 0.6, 0.55)))


def test_a_figure_is_printed_and_plotted_the_same_each_time(monkeypatch, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(benchmark, "run_subject", lambda *_, **__: SubjectReport("looks", "", figure=FIGURE))
    first, second = tmp_path / "first.svg", tmp_path / "second.svg"
    for path in (first, second):
        assert benchmark.main(["--only", "looks", "--plot", str(path)]) == 0
    assert "| LSM    |   k=2 | 0.6 | 0.55 |" in capsys.readouterr().out
    assert first.read_bytes() == second.read_bytes()
    assert all(f">{text}<" in first.read_text() for text in ("k=1", "k=2", "time", "AP50", "LSM"))


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [(["--only", "looks", "--plot", "looks.pdf"], r"\.svg or \.png"), (["--only", "lite", "--plot", "a.svg"], "looks")],
)
def test_a_plot_that_cannot_be_is_refused_before_anything_is_measured(arguments, cause, monkeypatch):
    monkeypatch.setattr(benchmark, "run_subject", lambda *_, **__: pytest.fail("was run"))
    with pytest.raises(InputError, match=cause):
        benchmark.main(arguments)


def test_negative_numbers_are_refused():
    with pytest.raises(InputError, match="positive"):
        benchmark.main(["--repeat", "-1"])


def test_json_that_cannot_be_written_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark, "run_subject", lambda *_, **__: SubjectReport("yolc", ""))
    with pytest.raises(InputError, match="cannot be written"):
        benchmark.main(["--only", "yolc", "--json", str(tmp_path / "missing" / "file.json")])


def test_the_table_is_markdown_with_columns_of_one_width():
    lines = list(markdown_table([("", "median"), ("a long name", "1"), ("b", "1234")]))
    assert lines == [
        "|             | median |",
        "|-------------|-------:|",
        "| a long name |      1 |",
        "| b           |   1234 |",
    ]
