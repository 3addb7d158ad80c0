"""The training loop: steps until the last one, a stop request, or a loss that is not finite."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import nn

from perception_common.checkpoints.torch_file import write_torch_file
from perception_common.errors import InputError
from perception_common.training.checkpoint import RunState
from perception_common.training.distributed import Processes
from perception_common.training.interrupt import StopRequest
from perception_common.training.outputs import OutputProblems
from perception_common.training.prefetch import prefetch
from perception_common.training.progress import LOG, Progress
from perception_common.training.schedule import ScheduleConfig, learning_rate
from perception_common.weights import read_metadata, save_weights

Batch = TypeVar("Batch")
CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class LoopConfig:
    """How long and how a network is trained, for every network."""

    steps: int = 30000  # of the whole run, including before it was resumed
    batch: int = 4  # samples per step, over all processes
    seed: int = 0
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    weight_decay: float = 0.1
    clip: float = 0.5  # largest norm of the gradient
    average_decay: float = 0.999  # of the moving average of the weights
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"  # of the forward pass
    evaluate_every: int = 500  # steps
    checkpoint_seconds: float = 240.0
    log_every: int = 20  # steps
    loader_threads: int = 1

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.evaluate_every, self.log_every) < 1 or self.clip <= 0:
            raise ValueError("steps, batch, evaluate_every, log_every and clip must be positive")


@dataclass(frozen=True)
class Task(Generic[Batch]):
    """What is trained.

    make_batch(step): this process's part of the batch of a step; depends on the step and the seed only, and runs on
    loader threads. compute_loss(module, batch): the loss to minimise as "loss", and other values to report.
    evaluate(module): metrics of the averaged weights; called in the main process only.
    """

    make_batch: Callable[[int], Batch]
    compute_loss: Callable[[nn.Module, Batch], Mapping[str, torch.Tensor]]
    evaluate: Callable[[nn.Module], Mapping[str, float]]


def make_optimizer(module: nn.Module, config: LoopConfig) -> torch.optim.AdamW:
    """Return AdamW without weight decay of norms, biases and other vectors."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.schedule.learning_rate, fused=True)


def make_scaler(config: LoopConfig, device: torch.device) -> torch.amp.GradScaler:
    """Return the scaler that keeps fp16 gradients from vanishing; disabled for other precisions."""
    return torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")


def run_loop(state: RunState, task: Task[Batch], config: LoopConfig, folder: Path, processes: Processes) -> bool:
    """Train from `state.step` on; returns whether the last step was reached (False: stopped by a signal).

    `folder` gets the checkpoint, the averaged weights of the latest evaluation, and the files of `Progress`. An output
    that cannot be written is reported and tried again when it is due; the training goes on meanwhile.
    Raises InputError when the loss or its gradient is not finite, where the batch is saved in the folder, and when the
    last checkpoint, the last weights or the log cannot be written.
    """
    trained = processes.wrap(state.module)
    outputs = OutputProblems()
    progress = Progress(folder, state.step, config.steps, config.log_every, outputs) if processes.is_main else None
    batches = prefetch(task.make_batch, range(state.step, config.steps), config.loader_threads)
    saved_at = time.monotonic()
    with StopRequest() as stop:
        try:
            if state.step >= config.steps and not _is_exported(folder / WEIGHTS, state.step):
                _evaluate(state, task, folder, progress, outputs)
            while state.step < config.steps:
                start = time.perf_counter()
                batch = next(batches)
                waited = time.perf_counter() - start
                rate = learning_rate(config.schedule, state.step, config.steps)
                values = _train_step(trained, state, task, batch, config, rate=rate, folder=folder, processes=processes)
                seconds = time.perf_counter() - start
                state.step += 1
                state.seconds += seconds
                state.average.update(state.module, state.step)
                if progress:
                    values |= {"learning_rate": rate, "waiting_for_data": waited / seconds}
                    progress.add_step(state.step, config.batch, seconds, values)
                if state.step % config.evaluate_every == 0 or state.step == config.steps:
                    _evaluate(state, task, folder, progress, outputs)
                if processes.any(stop.requested):
                    break
                if processes.any(time.monotonic() - saved_at > config.checkpoint_seconds):
                    with outputs.tolerated(CHECKPOINT):
                        state.save(folder / CHECKPOINT, processes)
                    saved_at = time.monotonic()
            state.save(folder / CHECKPOINT, processes)
        finally:
            batches.close()  # type: ignore[attr-defined]
            if progress:
                progress.close()
    if reasons := [reason for name in (WEIGHTS, LOG) if (reason := outputs.reason(name))]:
        raise InputError(f"{'; '.join(reasons)}. The checkpoint is complete: the same command with --resume goes on")
    return state.step >= config.steps


