import json
import math

import pytest

from perception_common.training import progress as progress_module
from perception_common.training.progress import Progress, read_metrics


def test_means_are_printed_with_the_rate_and_the_time_left(tmp_path, capsys):
    progress = Progress(tmp_path, step=0, steps=602, every=2)
    progress.add_step(1, samples=4, seconds=2.0, values={"loss": 1.0})
    progress.add_step(2, samples=4, seconds=4.0, values={"loss": 3.0})
    progress.close()
    line = capsys.readouterr().out
    assert line.startswith("step 2/602  loss 2  step_seconds 3  samples_per_second 1.333")
    assert line.rstrip().endswith("left 30 min")
    (record,) = read_metrics(tmp_path / "metrics.jsonl")
    assert (record["step"], record["kind"], record["loss"]) == (2, "training", 2.0)


def test_a_resumed_run_removes_log_entries_after_its_checkpoint(tmp_path):
    progress = Progress(tmp_path, step=0, steps=10, every=1)
    for step in (1, 2, 3):
        progress.add_step(step, 1, 1.0, {"loss": float(step)})
    progress.close()
    Progress(tmp_path, step=2, steps=10, every=1).close()
    assert [record["step"] for record in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2]


def test_a_truncated_last_line_is_ignored(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "kind": "training", "loss": 1.0}\n{"step": 2, "ki')
    assert [record["step"] for record in read_metrics(tmp_path / "metrics.jsonl")] == [1]


@pytest.mark.parametrize(
    "end", [b"\0\0\0\0", b"\xff\xfe", b"5\n", b"{}\n", b"[" * 100_000, b'{"step": "two"}\n', b'{"step": 2, "ki']
)
def test_a_log_is_read_up_to_its_damage(tmp_path, end):
    log = tmp_path / "metrics.jsonl"
    log.write_bytes(b'{"step": 1, "kind": "training", "loss": null}\n' + end)
    assert [record["step"] for record in read_metrics(log)] == [1]
    Progress(tmp_path, 1, 10).close()  # which writes the log anew, without the damage
    assert [record["step"] for record in read_metrics(log)] == [1]


def test_the_log_is_json_even_for_nonfinite_values(tmp_path):
    progress = Progress(tmp_path, step=0, steps=10, every=1)
    progress.add_evaluation(1, {"auc": math.nan})
    progress.close()
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["auc"] is None


def test_curves_are_drawn(tmp_path):
    progress = Progress(tmp_path, step=0, steps=10, every=1)
    progress.add_step(1, 1, 1.0, {"loss": 1.0})
    progress.add_evaluation(1, {"auc": 0.5})
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_curves_are_drawn_again_only_for_new_values(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(progress_module, "draw_curves", lambda records, path: drawn.append(len(records)))
    for last in (False, True):
        progress = Progress(tmp_path, step=0, steps=10, every=1)
        progress.add_evaluation(1, {"auc": 0.5})
        if last:
            progress.add_step(2, 1, 1.0, {"loss": 1.0})
        progress.close()
    assert drawn == [1, 1, 2]
