"""Mixture of labelled sources, by configuration: which sources, and how often each is sampled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from perception_common.errors import InputError
from perception_common.training.broken_files import BrokenFiles
from yolc_ros.datasets.coco import read_coco
from yolc_ros.datasets.decoded import DecodedImages, ImageMemory
from yolc_ros.datasets.photographs import read_photographs
from yolc_ros.datasets.samples import ClassMap, LabelledFiles, Sample, Source
from yolc_ros.datasets.simulated import SimulatedViews
from yolc_ros.datasets.uavdt import read_uavdt
from yolc_ros.datasets.visdrone import read_visdrone

_ATTEMPTS = 20  # broken samples in a row after which a source is unusable; empirical


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """How any source is sampled.

    masked: our classes that get no loss from this source, in addition to those that it does not label.
    scale: range of output pixels per image pixel; None: that of the augmentation. Objects should get the sizes that the
    network is good for.
    """

    nadir: bool = False  # the camera points straight down, so images may be rotated by any angle
    weight: float = 1.0  # how often the source is sampled, relative to the other sources
    masked: tuple[str, ...] = ()
    scale: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise ValueError(f"weights must be positive, not {self.weight}")
        if self.scale is not None and not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale must be a range of positive numbers, not {self.scale}")


@dataclass(frozen=True, kw_only=True)
class FolderConfig(SourceConfig):
    """How any source of files is read. aliases: see `ClassMap`."""

    aliases: tuple[
        tuple[str, ...], ...
    ] = ()  # (name in the data set, our class, further classes that it may stand for)


@dataclass(frozen=True)
class CocoConfig(FolderConfig):
    """A COCO JSON file, restricted to the images whose file name matches `include`."""

    annotations: Path
    images: Path
    include: str = "*"


@dataclass(frozen=True)
class VisdroneConfig(FolderConfig):
    """A VisDrone-DET folder with images/ and annotations/."""

    folder: Path


@dataclass(frozen=True)
class UavdtConfig(FolderConfig):
    """UAVDT: the folder of sequences and the folder GT; empty `sequences`: all sequences with annotations."""

    images: Path
    annotations: Path
    sequences: tuple[str, ...] = ()


@dataclass(frozen=True)
class PhotographsConfig(SourceConfig):
    """A folder of photographs without objects of our classes, whose file names match `include`.

    Where some of our classes can be seen in them, mask these.
    """

    folder: Path
    include: str = "*"


@dataclass(frozen=True)
class SimulationConfig(SourceConfig):
    """Simulated views with the seeds first_seed to first_seed + views - 1, rendered once and kept in `cache`."""

    first_seed: int
    views: int
    size: tuple[int, int] = (1280, 720)  # width, height, pixels
    altitude_m: tuple[float, float] = (20.0, 140.0)  # range of altitudes, sampled log-uniformly
    cache: Path | None = None  # folder, relative to the folder of the run; None: render each time, which takes seconds
    photographs: Path | None = None  # folder of images without objects, as textures of the ground; None: synthetic

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.first_seed < 0 or self.views < 1 or min(self.size) < 64:
            raise ValueError("first_seed cannot be negative, views must be at least 1 and size at least 64 x 64")
        if not 0 < self.altitude_m[0] <= self.altitude_m[1]:
            raise ValueError(f"altitude_m must be a range of positive numbers, not {self.altitude_m}")


@dataclass(frozen=True)
class SourcesConfig:
    """Sources of labelled images, of any kind and number.

    decoded_mb: memory for decoded images of all sources together, MB; 0: every image is decoded each time.
    """

    coco: tuple[CocoConfig, ...] = ()
    visdrone: tuple[VisdroneConfig, ...] = ()
    uavdt: tuple[UavdtConfig, ...] = ()
    photographs: tuple[PhotographsConfig, ...] = ()
    simulation: tuple[SimulationConfig, ...] = ()
    decoded_mb: int = 0

    def __post_init__(self) -> None:
        if not (self.folders or self.simulation):
            raise ValueError("at least one source is needed")
        if self.decoded_mb < 0:
            raise ValueError(f"decoded_mb cannot be negative, not {self.decoded_mb}")

    @property
    def folders(self) -> tuple[CocoConfig | VisdroneConfig | UavdtConfig | PhotographsConfig, ...]:
        """Sources that are read from files."""
        return (*self.coco, *self.visdrone, *self.uavdt, *self.photographs)


@dataclass(frozen=True)
class Part:
    """One source of a mixture: its images, and how they are sampled; see `SourceConfig`."""

    source: Source
    nadir: bool
    weight: float
    scale: tuple[float, float] | None = None


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
    memory = ImageMemory(config.decoded_mb * 10**6)

    def add(source: Source, part: SourceConfig) -> None:
        kept = DecodedImages(source, memory) if config.decoded_mb else source
        parts.append(Part(kept, part.nadir, part.weight, part.scale))

    for part in config.folders:
        files = _read(part, class_names)
        for problem in files.problems:
            broken.add(problem.where, problem.what)
        if not len(files):
            raise InputError(f"no usable images in {part}; check the paths and `include`")
        add(files, part)
    for views in config.simulation:
        add(open_simulation(views, class_names, run_folder), views)
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
        masked=config.masked,
    )


def _read(
    config: CocoConfig | VisdroneConfig | UavdtConfig | PhotographsConfig, class_names: tuple[str, ...]
) -> LabelledFiles:
    if isinstance(config, PhotographsConfig):
        return read_photographs(config.folder, ClassMap(class_names, masked=config.masked)).matching(config.include)
    classes = ClassMap(class_names, config.aliases, config.masked)
    if isinstance(config, CocoConfig):
        return read_coco(config.annotations, config.images, classes).matching(config.include)
    if isinstance(config, VisdroneConfig):
        return read_visdrone(config.folder, classes)
    return read_uavdt(config.images, config.annotations, classes, config.sequences)
