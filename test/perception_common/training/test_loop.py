"""The training loop, with a network of one layer."""

import os
import random
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from perception_common.errors import InputError
from perception_common.training.average import WeightAverage
from perception_common.training.checkpoint import RunState
from perception_common.training.distributed import Processes
from perception_common.training.loop import CHECKPOINT, WEIGHTS, LoopConfig, Task, make_optimizer, make_scaler, run_loop
from perception_common.training.progress import read_metrics
from perception_common.weights import read_metadata, read_state_dict

pytestmark = pytest.mark.usefixtures("without_curves")

CONFIG = LoopConfig(steps=6, batch=4, evaluate_every=3, log_every=1, loader_threads=0)


def make_batch(step: int) -> torch.Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(step))


def compute_loss(module: nn.Module, batch: torch.Tensor) -> dict[str, torch.Tensor]:
    # The loss depends on every random generator that a training step may use.
    noise = torch.rand(()) + random.random() + np.random.rand()  # noqa: NPY002
    return {"loss": (module(batch) - batch.sum(1, keepdim=True) - noise).square().mean()}


def new_state() -> RunState:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    return RunState(module, make_optimizer(module, CONFIG), WeightAverage(module, 0.9))


def task(batches=make_batch, losses=compute_loss) -> Task[torch.Tensor]:
    return Task(batches, losses, lambda module: {"weight": float(module[0].weight.detach().abs().sum())})


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    whole = new_state()
    start = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    assert run_loop(whole, task(), CONFIG, tmp_path / "whole", Processes())

    random.setstate(start[0])
    np.random.set_state(start[1])  # noqa: NPY002
    torch.set_rng_state(start[2])
    first = new_state()
    torch.set_rng_state(start[2])

    def make_and_stop(step: int) -> torch.Tensor:
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return make_batch(step)

    assert not run_loop(first, task(make_and_stop), CONFIG, tmp_path / "parts", Processes())
    assert first.step == 3
    random.seed(99)
    torch.manual_seed(99)
    second = new_state()
    second.load(tmp_path / "parts" / CHECKPOINT, Processes())
    assert run_loop(second, task(), CONFIG, tmp_path / "parts", Processes())

    for key, expected in whole.module.state_dict().items():
        assert torch.equal(second.module.state_dict()[key], expected)
        assert torch.equal(second.average.state[key], whole.average.state[key])
    losses = [
        [r["loss"] for r in read_metrics(tmp_path / n / "metrics.jsonl") if "loss" in r] for n in ("whole", "parts")
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_its_step_and_saves(tmp_path, number):
    def make_and_stop(step: int) -> torch.Tensor:
        if step == 1:
            os.kill(os.getpid(), number)
        return make_batch(step)

    handler = signal.getsignal(number)
    assert not run_loop(new_state(), task(make_and_stop), CONFIG, tmp_path, Processes())
    saved = new_state()
    saved.load(tmp_path / CHECKPOINT, Processes())
    assert saved.step == 2
    assert signal.getsignal(number) == handler


def test_a_nonfinite_loss_stops_the_run_and_saves_the_batch(tmp_path):
    def broken_loss(module: nn.Module, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": module(batch).mean() / 0}

    with pytest.raises(InputError, match=r"not finite at step 0.*nonfinite_step0_rank0\.pt"):
        run_loop(new_state(), task(losses=broken_loss), CONFIG, tmp_path, Processes())
    assert torch.equal(torch.load(tmp_path / "nonfinite_step0_rank0.pt"), make_batch(0))
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_nonfinite_gradient_stops_the_run_before_it_changes_the_weights(tmp_path):
    def steep_loss(module: nn.Module, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": (module(batch) * 0).abs().sqrt().sum()}

    state = new_state()
    with pytest.raises(InputError, match="gradient"):
        run_loop(state, task(losses=steep_loss), CONFIG, tmp_path, Processes())
    assert all(torch.isfinite(tensor).all() for tensor in state.module.state_dict().values())


@pytest.mark.slow
def test_the_averaged_weights_are_exported_with_their_metrics(tmp_path):
    state = new_state()
    run_loop(state, task(), CONFIG, tmp_path, Processes())
    exported = read_state_dict(tmp_path / WEIGHTS)
    assert torch.equal(exported["0.weight"], state.average.state["0.weight"])
    metadata = read_metadata(tmp_path / WEIGHTS)
    assert metadata["step"] == "6"
    assert float(metadata["weight"]) == pytest.approx(float(exported["0.weight"].abs().sum()), rel=1e-3)


def test_the_loss_scale_is_restored(tmp_path):
    half = replace(CONFIG, precision="fp16")
    state = replace(new_state(), scaler=make_scaler(half, torch.device("cpu")))
    state.scaler.scale(torch.ones(()))  # the scaler is initialised by its first loss
    state.scaler.update(512.0)
    state.save(tmp_path / CHECKPOINT, Processes())
    other = replace(new_state(), scaler=make_scaler(half, torch.device("cpu")))
    other.load(tmp_path / CHECKPOINT, Processes())
    assert other.scaler.get_scale() == 512.0
    full = new_state()
    full.load(tmp_path / CHECKPOINT, Processes())  # a run may be resumed in another precision
    assert full.scaler.get_scale() == 1.0


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    new_state().save(tmp_path / CHECKPOINT, Processes())
    other = nn.Linear(3, 1)
    state = RunState(other, make_optimizer(other, CONFIG), WeightAverage(other, 0.9))
    with pytest.raises(InputError, match="is no checkpoint of this network"):
        state.load(tmp_path / CHECKPOINT, Processes())


def test_a_missing_or_truncated_checkpoint_is_reported_in_one_line(tmp_path):
    with pytest.raises(InputError, match="without --resume"):
        new_state().load(tmp_path / CHECKPOINT, Processes())
    new_state().save(tmp_path / CHECKPOINT, Processes())
    content = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="truncated"):
        new_state().load(tmp_path / CHECKPOINT, Processes())


def changed(**values):
    return lambda content: content | values


def without(key):
    return lambda content: {name: value for name, value in content.items() if name != key}


@pytest.mark.parametrize(
    "change",
    [
        *(without(key) for key in ("model", "average", "optimizer", "step", "seconds", "random", "facts")),
        *(changed(model=value) for value in ({}, [1], None, {"0.weight": 1.0})),
        *(changed(average=value) for value in ({}, 3, {"0.weight": torch.zeros(2, 2)})),
        *(changed(optimizer=value) for value in ({}, {"state": {}, "param_groups": []}, 1)),
        *(changed(random=value) for value in ([], [{}], None, [{"python": (3, (1, 2), None)}])),
        *(changed(step=value) for value in ("many", None, [1])),
        lambda content: [content],
        lambda content: content["model"],
    ],
)
def test_a_file_of_another_structure_is_refused_in_one_line(tmp_path, change):
    new_state().save(tmp_path / CHECKPOINT, Processes())
    torch.save(change(torch.load(tmp_path / CHECKPOINT)), tmp_path / CHECKPOINT)
    with pytest.raises(InputError, match="is no checkpoint of this network and optimizer") as error:
        new_state().load(tmp_path / CHECKPOINT, Processes())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("part", ["model", "average"])
def test_a_checkpoint_that_is_not_finite_is_refused_by_name(tmp_path, part):
    new_state().save(tmp_path / CHECKPOINT, Processes())
    content = torch.load(tmp_path / CHECKPOINT)
    content[part]["2.bias"][0] = float("nan")
    torch.save(content, tmp_path / CHECKPOINT)
    with pytest.raises(InputError, match=r"1 of its tensors hold NaN or infinity \(2\.bias\)"):
        new_state().load(tmp_path / CHECKPOINT, Processes())
