"""Training of a YOLC network, and its command train_yolc CONFIG [--run-dir DIR] [--resume]."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import cv2
import torch
from torch import nn

from perception_common.backends.devices import DevicePolicy, choose_device, set_threads
from perception_common.cli import run
from perception_common.config import load_yaml, to_mapping
from perception_common.errors import InputError
from perception_common.node.transport import raise_malloc_thresholds
from perception_common.resources import find_config
from perception_common.training.average import WeightAverage
from perception_common.training.checkpoint import RunState
from perception_common.training.distributed import Processes, distributed, synchronise_batch_norm
from perception_common.training.loop import CHECKPOINT, Task, make_optimizer, make_scaler, run_loop
from perception_common.training.outputs import begin_folder
from yolc_ros.datasets.mixture import Mixture, open_sources
from yolc_ros.detector import Detector
from yolc_ros.network.config import YolcConfig
from yolc_ros.network.yolc import Yolc, initialise
from yolc_ros.training.augmentation.pasting.pool import open_pasting
from yolc_ros.training.batches import Batch, BatchMaker
from yolc_ros.training.config import YolcTrainingConfig
from yolc_ros.training.criterion import compute_losses
from yolc_ros.training.initial_weights import load_initial_weights
from yolc_ros.training.validation import validate

NAME = "train_yolc"


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Train a YOLC network as configured in a YAML file. Ctrl-C saves; --resume continues exactly.",
        epilog=f"""example:
  {prog} config/training/yolc_lite.yaml --run-dir runs/yolc_lite
  {prog} config/training/yolc_lite.yaml --run-dir runs/yolc_lite --resume
several processes: torchrun --nproc-per-node 2 -m yolc_ros.training.train config/training/yolc_lite.yaml ...""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", type=Path, help="YAML file, see config/training/")
    parser.add_argument("--run-dir", type=Path, help="folder for checkpoint, weights and curves (runs/NAME)")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the run's folder")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=0, help="torch threads, 0 for torch's own choice")
    return parser


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Train until the last step. Returns 3 if a signal stopped the run early; --resume continues it."""
    options = build_parser(prog).parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = load_yaml(YolcTrainingConfig, options.config)
    folder = options.run_dir or Path("runs") / options.config.stem
    set_threads(options.threads)
    raise_malloc_thresholds()
    cv2.setNumThreads(1)  # the loader threads run beside those of torch
    with distributed(choose_device(options.device).device) as processes:
        is_done = train(config, folder, options.resume, processes)
    return 0 if is_done else 3


def train(config: YolcTrainingConfig, folder: Path, resume: bool, processes: Processes) -> bool:
    """Start or resume a training in `folder`; returns whether the last step was reached. Raises InputError."""
    checkpoint = folder / CHECKPOINT
    if checkpoint.exists() and not resume:
        raise InputError(f"{folder} holds a run already; add --resume to continue it, or choose another --run-dir")
    if processes.is_main:
        begin_folder(folder, to_mapping(config))
    network = build_network(config).to(processes.device)
    synchronise_batch_norm(network, processes)
    training = open_sources(config.data, network.config.class_names, folder)
    task = make_task(config, training, network.config, folder, processes)
    facts = {"training": json.dumps(to_mapping(config)), "model": json.dumps(to_mapping(network.config))}
    average = WeightAverage(network, config.loop.average_decay)
    scaler = make_scaler(config.loop, processes.device)
    state = RunState(network, build_optimizer(network, config), average, scaler, facts=facts)
    if resume:
        state.load(checkpoint, processes)
    return run_loop(state, task, config.loop, folder, processes)


def build_network(config: YolcTrainingConfig) -> Yolc:
    """Build the network with its initial weights, in channels-last layout."""
    network = Yolc(load_yaml(YolcConfig, find_config(f"models/{config.model}.yaml")))
    initialise(network, config.loop.seed)
    if config.initial_weights is not None:
        load_initial_weights(network, config.initial_weights, config.initial_classes)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def build_optimizer(network: nn.Module, config: YolcTrainingConfig) -> torch.optim.Optimizer:
    """Build the optimizer: AdamW, or SGD as in the paper."""
    if config.optimizer == "adamw":
        return make_optimizer(network, config.loop)
    rate = config.loop.schedule.learning_rate
    return torch.optim.SGD(network.parameters(), rate, config.momentum, weight_decay=config.loop.weight_decay)


def make_task(
    config: YolcTrainingConfig, training: Mixture, model: YolcConfig, folder: Path, processes: Processes
) -> Task[Batch]:
    """Define batches, loss and validation. Raises InputError for class weights that do not fit the model."""
    weights, classes = config.loss.class_weights, model.class_names
    if weights and len(weights) != len(classes):
        raise InputError(
            f"loss.class_weights: {len(weights)} factors for {len(classes)} classes ({', '.join(classes)})"
        )
    sizes = model.object_sizes
    slots = range(config.loop.batch)[processes.share(config.loop.batch)]
    make_batch = BatchMaker(
        mixture=training,
        size=config.input_size,
        heatmap_stride=model.heatmap_stride,
        augmentation=config.augmentation,
        seed=config.loop.seed,
        slots=slots,
        pasting=open_pasting(training, config.augmentation.paste, () if sizes is None else sizes.metres),
    )
    held_out = [(open_sources(part.sources, model.class_names, folder), part) for part in config.validation]

    def compute_loss(module: nn.Module, batch: Batch) -> Mapping[str, torch.Tensor]:
        batch = batch.to(processes.device)
        output = module(batch.images)
        objects = processes.sum(torch.tensor(float(batch.objects), device=processes.device)) / processes.count
        with torch.autocast(processes.device.type, enabled=False):
            return compute_losses(output, batch, float(objects), config.loss)

    def evaluate(module: nn.Module) -> Mapping[str, float]:
        assert isinstance(module, Yolc)
        detector = Detector.from_network(module, DevicePolicy(processes.device, torch.float32), name=config.model)
        metrics: dict[str, float] = {}
        for mixture, part in held_out:
            metrics |= validate(detector, mixture, part)
        broken = training.broken.count + sum(mixture.broken.count for mixture, _ in held_out)
        return metrics | {"broken_files": float(broken)}

    return Task(make_batch, compute_loss, evaluate)


if __name__ == "__main__":
    run(main)
