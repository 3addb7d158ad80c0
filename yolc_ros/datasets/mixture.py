"""Mixture of labelled sources, by configuration: which sources, and how often each is sampled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from perception_common.errors import InputError
from perception_common.training.broken_files import BrokenFiles
from yolc_ros.datasets.coco import read_coco
from yolc_ros.datasets.samples import ClassMap, LabelledFiles, Sample, Source
from yolc_ros.datasets.simulated import SimulatedViews
from yolc_ros.datasets.uavdt import read_uavdt
from yolc_ros.datasets.visdrone import read_visdrone

_ATTEMPTS = 20  # broken samples in a row after which a source is unusable; empirical


@dataclass(frozen=True)
class CocoConfig:
    """A COCO JSON file, restricted to the images whose file name matches `include`."""

    annotations: Path
    images: Path
    include: str = "*"
    aliases: tuple[tuple[str, str], ...] = ()  # (name in the data set, our class)
    nadir: bool = False  # the camera points straight down, so images may be rotated by any angle
    weight: float = 1.0  # how often the source is sampled, relative to the other sources


@dataclass(frozen=True)
class VisdroneConfig:
    """A VisDrone-DET folder with images/ and annotations/."""

    folder: Path
    aliases: tuple[tuple[str, str], ...] = ()
    nadir: bool = False
    weight: float = 1.0


@dataclass(frozen=True)
class UavdtConfig:
    """UAVDT: the folder of sequences and the folder GT; empty `sequences`: all sequences with annotations."""

    images: Path
    annotations: Path
    sequences: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    nadir: bool = False
    weight: float = 1.0


@dataclass(frozen=True)
class SimulationConfig:
    """Simulated views with the seeds first_seed to first_seed + views - 1, rendered once and kept in `cache`."""

    first_seed: int
    views: int
    size: tuple[int, int] = (1280, 720)  # width, height, pixels
    altitude_m: tuple[float, float] = (20.0, 140.0)  # range of altitudes, sampled log-uniformly
    cache: Path | None = None  # folder, relative to the folder of the run; None: render each time, which takes seconds
    photographs: Path | None = None  # folder of images without objects, as textures of the ground; None: synthetic
    nadir: bool = False
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.first_seed < 0 or self.views < 1 or min(self.size) < 64:
            raise ValueError("first_seed cannot be negative, views must be at least 1 and size at least 64 x 64")
        if not 0 < self.altitude_m[0] <= self.altitude_m[1]:
            raise ValueError(f"altitude_m must be a range of positive numbers, not {self.altitude_m}")


@dataclass(frozen=True)
class SourcesConfig:
    """Sources of labelled images, of any kind and number."""

    coco: tuple[CocoConfig, ...] = ()
    visdrone: tuple[VisdroneConfig, ...] = ()
    uavdt: tuple[UavdtConfig, ...] = ()
    simulation: tuple[SimulationConfig, ...] = ()

    def __post_init__(self) -> None:
        weights = [part.weight for part in self.folders] + [part.weight for part in self.simulation]
        if not weights or min(weights) <= 0:
            raise ValueError("at least one source is needed, and weights must be positive")

    @property
    def folders(self) -> tuple[CocoConfig | VisdroneConfig | UavdtConfig, ...]:
        """Sources that are read from files."""
        return (*self.coco, *self.visdrone, *self.uavdt)


@dataclass(frozen=True)
class Part:
    """One source of a mixture: its images, and how they are sampled."""

    source: Source
    nadir: bool
    weight: float


@dataclass(frozen=True)
class Mixture:
    """Sources to sample from. Broken samples are recorded in `broken` and skipped."""

    parts: tuple[Part, ...]
    broken: BrokenFiles = field(default_factory=BrokenFiles)

    def choose(self, rng: np.random.Generator) -> Part:
        """Sample a source by weight."""
        weights = np.array([part.weight for part in self.parts])
        return self.parts[rng.choice(len(self.parts), p=weights / weights.sum())]

    def draw(self, part: Part, rng: np.random.Generator) -> Sample:
        """Sample an image of one source. Raises InputError if too many samples in a row are broken."""
        for _ in range(_ATTEMPTS):
            index = int(rng.integers(len(part.source)))
            try:
                return part.source.load(index)
            except InputError as error:
                self.broken.add(part.source.name(index), str(error))
        raise InputError(f"{_ATTEMPTS} samples in a row are broken, the last was {part.source.name(index)}")

    def first(self, count: int) -> Iterator[Sample]:
        """Yield the first `count` samples of each source in order, without broken ones."""
        for part in self.parts:
            for index in range(min(count, len(part.source))):
                try:
                    sample = part.source.load(index)
                except InputError as error:
                    self.broken.add(part.source.name(index), str(error))
                else:
                    yield sample


def open_sources(config: SourcesConfig, class_names: tuple[str, ...], run_folder: Path) -> Mixture:
    """Read the annotations of all sources; the caches of simulated views are below `run_folder`.

    Raises InputError for a source that is missing or has no images.
    """
    parts: list[Part] = []
    broken = BrokenFiles()
    for part in config.folders:
        files = _read(part, ClassMap(class_names, part.aliases))
        for problem in files.problems:
            broken.add(problem.where, problem.what)
        if not len(files):
            raise InputError(f"no usable images in {part}; check the paths and `include`")
        parts.append(Part(files, part.nadir, part.weight))
    for views in config.simulation:
        parts.append(Part(open_simulation(views, class_names, run_folder), views.nadir, views.weight))
    return Mixture(tuple(parts), broken)


def open_simulation(config: SimulationConfig, class_names: tuple[str, ...], run_folder: Path) -> SimulatedViews:
    """Open one simulated source; its cache is below `run_folder`."""
    cache = None if config.cache is None else run_folder / config.cache
    return SimulatedViews(
        first_seed=config.first_seed,
        count=config.views,
        size=config.size,
        altitude_m=config.altitude_m,
        class_names=class_names,
        cache=cache,
        photographs=config.photographs,
    )


def _read(config: CocoConfig | VisdroneConfig | UavdtConfig, classes: ClassMap) -> LabelledFiles:
    if isinstance(config, CocoConfig):
        return read_coco(config.annotations, config.images, classes).matching(config.include)
    if isinstance(config, VisdroneConfig):
        return read_visdrone(config.folder, classes)
    return read_uavdt(config.images, config.annotations, classes, config.sequences)
