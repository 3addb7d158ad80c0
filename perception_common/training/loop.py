"""The training loop: one step after the other until the last one, a stop request, or a loss that is no number."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import nn

from perception_common.errors import InputError
from perception_common.training.checkpoint import RunState
from perception_common.training.distributed import Processes
from perception_common.training.interrupt import StopRequest
from perception_common.training.prefetch import prefetch
from perception_common.training.progress import Progress
from perception_common.training.schedule import ScheduleConfig, learning_rate
from perception_common.weights import save_weights

Batch = TypeVar("Batch")
CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class LoopConfig:
    """How long and how a network is trained, whatever it is."""

    steps: int = 30000  # of the whole run, all sittings together
    batch: int = 4  # samples a step, over all processes
    seed: int = 0
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    weight_decay: float = 0.1
    clip: float = 0.5  # norm of the gradient
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

    make_batch(step): this process's part of the batch of a step, from nothing but the step's number and the seed; it
    runs on loader threads. compute_loss(module, batch): the loss to minimise as "loss", and other values to report.
    evaluate(module): metrics of the averaged weights; called in the first process alone.
    """

    make_batch: Callable[[int], Batch]
    compute_loss: Callable[[nn.Module, Batch], Mapping[str, torch.Tensor]]
    evaluate: Callable[[nn.Module], Mapping[str, float]]


def make_optimizer(module: nn.Module, config: LoopConfig) -> torch.optim.AdamW:
    """AdamW; norms, biases and other vectors do not decay."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.schedule.learning_rate)


def make_scaler(config: LoopConfig, device: torch.device) -> torch.amp.GradScaler:
    """Scale the loss where gradients of half precision would vanish; for other precisions it does nothing."""
    return torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")


def run_loop(state: RunState, task: Task[Batch], config: LoopConfig, folder: Path, processes: Processes) -> bool:
    """Train from `state.step` on; returns whether the last step was reached (False: stopped by a signal).

    In `folder` are kept the checkpoint, the averaged weights of the latest evaluation, and what `Progress` writes.
    Raises InputError when the loss is not finite; the batch then lies in the folder.
    """
    trained = processes.wrap(state.module)
    progress = Progress(folder, state.step, config.steps, config.log_every) if processes.is_main else None
    batches = prefetch(task.make_batch, range(state.step, config.steps), config.loader_threads)
    saved_at = time.monotonic()
    with StopRequest() as stop:
        try:
            while state.step < config.steps:
                start = time.perf_counter()
                batch = next(batches)
                waited = time.perf_counter() - start
                rate = learning_rate(config.schedule, state.step, config.steps)
                values = _train_step(trained, state, task, batch, config, rate, folder, processes)
                seconds = time.perf_counter() - start
                state.step += 1
                state.seconds += seconds
                state.average.update(state.module, state.step)
                if progress:
                    values |= {"learning_rate": rate, "waiting_for_data": waited / seconds}
                    progress.add_step(state.step, config.batch, seconds, values)
                if state.step % config.evaluate_every == 0 or state.step == config.steps:
                    _evaluate(state, task, folder, progress)
                if processes.any(stop.requested):
                    break
                if processes.any(time.monotonic() - saved_at > config.checkpoint_seconds):
                    state.save(folder / CHECKPOINT, processes)
                    saved_at = time.monotonic()
            state.save(folder / CHECKPOINT, processes)
        finally:
            batches.close()  # type: ignore[attr-defined]
            if progress:
                progress.close()
    return state.step >= config.steps


def _train_step(
    trained: nn.Module,
    state: RunState,
    task: Task[Batch],
    batch: Batch,
    config: LoopConfig,
    rate: float,
    folder: Path,
    processes: Processes,
) -> dict[str, float]:
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
    if config.precision != "fp16":  # the scaler looks for overflow itself and skips such a step
        stop_on_nonfinite(norm, batch, folder, state.step, processes)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    return means | {"gradient_norm": float(norm)}


def stop_on_nonfinite(value: torch.Tensor, batch: Any, folder: Path, step: int, processes: Processes) -> None:
    """Raise InputError in every process when the loss or gradient norm of any is not finite; its batch is saved."""
    is_bad = not bool(torch.isfinite(value))
    path = folder / f"nonfinite_step{step}_rank{processes.rank}.pt"
    if is_bad:
        torch.save(batch, path)
    if processes.any(is_bad):
        advice = "resume from the last checkpoint with a lower learning rate or in fp32"
        raise InputError(f"the loss or its gradient is not finite at step {step}; the batch is in {path}; {advice}")


def _evaluate(state: RunState, task: Task[Any], folder: Path, progress: Progress | None) -> None:
    """Evaluate and export the averaged weights; processes other than the first go on and wait at the next step."""
    if progress is None:
        return
    with state.average.applied_to(state.module):
        state.module.eval()
        start = time.perf_counter()
        metrics = dict(task.evaluate(state.module))
        facts = {key: str(value) for key, value in state.facts.items()}
        facts |= {"step": str(state.step), "hours": f"{state.seconds / 3600:.2f}"}
        facts |= {key: f"{value:.5g}" for key, value in metrics.items()}
        save_weights(state.module.state_dict(), folder / WEIGHTS, facts)
    progress.add_evaluation(state.step, metrics | {"evaluation_seconds": time.perf_counter() - start})
