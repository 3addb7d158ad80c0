"""One training step of each lite network with the settings of config/training: forward, backward, optimizer.

The batch is synthetic and constant: reading and augmenting images runs in other threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from torch import nn

from loftr_ros.datasets.supervision import TrainingPair, true_matches
from loftr_ros.network.config import LoFTRConfig
from loftr_ros.training.batch import PairBatch
from loftr_ros.training.config import TrainingConfig as LoftrTrainingConfig
from loftr_ros.training.losses import TrainedLoFTR
from perception_common.config import load_yaml
from perception_common.resources import find_config
from perception_common.training.distributed import Processes
from perception_common.training.loop import LoopConfig, make_optimizer
from replay_ros.benchmarks.measurement import BenchmarkPlan, Measurement, SubjectReport, take_turns
from replay_ros.benchmarks.synthetic import crowded_frame, pair_shift, textured_pair
from yolc_ros.datasets.samples import ImageLabels, Sample
from yolc_ros.network.config import YolcConfig
from yolc_ros.network.yolc import Yolc, initialise
from yolc_ros.training.batches import Batch, collate
from yolc_ros.training.config import YolcTrainingConfig
from yolc_ros.training.criterion import compute_losses
from yolc_ros.training.targets import make_targets

OBJECTS = 40  # per training image
Losses = Mapping[str, torch.Tensor]


class Step:
    """A training step in three parts, called in order."""

    def __init__(self, network: nn.Module, loop: LoopConfig, compute_loss: Callable[[], Losses]) -> None:
        self.network = network.train()
        self.loop = loop
        self.compute_loss = compute_loss
        self.optimizer = make_optimizer(network, loop)
        self.loss = torch.zeros(())

    def forward(self) -> None:
        """Compute the loss in the configured precision."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.loop.precision == "bf16"):
            self.loss = self.compute_loss()["loss"]

    def backward(self) -> None:
        """Compute the gradients."""
        self.loss.backward()

    def update(self) -> None:
        """Clip the gradients and update the weights."""
        nn.utils.clip_grad_norm_(self.network.parameters(), self.loop.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Time both networks."""
    conditions, tasks = [], {}
    for name, (step, batch) in {"loftr_lite": loftr_step(plan), "yolc_lite": yolc_step(plan)}.items():
        conditions.append(f"{name} with {batch} in {step.loop.precision}")
        tasks[f"{name}, forward and loss"] = step.forward
        tasks[f"{name}, backward"] = step.backward
        tasks[f"{name}, optimizer"] = step.update
    seconds = take_turns(tasks, plan.rounds, "training")
    return SubjectReport(
        subject="training",
        conditions=f"one training step, the batch ready: {', '.join(conditions)}",
        rows=tuple(Measurement.milliseconds(name, values) for name, values in seconds.items()),
    )


def loftr_step(plan: BenchmarkPlan) -> tuple[Step, str]:
    """Return a step of LoFTR and the description of its batch."""
    config = load_yaml(LoftrTrainingConfig, find_config("training/loftr_lite.yaml"))
    model = load_yaml(LoFTRConfig, find_config(f"models/{config.model}.yaml"))
    width, height = plan.training_size or config.data.sizes[0]
    count = plan.training_batch or config.loop.batch
    image0, image1 = textured_pair(width, height)
    shift = pair_shift(width)
    forward, backward = (partial(shift_points, shift=each) for each in (shift, -shift))
    truth = true_matches(height, width, model.backbone.coarse_stride, forward, backward)
    batch = PairBatch.of([TrainingPair(image0, image1, truth)] * count)
    network = TrainedLoFTR(model, config.losses, Processes()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Step(network, config.loop, lambda: network(batch)), f"{count} pairs of {width}x{height}"


def shift_points(points: np.ndarray, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points (N, 2) shifted along x, and that all of them are visible, (N,) bool."""
    return points + np.array([shift, 0]), np.ones(len(points), bool)


def yolc_step(plan: BenchmarkPlan) -> tuple[Step, str]:
    """Return a step of YOLC and the description of its batch."""
    config = load_yaml(YolcTrainingConfig, find_config("training/yolc_lite.yaml"))
    model = load_yaml(YolcConfig, find_config(f"models/{config.model}.yaml"))
    width, height = plan.training_size or config.input_size
    count = plan.training_batch or config.loop.batch
    batch = yolc_batch(count, width, height, model)
    network = Yolc(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    initialise(network)

    def compute_loss() -> Losses:
        output = network(batch.images)
        with torch.autocast("cpu", enabled=False):
            return compute_losses(output, batch, batch.objects, config.loss)

    return Step(network, config.loop, compute_loss), f"{count} images of {width}x{height}"


def yolc_batch(count: int, width: int, height: int, model: YolcConfig) -> Batch:
    """Return a batch of `count` copies of an image with random objects."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 0.8, (OBJECTS, 2)) * (width, height)
    boxes = np.concatenate([corners, corners + rng.uniform(6, 0.2 * min(width, height), (OBJECTS, 2))], axis=1)
    classes = len(model.class_names)
    truth = ImageLabels(
        boxes=boxes.astype(np.float32),
        labels=rng.integers(0, classes, OBJECTS),
        ignored=np.zeros((0, 4), np.float32),
        known=np.ones(classes, bool),
    )
    sample = Sample("benchmark", crowded_frame(width, height), truth)
    return collate([sample] * count, [make_targets(truth, width, height, model.heatmap_stride)] * count)
