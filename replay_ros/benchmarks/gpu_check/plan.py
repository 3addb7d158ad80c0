"""Sizes of the check of a GPU."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GpuCheckPlan:
    """What is checked. Image sizes are (width, height), pixels.

    matchers, detectors: of config/models; the shipped weights where there are some, else random ones. part_sizes:
    (height, width) for which the parts of the networks are compared. pair, frame: images that are matched, and in which
    objects are detected. rounds: timed runs. flight_frames, flight_size: of the simulated flight for the nodes.
    seconds: after which no further part of the check is begun.
    """

    matchers: tuple[str, ...] = ("loftr_lite", "loftr_outdoor_ds")
    detectors: tuple[str, ...] = ("yolc_lite", "yolc_w48")
    part_sizes: tuple[tuple[int, int], ...] = ((64, 96), (160, 128))
    pair: tuple[int, int] = (640, 480)
    frame: tuple[int, int] = (1280, 736)
    rounds: int = 20
    flight_frames: int = 8
    flight_size: tuple[int, int] = (1280, 720)
    seconds: float = 240.0


QUICK_GPU_CHECK = GpuCheckPlan(
    matchers=("loftr_lite",),
    detectors=("yolc_lite",),
    part_sizes=((64, 64),),
    pair=(128, 96),
    frame=(128, 96),
    rounds=1,
    flight_frames=2,
    flight_size=(160, 120),
)
"""Sizes at which the check runs in seconds on a CPU."""
