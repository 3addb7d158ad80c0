"""The state of a training run, saved so that a resumed run continues exactly."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from perception_common.checkpoints.state_dict import name_some
from perception_common.checkpoints.torch_file import read_torch_file, write_torch_file
from perception_common.errors import InputError
from perception_common.training.average import WeightAverage
from perception_common.training.distributed import Processes
from perception_common.weights import explain_nonfinite, nonfinite

_ADVICE = "give the folder of such a run, or start one without --resume in another folder"


@dataclass
class RunState:
    """Everything that changes during a run. The learning rate and the samples depend on the step only.

    scaler: of the loss, for half precision. step: optimizer steps done. seconds: time spent in them, including before
    the run was resumed. facts: configuration, commit, ... for the reader of the checkpoint.
    """

    module: nn.Module
    optimizer: torch.optim.Optimizer
    average: WeightAverage
    scaler: torch.amp.GradScaler = field(default_factory=lambda: torch.amp.GradScaler(enabled=False))
    step: int = 0
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path, processes: Processes) -> None:
        """Write the checkpoint atomically. Every process must call this; the main one writes.

        Raises InputError when it cannot be written.
        """
        random_states = processes.gather(_random_state())
        if not processes.is_main:
            return
        content = {
            "model": self.module.state_dict(),
            "average": self.average.state,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "random": random_states,
            "facts": self.facts,
        }
        write_torch_file(content, path)

    def load(self, path: Path, processes: Processes) -> None:
        """Restore a checkpoint. Raises InputError when it is missing, broken or of another network.

        If the run was saved with another number of processes, process k takes the random state k modulo that number.
        """
        if not path.exists():
            raise InputError(f"checkpoint {path} does not exist; start the run without --resume")
        content = read_torch_file(path)
        try:
            self._restore(content)
            states = content["random"]
            _set_random_state(states[processes.rank % len(states)])
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        except Exception as error:  # another structure can fail anywhere
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise InputError(f"{path} is no checkpoint of this network and optimizer ({reason}); {_ADVICE}") from error

    def _restore(self, content: Mapping[str, Any]) -> None:
        """Restore all but the random state. Raises InputError for weights that are not finite."""
        for state in (content["model"], content["average"]):
            if broken := nonfinite(state):
                raise InputError(explain_nonfinite(broken))
        self.module.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        if content.get("scaler") and self.scaler.is_enabled():  # a disabled scaler has no state
            self.scaler.load_state_dict(content["scaler"])
        missing = self.average.state.keys() ^ content["average"].keys()
        if missing:
            raise KeyError(f"averages of {name_some(sorted(missing))}")
        for key, tensor in content["average"].items():
            self.average.state[key].copy_(tensor)
        self.step, self.seconds, self.facts = int(content["step"]), float(content["seconds"]), dict(content["facts"])


def _random_state() -> dict[str, Any]:
    _, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 (the global generator, for code that uses it)
    return {
        "python": random.getstate(),
        "numpy": (torch.from_numpy(np.asarray(keys).astype(np.int64)), int(position), int(has_gauss), float(cached)),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,
    }


def _set_random_state(state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
