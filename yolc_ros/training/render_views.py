"""Renders all simulated views of a training in advance, with the command render_views CONFIG."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2

from perception_common.cli import run
from perception_common.config import load_yaml
from perception_common.errors import InputError
from yolc_ros.datasets.mixture import open_simulation
from yolc_ros.datasets.simulated import SimulatedViews
from yolc_ros.training.config import YolcTrainingConfig

NAME = "render_views"


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Render all simulated views of a training in advance, so that it never waits for them.",
        epilog="example: nice python -m yolc_ros.training.render_views config/training/yolc_lite.yaml",
    )
    parser.add_argument("config", type=Path, help="YAML file of the training, see config/training/")
    parser.add_argument("--run-dir", type=Path, help="folder of the run (default: runs/NAME of the configuration)")
    return parser


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Fill the caches of a training's simulated sources; views that are cached already are kept."""
    options = build_parser(prog).parse_args(arguments)
    config = load_yaml(YolcTrainingConfig, options.config)
    folder = options.run_dir or Path("runs") / options.config.stem
    cv2.setNumThreads(1)
    sources = [*config.data.simulation, *(view for part in config.validation for view in part.sources.simulation)]
    views = [open_simulation(source, (), folder) for source in sources if source.cache]
    if not views:
        raise InputError("the training has no simulated source with a cache; there is nothing to render")
    for source in views:
        render_missing(source)
    return 0


def render_missing(source: SimulatedViews) -> None:
    """Render the views of a source that are not cached, and print the progress."""
    missing = [index for index in range(len(source)) if not source.is_kept(index)]
    start, done = time.monotonic(), 0
    for index in missing:
        if not source.is_kept(index):
            source.load(index)
            done = sum(source.is_kept(other) for other in missing)
            left = (time.monotonic() - start) / done * (len(missing) - done)
            print(f"{done}/{len(missing)} views, left {left / 60:.0f} min", flush=True)


if __name__ == "__main__":
    run(main)
