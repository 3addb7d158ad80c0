"""Render all simulated views that a training needs beforehand, so that it never waits for them."""

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


def main(argv: list[str] | None = None) -> None:
    """Fill the caches of a training's simulated sources; what is there already is kept."""
    parser = argparse.ArgumentParser(
        prog="render_views",
        description=__doc__,
        epilog="example: nice python -m yolc_ros.training.render_views config/training/yolc_lite.yaml",
    )
    parser.add_argument("config", type=Path, help="YAML file of the training, see config/training/")
    parser.add_argument("--run-dir", type=Path, help="folder of the run (default: runs/NAME of the configuration)")
    arguments = parser.parse_args(argv)
    config = load_yaml(YolcTrainingConfig, arguments.config)
    folder = arguments.run_dir or Path("runs") / arguments.config.stem
    cv2.setNumThreads(1)
    sources = [*(config.data.simulation), *(view for part in config.validation for view in part.sources.simulation)]
    views = [open_simulation(source, (), folder) for source in sources if source.cache]
    if not views:
        raise InputError("the training has no simulated source with a cache; there is nothing to render")
    for source in views:
        render(source)


def render(source: SimulatedViews) -> None:
    """Render the views of a source that are missing, and say how it goes."""
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
