"""Mixture of labelled sources, opened as configured and sampled by weight."""

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
from yolc_ros.datasets.sources import (
    CocoConfig,
    PhotographsConfig,
    SimulationConfig,
    SourceConfig,
    SourcesConfig,
    UavdtConfig,
    VisdroneConfig,
)
from yolc_ros.datasets.uavdt import read_uavdt
from yolc_ros.datasets.visdrone import read_visdrone

_ATTEMPTS = 20  # broken samples in a row after which a source is unusable; empirical


@dataclass(frozen=True)
class Part:
    """One source of a mixture: its images, and how they are sampled; see `SourceConfig`."""

    source: Source
    nadir: bool
    weight: float
    scale: tuple[float, float] | None = None
    cut_out: bool = False
    paste_share: float = 0.0
    px_per_m: tuple[float, float] | None = None


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
        parts.append(Part(kept, part.nadir, part.weight, part.scale, part.cut_out, part.paste_share, part.px_per_m))

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
        pitch_deg=config.pitch_deg,
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
