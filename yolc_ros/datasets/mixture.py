"""Several labelled sources as one, by configuration: which there are, and how often each is drawn from."""

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

_ATTEMPTS = 20  # broken samples in a row until a source counts as unusable


@dataclass(frozen=True)
class CocoConfig:
    """A COCO JSON file; of its images those whose file name fits `include`."""

    annotations: Path
    images: Path
    include: str = "*"
    aliases: tuple[tuple[str, str], ...] = ()  # (name there, our class)
    nadir: bool = False  # looks straight down, so that any heading is natural
    weight: float = 1.0  # how often it is drawn from, relative to the other sources


@dataclass(frozen=True)
class VisdroneConfig:
    """A VisDrone-DET folder with images/ and annotations/."""

    folder: Path
    aliases: tuple[tuple[str, str], ...] = ()
    nadir: bool = False
    weight: float = 1.0


@dataclass(frozen=True)
class UavdtConfig:
    """UAVDT: the folder of sequences and the folder GT; `sequences` empty means all that have annotations."""

    images: Path
    annotations: Path
    sequences: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    nadir: bool = False
    weight: float = 1.0


@dataclass(frozen=True)
class SimulationConfig:
    """Simulated views with the seeds first_seed to first_seed + views - 1, kept in `cache` once they are rendered."""

    first_seed: int
    views: int
    size: tuple[int, int] = (1280, 720)  # width, height, pixels
    altitude_m: tuple[float, float] = (20.0, 140.0)  # range of altitudes, drawn evenly on a logarithmic scale
    cache: Path | None = None  # folder, relative to the run's; None: rendered anew each time, which takes seconds
    photographs: Path | None = None  # folder of images without anything to be found: the ground; None: painted
    nadir: bool = False
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.first_seed < 0 or self.views < 1 or min(self.size) < 64:
            raise ValueError("first_seed cannot be negative, views must be at least 1 and size at least 64 x 64")
        if not 0 < self.altitude_m[0] <= self.altitude_m[1]:
            raise ValueError(f"altitude_m must be a range of positive numbers, not {self.altitude_m}")


@dataclass(frozen=True)
class SourcesConfig:
    """Labelled images of any number of kinds."""

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
        """Those that are read from files."""
        return (*self.coco, *self.visdrone, *self.uavdt)


@dataclass(frozen=True)
class Part:
    """One source of a mixture."""

    source: Source
    nadir: bool
    weight: float


@dataclass(frozen=True)
class Mixture:
    """Sources to draw from; what is broken is noted in `broken` and skipped."""

    parts: tuple[Part, ...]
    broken: BrokenFiles = field(default_factory=BrokenFiles)

    def choose(self, rng: np.random.Generator) -> Part:
        """Draw a source by weight."""
        weights = np.array([part.weight for part in self.parts])
        return self.parts[rng.choice(len(self.parts), p=weights / weights.sum())]

    def draw(self, part: Part, rng: np.random.Generator) -> Sample:
        """Draw a sample of one source. Raises InputError when nothing but broken ones comes."""
        for _ in range(_ATTEMPTS):
            index = int(rng.integers(len(part.source)))
            try:
                return part.source.load(index)
            except InputError as error:
                self.broken.add(part.source.name(index), str(error))
        raise InputError(f"{_ATTEMPTS} samples in a row are broken, the last was {part.source.name(index)}")

    def first(self, count: int) -> Iterator[Sample]:
        """Yield the first `count` samples of each source that are not broken, in order."""
        for part in self.parts:
            for index in range(min(count, len(part.source))):
                try:
                    sample = part.source.load(index)
                except InputError as error:
                    self.broken.add(part.source.name(index), str(error))
                else:
                    yield sample


def open_sources(config: SourcesConfig, class_names: tuple[str, ...], run_folder: Path) -> Mixture:
    """Read the annotations of all sources; simulated views are kept below `run_folder`.

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
    """Return one simulated source."""
    cache = None if config.cache is None else run_folder / config.cache
    return SimulatedViews(
        config.first_seed, config.views, config.size, config.altitude_m, class_names, cache, config.photographs
    )


def _read(config: CocoConfig | VisdroneConfig | UavdtConfig, classes: ClassMap) -> LabelledFiles:
    if isinstance(config, CocoConfig):
        return read_coco(config.annotations, config.images, classes).matching(config.include)
    if isinstance(config, VisdroneConfig):
        return read_visdrone(config.folder, classes)
    return read_uavdt(config.images, config.annotations, classes, config.sequences)
