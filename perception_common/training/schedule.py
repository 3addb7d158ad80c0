"""The learning rate as a pure function of the step, so that a resumed or extended run needs no schedule state."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class ScheduleConfig:
    """Linear warm-up, a plateau of any length, and a cosine decay once its start is set.

    decay_start: step at which the decay to `final_rate` begins; it ends with the run's last step. None: no decay yet.
    To extend a run, raise the number of steps; to finish it, set decay_start and resume.
    """

    learning_rate: float = 1e-3
    warmup_steps: int = 500
    decay_start: int | None = None
    final_rate: float = 0.0  # as a factor of learning_rate

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or self.warmup_steps < 0 or not 0 <= self.final_rate <= 1:
            raise ValueError("learning_rate must be positive, warmup_steps not negative and final_rate in 0 to 1")


def learning_rate(config: ScheduleConfig, step: int, steps: int) -> float:
    """Return the learning rate of step number `step` (from 0) of a run of `steps` steps."""
    rate = config.learning_rate * min(1.0, (step + 1) / max(config.warmup_steps, 1))
    if config.decay_start is None or step < config.decay_start:
        return rate
    done = min(1.0, (step - config.decay_start) / max(steps - config.decay_start, 1))
    return rate * (config.final_rate + (1 - config.final_rate) * (1 + math.cos(math.pi * done)) / 2)
