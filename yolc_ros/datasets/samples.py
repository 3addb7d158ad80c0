"""Labelled images, independent of the data set, and the mapping of class names."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from perception_common.errors import InputError
from perception_common.images.pictures.files import read_rgb
from perception_common.text.problems import shortened

_FARTHEST = 2**24  # pixels: larger coordinates are not exact in float32


@dataclass(frozen=True)
class ImageLabels:
    """Ground truth of one image. Coordinates are continuous: the top-left pixel covers 0 to 1 in x and y."""

    boxes: np.ndarray  # (N, 4) float32 xyxy, pixels
    labels: np.ndarray  # (N,) int64, class
    ignored: np.ndarray  # (M, 4) float32 xyxy, pixels: regions whose objects are unlabelled or of other classes
    known: np.ndarray  # (C,) bool: classes for which the image was annotated; others are masked, without any loss


@dataclass(frozen=True)
class Sample:
    """An image and its ground truth."""

    name: str  # origin, for messages
    image: np.ndarray  # (H, W, 3) uint8 RGB
    truth: ImageLabels


class Source(Protocol):
    """Labelled images by index."""

    def __len__(self) -> int:
        """Number of images."""

    def name(self, index: int) -> str:
        """Origin of an image, for messages."""

    def load(self, index: int) -> Sample:
        """Read or render an image. Raises InputError that names a missing or broken file."""


@dataclass(frozen=True)
class LabelProblem:
    """An unusable annotation: file and line or entry, and the reason."""

    where: str
    what: str


def summarise(problems: Sequence[LabelProblem]) -> tuple[str, ...]:
    """Return a line on what was left out, with its number; nothing for none."""
    if not problems:
        return ()
    named = shortened([f"{each.where}: {each.what}" for each in problems])
    return (f"{len(problems)} annotations left out ({named})",)


@dataclass(frozen=True)
class LabelledFile:
    """An image file and its ground truth. size: width and height that the labels are for, pixels; None: unknown."""

    path: Path
    truth: ImageLabels
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class LabelledFiles:
    """A source of image files; `problems` lists the annotations that were left out."""

    files: tuple[LabelledFile, ...]
    problems: tuple[LabelProblem, ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        """Path of the image."""
        return str(self.files[index].path)

    def load(self, index: int) -> Sample:
        """Read one image. Raises InputError that names a missing or broken file, and one of another size."""
        file = self.files[index]
        return Sample(str(file.path), read_labelled_image(file.path, file.size), file.truth)

    def matching(self, pattern: str) -> LabelledFiles:
        """Select the images whose file name matches a pattern such as `MOS*`; problems are kept."""
        chosen = tuple(file for file in self.files if fnmatch.fnmatch(file.path.name, pattern))
        return LabelledFiles(chosen, self.problems)


@dataclass(frozen=True)
class ClassMap:
    """Mapping of the class names of a data set to the network's classes.

    aliases: (name in the data set, our class, and further classes of ours that the name may stand for). Its boxes get
    the first class. The further classes are masked, since the data set does not tell them apart from the first.
    masked: our classes that get no loss from this data set, although it names them.
    Boxes of a masked class, and of a name that is neither our class nor an alias, become ignored regions, so that they
    are not trained as background.
    """

    class_names: tuple[str, ...]
    aliases: tuple[tuple[str, ...], ...] = ()
    masked: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for names in self.aliases:
            if len(names) < 2:
                raise InputError(f"alias {list(names)}: a name of the data set and at least one class are needed")
        named = [(f"alias {names[0]!r}", ours) for names in self.aliases for ours in names[1:]]
        for where, ours in [*named, *(("masked", ours) for ours in self.masked)]:
            if ours not in self.class_names:
                raise InputError(f"{where}: {ours!r} is not a class of the network ({', '.join(self.class_names)})")

    def label_of(self, name: str) -> int | None:
        """Class index of a name in the data set; None for an unmapped name, and for one of a masked class."""
        ours = {names[0]: names[1] for names in self.aliases}.get(name, name)
        return self.class_names.index(ours) if ours in self.class_names and not self._is_masked(ours) else None

    def known(self, names: tuple[str, ...]) -> np.ndarray:
        """(C,) bool: our classes for which a data set with these class names is annotated, without masked ones."""
        known = np.zeros(len(self.class_names), dtype=bool)
        known[[label for label in map(self.label_of, names) if label is not None]] = True
        return known

    def _is_masked(self, ours: str) -> bool:
        return ours in self.masked or any(ours in names[2:] for names in self.aliases)


@dataclass(frozen=True)
class LabelledBox:
    """One box of an annotation file."""

    corner_and_size: tuple[float, float, float, float]  # left, top, width, height, pixels
    label: int | None  # None: an ignored region


def truth_from(boxes: list[LabelledBox], known: np.ndarray) -> ImageLabels:
    """Combine the boxes of one image to its ground truth."""
    corners = np.array([box.corner_and_size for box in boxes], dtype=np.float32).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    is_object = np.array([box.label is not None for box in boxes], dtype=bool)
    labels = np.array([box.label for box in boxes if box.label is not None], dtype=np.int64)
    return ImageLabels(boxes=corners[is_object], labels=labels, ignored=corners[~is_object], known=known)


def check_box(values: tuple[float, float, float, float]) -> str:
    """Check a box (left, top, width, height); returns the problem, empty for a valid box."""
    if not np.isfinite(values).all():
        return "a box that is not finite"
    if max(map(abs, values)) > _FARTHEST:
        return f"a box beyond {_FARTHEST} pixels"
    if values[2] <= 0 or values[3] <= 0:
        return "a box without area"
    return ""


def read_labelled_image(path: Path, size: tuple[int, int] | None) -> np.ndarray:
    """Read (H, W, 3) uint8 RGB. Raises InputError, also for an image whose width and height are not `size`."""
    image = read_rgb(path)
    check_labelled_size(path, (image.shape[1], image.shape[0]), size)
    return image


def check_labelled_size(path: Path, size: tuple[int, int], labelled: tuple[int, int] | None) -> None:
    """Raise InputError for an image whose width and height are not those that its labels give, if they do."""
    if labelled is not None and labelled != size:
        raise InputError(f"{path}: has {size[0]}x{size[1]} pixels, its labels are for {labelled[0]}x{labelled[1]}")
