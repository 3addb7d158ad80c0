"""Training of LoFTR, and its command train_loftr CONFIG [--run-dir DIR] [--resume]."""

from __future__ import annotations

import argparse
import logging
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import torch
from torch import nn

from loftr_ros.datasets.flights import FlightConfig, FlightPairs
from loftr_ros.datasets.homography import HomographyConfig, HomographyPairs
from loftr_ros.datasets.megadepth import MegaDepthPairs
from loftr_ros.datasets.mixture import Mixture, PairSource
from loftr_ros.datasets.scannet import ScanNetPairs
from loftr_ros.training.batch import PairBatch, draw_batch
from loftr_ros.training.config import TrainingConfig
from loftr_ros.training.losses import TrainedLoFTR
from loftr_ros.training.validation import fixed_batches, match_metrics, pose_metrics, read_posed_pairs
from perception_common import cli
from perception_common.config import load_yaml, to_mapping
from perception_common.errors import InputError
from perception_common.node.transport import raise_malloc_thresholds
from perception_common.training.average import WeightAverage
from perception_common.training.broken_files import BrokenFiles
from perception_common.training.checkpoint import RunState
from perception_common.training.distributed import Processes, distributed, synchronise_batch_norm
from perception_common.training.loop import CHECKPOINT, Task, make_optimizer, make_scaler, run_loop
from perception_common.training.outputs import begin_folder
from perception_common.weights import load_weights

NAME = "train_loftr"
VALIDATION_SCENE = 2**20  # first seed of the scenes of the validation, far above those of any training


def train(config: TrainingConfig, run_dir: Path, *, resume: bool, device: torch.device) -> bool:
    """Start or resume a training in `run_dir`, in the processes started by torchrun; returns whether it is complete.

    Raises InputError.
    """
    with distributed(device) as processes:
        state = initial_state(config, processes)
        checkpoint = run_dir / CHECKPOINT
        if resume:
            state.load(checkpoint, processes)
        elif checkpoint.exists():
            raise InputError(f"{run_dir} holds a run already; continue it with --resume or choose another --run-dir")
        if processes.is_main:
            begin_folder(run_dir, to_mapping(config))
        broken = BrokenFiles()
        task = make_task(config, processes, broken)
        is_complete = run_loop(state, task, config.loop, run_dir, processes)
        if processes.is_main and broken.count:
            logging.getLogger(__name__).warning("%d broken files were skipped", broken.count)
        return is_complete


def initial_state(config: TrainingConfig, processes: Processes) -> RunState:
    """Build the network with its initial weights, and its optimizer."""
    random.seed(config.loop.seed)
    torch.manual_seed(config.loop.seed)
    network = TrainedLoFTR(config.network_config(), config.losses, processes)
    if config.weights is not None:
        load_weights(network, config.weights)
    synchronise_batch_norm(network, processes)
    network.to(processes.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = WeightAverage(network, config.loop.average_decay)
    facts = {"model": config.model or "see config.yaml", "seed": config.loop.seed}
    scaler = make_scaler(config.loop, processes.device)
    return RunState(network, make_optimizer(network, config.loop), average, scaler, facts=facts)


def make_task(config: TrainingConfig, processes: Processes, broken: BrokenFiles) -> Task[PairBatch]:
    """Define the batches, the losses and the validation."""
    source = make_source(config, broken)
    validate = make_validation(config, processes, broken)
    share = processes.share(config.loop.batch)

    def make_batch(step: int) -> PairBatch:
        return draw_batch(source, config.data.sizes, config.loop.batch, share, config.loop.seed, step)

    def compute_loss(module: nn.Module, batch: PairBatch) -> Mapping[str, torch.Tensor]:
        return module(batch.to(processes.device))

    return Task(make_batch, compute_loss, validate)


def make_source(config: TrainingConfig, broken: BrokenFiles) -> Mixture:
    """Open the configured sources of training pairs as one mixture."""
    data, stride = config.data, config.network_config().backbone.coarse_stride
    sources: list[tuple[PairSource, float]] = []
    if data.homographies is not None:
        sources.append((HomographyPairs(data.homographies, stride, broken), data.weights.homographies))
    if data.thermal is not None:
        sources.append((HomographyPairs(data.thermal, stride, broken), data.weights.thermal))
    if data.flights is not None:
        sources.append((FlightPairs(data.flights, stride), data.weights.flights))
    if data.scannet is not None:
        sources.append((ScanNetPairs(data.scannet, stride, broken), data.weights.scannet))
    if data.megadepth is not None:
        sources.append((MegaDepthPairs(data.megadepth, stride, broken), data.weights.megadepth))
    return Mixture([source for source, _ in sources], [weight for _, weight in sources])


def make_validation(
    config: TrainingConfig, processes: Processes, broken: BrokenFiles
) -> Callable[[nn.Module], dict[str, float]]:
    """Make the validation pairs once, and return a function that evaluates a network on them."""
    if not processes.is_main:
        return lambda module: {}
    data, validation, stride = config.data, config.validation, config.network_config().backbone.coarse_stride
    # The pairs have the default difficulty, so that figures of different trainings are comparable.
    held_out: dict[str, PairSource] = {}
    for name, photographs in (("homography", data.homographies), ("thermal", data.thermal)):
        if photographs is not None:
            kept = HomographyConfig(photographs.folders, holdout_every=photographs.holdout_every)
            held_out[name] = HomographyPairs(kept, stride, broken, holdout=True)
    if data.flights is not None:
        other = FlightConfig(VALIDATION_SCENE, pairs_per_scene=16, photograph_folders=data.flights.photograph_folders)
        held_out["flight"] = FlightPairs(other, stride)
    batches = {name: fixed_batches(source, validation.pairs, validation.size) for name, source in held_out.items()}
    posed = {path.parent.name: read_posed_pairs(path, validation.max_side) for path in validation.posed_pairs}

    def evaluate(module: nn.Module) -> dict[str, float]:
        assert isinstance(module, TrainedLoFTR)
        metrics: dict[str, float] = {}
        for name, fixed in batches.items():
            metrics |= {f"{name}_{key}": v for key, v in match_metrics(module, fixed, processes.device).items()}
        for name, pairs in posed.items():
            metrics |= {f"{name}_{key}": v for key, v in pose_metrics(module, pairs, processes.device).items()}
        return metrics

    return evaluate


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Train LoFTR as configured in a YAML file. Ctrl-C saves; --resume continues exactly.",
        epilog=f"example: {prog} config/training/loftr_lite.yaml --run-dir runs/loftr_lite --resume",
    )
    parser.add_argument("config", type=Path, help="YAML file, as those in config/training")
    parser.add_argument("--run-dir", type=Path, help="folder of the run (default: runs/NAME of the configuration)")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the run's folder")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    return parser


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Train until the last step. Returns 3 if a signal stopped the run early; --resume continues it."""
    options = build_parser(prog).parse_args(arguments)
    logging.basicConfig(format="%(levelname)s: %(message)s")
    raise_malloc_thresholds()  # activations are freed and allocated in every step, a tenth of its time otherwise
    cv2.setNumThreads(1)  # the loader threads run beside those of torch
    config = load_yaml(TrainingConfig, options.config)
    run_dir = options.run_dir or Path("runs") / options.config.stem
    is_complete = train(config, run_dir, resume=options.resume, device=torch.device(options.device))
    return 0 if is_complete else 3


if __name__ == "__main__":
    cli.run(main)
