"""What a labelled image is, whichever data set it comes from."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from perception_common.errors import InputError


@dataclass(frozen=True)
class ImageLabels:
    """What is known about one image. Coordinates are continuous: the top-left pixel covers 0 to 1 in x and y."""

    boxes: np.ndarray  # (N, 4) float32 xyxy, pixels
    labels: np.ndarray  # (N,) int64, class
    ignored: np.ndarray  # (M, 4) float32 xyxy, pixels: objects in there are not labelled, or not of our classes
    known: np.ndarray  # (C,) bool: the classes that whoever labelled the image looked for


@dataclass(frozen=True)
class Sample:
    """An image and its truth."""

    name: str  # where it comes from, for messages
    image: np.ndarray  # (H, W, 3) uint8 RGB
    truth: ImageLabels


class Source(Protocol):
    """Labelled images by number."""

    def __len__(self) -> int:
        """How many there are."""

    def name(self, index: int) -> str:
        """Where one comes from, for messages."""

    def load(self, index: int) -> Sample:
        """Read or make one. Raises InputError that names the file where it is broken."""


@dataclass(frozen=True)
class LabelProblem:
    """An annotation that could not be used."""

    where: str
    what: str


@dataclass(frozen=True)
class LabelledFile:
    """An image file and its truth."""

    path: Path
    truth: ImageLabels


@dataclass(frozen=True)
class LabelledFiles:
    """A source of image files, and what of its annotations was left out."""

    files: tuple[LabelledFile, ...]
    problems: tuple[LabelProblem, ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        """Path of the image."""
        return str(self.files[index].path)

    def load(self, index: int) -> Sample:
        """Read one image. Raises InputError that names the file where it is missing or broken."""
        file = self.files[index]
        return Sample(str(file.path), read_image(file.path), file.truth)

    def matching(self, pattern: str) -> LabelledFiles:
        """Those whose file name fits a pattern such as `MOS*`; problems stay."""
        chosen = tuple(file for file in self.files if fnmatch.fnmatch(file.path.name, pattern))
        return LabelledFiles(chosen, self.problems)


@dataclass(frozen=True)
class ClassMap:
    """The network's classes, and which names of a data set mean one of them.

    aliases: pairs (name in the data set, name of ours). A name that is neither ours nor an alias is of an unknown
    kind: its boxes become ignored regions, so that they teach nothing wrong.
    """

    class_names: tuple[str, ...]
    aliases: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for theirs, ours in self.aliases:
            if ours not in self.class_names:
                raise InputError(
                    f"alias {theirs!r}: {ours!r} is no class of the network; there are {', '.join(self.class_names)}"
                )

    def label_of(self, name: str) -> int | None:
        """The class number of a data set's name, None for an unknown kind."""
        ours = dict(self.aliases).get(name, name)
        return self.class_names.index(ours) if ours in self.class_names else None

    def known(self, names: tuple[str, ...]) -> np.ndarray:
        """(C,) bool: the classes that a data set with these names looks for."""
        known = np.zeros(len(self.class_names), dtype=bool)
        known[[label for label in map(self.label_of, names) if label is not None]] = True
        return known


@dataclass(frozen=True)
class LabelledBox:
    """One box as an annotation file gives it."""

    corner_and_size: tuple[float, float, float, float]  # left, top, width, height, pixels
    label: int | None  # None: an ignored region


def truth_from(boxes: list[LabelledBox], known: np.ndarray) -> ImageLabels:
    """Collect the boxes of one image."""
    corners = np.array([box.corner_and_size for box in boxes], dtype=np.float32).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    is_object = np.array([box.label is not None for box in boxes], dtype=bool)
    labels = np.array([box.label for box in boxes if box.label is not None], dtype=np.int64)
    return ImageLabels(corners[is_object], labels, corners[~is_object], known)


def check_box(values: tuple[float, float, float, float]) -> str:
    """Say what is wrong with a box (left, top, width, height); empty when nothing is."""
    if not np.isfinite(values).all():
        return "a box that is not finite"
    if values[2] <= 0 or values[3] <= 0:
        return "a box without area"
    return ""


def read_image(path: Path) -> np.ndarray:
    """Read (H, W, 3) uint8 RGB. Raises InputError that names the file."""
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the data set's folders") from error
    return decode_image(data, str(path))


def decode_image(data: np.ndarray, name: str) -> np.ndarray:
    """Bytes (N,) uint8 of an image file -> (H, W, 3) uint8 RGB. Raises InputError that begins with `name`."""
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        raise InputError(f"{name}: is not an image or is truncated; get the file again")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
