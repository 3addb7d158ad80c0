"""Configuration of a mixture: which labelled sources, and how each is sampled and masked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """How any source is sampled.

    masked: our classes that get no loss from this source, in addition to those that it does not label.
    scale: range of output pixels per image pixel; None: that of the augmentation. Objects should get the sizes that the
    network is good for.
    cut_out: objects of this source are pasted into images of sources with a paste_share; see
    yolc_ros/training/augmentation/pasting.
    paste_share: fraction of the images of this source that get such objects.
    px_per_m: image pixels per metre on the ground at the top and at the bottom row, with a linear change in between as
    on level ground; they give the size of pasted objects. None: the size follows from the labelled objects of the
    image, and images without objects get none.
    """

    nadir: bool = False  # the camera points straight down, so images may be rotated by any angle
    weight: float = 1.0  # how often the source is sampled, relative to the other sources
    masked: tuple[str, ...] = ()
    scale: tuple[float, float] | None = None
    cut_out: bool = False
    paste_share: float = 0.0
    px_per_m: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise ValueError(f"weights must be positive, not {self.weight}")
        if self.scale is not None and not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale must be a range of positive numbers, not {self.scale}")
        if not 0 <= self.paste_share <= 1:
            raise ValueError(f"paste_share must lie in [0, 1], not {self.paste_share}")
        if self.px_per_m is not None and (min(self.px_per_m) < 0 or max(self.px_per_m) == 0):
            raise ValueError(f"px_per_m cannot be negative, nor zero at both rows, not {self.px_per_m}")


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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cut_out:
            raise ValueError("photographs have no labelled objects that could be cut out; leave cut_out out")
        if self.paste_share and self.px_per_m is None:
            raise ValueError("photographs with a paste_share need px_per_m, as they have no objects that give a scale")


@dataclass(frozen=True)
class SimulationConfig(SourceConfig):
    """Simulated views with the seeds first_seed to first_seed + views - 1, rendered once and kept in `cache`.

    pitch_deg: range of the camera's pitch, degrees; -90 looks straight down. None: two fifths of the views look
    straight down, the others are between -90 and -35.
    """

    first_seed: int
    views: int
    size: tuple[int, int] = (1280, 720)  # width, height, pixels
    altitude_m: tuple[float, float] = (20.0, 140.0)  # range of altitudes, sampled log-uniformly
    pitch_deg: tuple[float, float] | None = None
    cache: Path | None = None  # folder, relative to the folder of the run; None: render each time, which takes seconds
    photographs: Path | None = None  # folder of images without objects, as textures of the ground; None: synthetic

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.first_seed < 0 or self.views < 1 or min(self.size) < 64:
            raise ValueError("first_seed cannot be negative, views must be at least 1 and size at least 64 x 64")
        if not 0 < self.altitude_m[0] <= self.altitude_m[1]:
            raise ValueError(f"altitude_m must be a range of positive numbers, not {self.altitude_m}")
        if self.pitch_deg is not None and not -90 <= self.pitch_deg[0] <= self.pitch_deg[1] <= 0:
            raise ValueError(f"pitch_deg must be a range within -90 and 0, not {self.pitch_deg}")


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