def _train_step(
    trained: nn.Module,
    state: RunState,
    task: Task[Batch],
    batch: Batch,
    config: LoopConfig,
    *,
    rate: float,
    folder: Path,
    processes: Processes,
) -> dict[str, float]:
    """Do one optimizer step with learning rate `rate`; return the loss values averaged over the processes.

    trained: `state.module`, wrapped for several processes.
    """
    trained.train()
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[config.precision]
    with torch.autocast(processes.device.type, dtype=dtype, enabled=config.precision != "fp32"):
        losses = task.compute_loss(trained, batch)
    means = {key: float(processes.sum(value.detach()) / processes.count) for key, value in losses.items()}
    stop_on_nonfinite(losses["loss"], batch, folder, state.step, processes)
    state.optimizer.zero_grad(set_to_none=True)
    state.scaler.scale(losses["loss"]).backward()
    state.scaler.unscale_(state.optimizer)
    norm = nn.utils.clip_grad_norm_(trained.parameters(), config.clip)
    if config.precision != "fp16":  # the scaler detects overflow itself and skips such a step
        stop_on_nonfinite(norm, batch, folder, state.step, processes)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    return means | {"gradient_norm": float(norm)}


def stop_on_nonfinite(value: torch.Tensor, batch: Any, folder: Path, step: int, processes: Processes) -> None:
    """Raise InputError in every process if `value` is not finite in any of them; the batch of that one is saved."""
    is_nonfinite = not bool(torch.isfinite(value))
    path = folder / f"nonfinite_step{step}_rank{processes.rank}.pt"
    where = f"the batch is in {path}"
    if is_nonfinite:
        try:
            write_torch_file(batch, path)
        except InputError as error:
            where = f"the batch is not kept: {error}"
    if processes.any(is_nonfinite):
        advice = "resume from the last checkpoint with a lower learning rate or in fp32"
        raise InputError(f"the loss or its gradient is not finite at step {step}; {where}; {advice}")


def _is_exported(weights: Path, step: int) -> bool:
    """Whether the file holds the weights of this step."""
    try:
        return read_metadata(weights).get("step") == str(step)
    except InputError:
        return False


def _evaluate(
    state: RunState, task: Task[Any], folder: Path, progress: Progress | None, outputs: OutputProblems
) -> None:
    """Evaluate and export the averaged weights in the main process; the others wait for it in the next step."""
    if progress is None:
        return
    with state.average.applied_to(state.module):
        state.module.eval()
        start = time.perf_counter()
        metrics = dict(task.evaluate(state.module))
        facts = {key: str(value) for key, value in state.facts.items()}
        facts |= {"step": str(state.step), "hours": f"{state.seconds / 3600:.2f}"}
        facts |= {key: f"{value:.5g}" for key, value in metrics.items()}
        with outputs.tolerated(WEIGHTS):
            save_weights(state.module.state_dict(), folder / WEIGHTS, facts)
    progress.add_evaluation(state.step, metrics | {"evaluation_seconds": time.perf_counter() - start})
