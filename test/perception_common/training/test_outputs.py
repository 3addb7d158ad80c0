"""Output errors of a run: full disks, limits and folders that cannot be written to."""

import logging
import os
import resource
import signal

import pytest
import torch
from torch import nn

from perception_common.atomic_file import output_file
from perception_common.errors import InputError
from perception_common.training import progress as progress_module
from perception_common.training.average import WeightAverage
from perception_common.training.checkpoint import RunState
from perception_common.training.distributed import Processes
from perception_common.training.loop import CHECKPOINT, WEIGHTS, LoopConfig, Task, make_optimizer, run_loop
from perception_common.training.outputs import OutputProblems, begin_folder
from perception_common.training.progress import CURVES, LOG, read_metrics
from perception_common.weights import read_metadata

CONFIG = LoopConfig(steps=6, batch=4, evaluate_every=2, log_every=1, loader_threads=0, checkpoint_seconds=0.0)


@pytest.fixture(autouse=True)
def small_curves(monkeypatch):
    """The plot as a small file, written as the real one, which takes seconds to draw."""

    def draw(records, path):
        with output_file(path) as unfinished:
            unfinished.write_bytes(bytes(30_000))

    monkeypatch.setattr(progress_module, "draw_curves", draw)


@pytest.fixture
def limit_files():
    """Sets the size beyond which no file of this process grows: a write fails as on a full disk. None: no limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda limit: resource.setrlimit(resource.RLIMIT_FSIZE, (soft if limit is None else limit, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def make_batch(step):
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(step))


def compute_loss(module, batch):
    return {"loss": (module(batch) - batch.sum(1, keepdim=True)).square().mean()}


def new_state():
    torch.manual_seed(0)
    module = nn.Linear(3, 1)
    return RunState(module, make_optimizer(module, CONFIG), WeightAverage(module, 0.9))


def task(make=make_batch, evaluate=lambda module: {"metric": 1.0}):
    return Task(make, compute_loss, evaluate)


def no_file_is_half_written(folder):
    return not list(folder.glob(".unfinished*"))


def test_a_full_disk_during_a_run_ends_nothing_and_no_line_of_the_log_is_lost(tmp_path, caplog, limit_files):
    """All files fail from the second to the fourth step; then there is space again."""

    def make(step):
        if step == 1:
            limit_files(10)
        if step == 4:
            limit_files(None)
        return make_batch(step)

    state = new_state()
    assert run_loop(state, task(make), CONFIG, tmp_path, Processes())
    records = read_metrics(tmp_path / LOG)
    assert [r["step"] for r in records if r["kind"] == "training"] == [1, 2, 3, 4, 5, 6]
    assert [r["step"] for r in records if r["kind"] == "evaluation"] == [2, 4, 6]
    assert read_metadata(tmp_path / WEIGHTS)["step"] == "6"
    saved = new_state()
    saved.load(tmp_path / CHECKPOINT, Processes())
    assert saved.step == 6
    assert no_file_is_half_written(tmp_path)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    for name in (CHECKPOINT, WEIGHTS, LOG):
        (begin,) = [text for text in said if f"{name} cannot be written (File too large); raise the limit" in text]
        assert "The training goes on" in begin
        assert f"{name} is written again" in said


def test_a_checkpoint_that_cannot_be_written_at_the_end_is_the_error_though_all_else_fails_too(tmp_path, limit_files):
    def make(step):
        if step == 5:
            limit_files(10)
        return make_batch(step)

    with pytest.raises(InputError, match=rf"{CHECKPOINT} cannot be written \(File too large\)") as error:
        run_loop(new_state(), task(make), CONFIG, tmp_path, Processes())
    limit_files(None)
    assert "\n" not in str(error.value)
    assert no_file_is_half_written(tmp_path)
    saved = new_state()
    saved.load(tmp_path / CHECKPOINT, Processes())  # the one before is whole
    assert saved.step == 5


def test_weights_that_cannot_be_written_at_the_end_are_the_error_and_a_resumed_run_writes_them(tmp_path, monkeypatch):
    (tmp_path / WEIGHTS).mkdir()
    (tmp_path / WEIGHTS / "occupied").touch()
    with pytest.raises(InputError, match=rf"{WEIGHTS} cannot be written .*checkpoint is complete.*--resume"):
        run_loop(new_state(), task(), CONFIG, tmp_path, Processes())
    (tmp_path / WEIGHTS / "occupied").unlink()
    (tmp_path / WEIGHTS).rmdir()
    state = new_state()
    state.load(tmp_path / CHECKPOINT, Processes())
    assert run_loop(state, task(), CONFIG, tmp_path, Processes())
    assert read_metadata(tmp_path / WEIGHTS)["step"] == "6"
    evaluations = [r for r in read_metrics(tmp_path / LOG) if r["kind"] == "evaluation"]
    assert run_loop(state, task(), CONFIG, tmp_path, Processes())  # with weights there is nothing left to do
    assert [r for r in read_metrics(tmp_path / LOG) if r["kind"] == "evaluation"] == evaluations


@pytest.mark.parametrize("error", [RuntimeError("no font"), OSError(28, "No space left on device")])
def test_curves_that_cannot_be_drawn_do_not_end_a_run(tmp_path, monkeypatch, caplog, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(progress_module, "draw_curves", fail)
    assert run_loop(new_state(), task(), CONFIG, tmp_path, Processes())
    assert not (tmp_path / CURVES).exists()
    (said,) = [record.getMessage() for record in caplog.records if CURVES in record.getMessage()]
    assert said.startswith(f"{CURVES} cannot be written ({error.args[-1]})")


def test_a_stopped_run_whose_checkpoint_cannot_be_written_says_so(tmp_path, limit_files):
    def make(step):
        if step == 1:
            limit_files(10)
            os.kill(os.getpid(), signal.SIGTERM)
        return make_batch(step)

    with pytest.raises(InputError, match=rf"{CHECKPOINT} cannot be written"):
        run_loop(new_state(), task(make), CONFIG, tmp_path, Processes())
    limit_files(None)


def test_the_message_of_a_nonfinite_loss_is_not_hidden_by_a_full_disk(tmp_path, limit_files):
    def broken_loss(module, batch):
        limit_files(10)
        return {"loss": module(batch).mean() / 0}

    with pytest.raises(InputError, match=r"not finite at step 0; the batch is not kept: .*cannot be written"):
        run_loop(new_state(), Task(make_batch, broken_loss, lambda _: {}), CONFIG, tmp_path, Processes())
    limit_files(None)
    assert no_file_is_half_written(tmp_path)


@pytest.mark.parametrize("begin", [lambda folder: begin_folder(folder, {"a": 1}), lambda folder: run(folder)])
def test_a_folder_that_cannot_be_used_is_refused_at_the_start(tmp_path, begin):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written \(Not a directory\); choose another path"):
        begin(tmp_path / "file" / "run")


def run(folder):
    return run_loop(new_state(), task(), CONFIG, folder, Processes())


def test_the_configuration_is_written(tmp_path):
    begin_folder(tmp_path / "new" / "run", {"steps": 3})
    assert (tmp_path / "new" / "run" / "config.yaml").read_text() == "steps: 3\n"


def test_other_errors_are_not_tolerated():
    outputs = OutputProblems()
    with pytest.raises(KeyError), outputs.tolerated("x"):
        raise KeyError("a bug")
    assert outputs.reason("x") == ""
