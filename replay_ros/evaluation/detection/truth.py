"""Ground truth of images: the choice of classes, and boxes from a COCO JSON file.

Unlike in the reader for training, categories that are not evaluated do not become ignored regions, as in pycocotools.
Ignored regions are the boxes of a category whose name begins with "ignore", as in conversions of VisDrone (category 0).
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perception_common.errors import InputError
from replay_ros.evaluation.detection.protocols import ImageTruth
from yolc_ros.datasets.coco import load_annotations
from yolc_ros.datasets.samples import check_box

REGION = -1  # the label of an ignored region


@dataclass(frozen=True, eq=False)
class EvaluatedImage:
    """An image file and its truth; labels are indices into the evaluated classes."""

    path: Path
    truth: ImageTruth

    @property
    def name(self) -> str:
        """Folder and file name; the file name alone may occur in several sequences."""
        return "/".join(self.path.parts[-2:])


@dataclass(frozen=True)
class ClassChoice:
    """The evaluated classes, by the network's names.

    of_category: category of the truth -> index into classes. of_class: class of the network -> index into classes;
    several may have the same index.
    """

    classes: tuple[str, ...]
    of_category: Mapping[str, int]
    of_class: Mapping[str, int]

    def meaning(self, category: str) -> str:
        """Return the network's classes for this category, as "car+van"."""
        return "+".join(name for name, index in self.of_class.items() if index == self.of_category[category])


def choose_classes(categories: Sequence[str], known: Sequence[str], wanted: str | None) -> ClassChoice:
    """Choose the evaluated classes.

    categories: names in the truth. known: classes of the network. wanted: "car=car+van,minibus=van": categories, each
    with the classes of the network where the names differ; None: all categories that are classes. Raises InputError.
    """
    chosen: dict[str, list[str]] = {}
    if wanted is None:
        chosen = {name: [name] for name in categories if name in known}
        if not chosen:
            raise InputError(
                f"no category ({', '.join(categories)}) is a class of the network ({', '.join(known)}); "
                "assign them with --classes CATEGORY=CLASS"
            )
    else:
        for item in wanted.split(","):
            category, _, meant = (part.strip() for part in item.partition("="))
            chosen[category] = [name.strip() for name in (meant or category).split("+")]
    owners: dict[str, str] = {}  # class of the network -> evaluated class
    for category, names in chosen.items():
        if category not in categories:
            raise InputError(f"--classes: there is no category {category!r}; there are {', '.join(categories)}")
        for name in names:
            if name not in known:
                raise InputError(f"--classes: {name!r} is no class of the network; there are {', '.join(known)}")
            if owners.setdefault(name, names[0]) != names[0]:
                raise InputError(f"--classes: {name!r} cannot count as {owners[name]!r} and as {names[0]!r}")
    classes = tuple(name for name in known if name in owners.values())
    return ClassChoice(
        classes,
        {category: classes.index(names[0]) for category, names in chosen.items()},
        {name: classes.index(owners[name]) for name in known if name in owners},
    )


def category_names(annotations: Path) -> tuple[str, ...]:
    """Return the names of the categories in a COCO JSON file. Raises InputError."""
    return tuple(str(entry["name"]) for entry in load_annotations(annotations)["categories"])


def read_coco_truth(
    annotations: Path, images: Path, choice: ClassChoice, pattern: str = "*"
) -> tuple[EvaluatedImage, ...]:
    """Read images and boxes. images: the folder to which file names are relative. pattern: of the images' file names.

    Raises InputError for a broken file, a broken box and missing images.
    """
    content = load_annotations(annotations)
    names = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
    boxes: defaultdict[Any, list[TruthBox]] = defaultdict(list)
    for entry in content["annotations"]:
        try:
            name = names[entry["category_id"]]
            if name in choice.of_category or is_ignored_region(name):
                boxes[entry["image_id"]].append(_read_box(entry, choice.of_category.get(name, REGION)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            identity = entry.get("id", "without id") if isinstance(entry, dict) else repr(entry)
            raise InputError(f"{annotations}, annotation {identity}: is broken ({error})") from error
    try:
        files = [(images / entry["file_name"], entry["id"]) for entry in content["images"]]
    except (KeyError, TypeError) as error:
        raise InputError(f"{annotations}: an image has no id or file_name ({error!r})") from error
    files = [(path, identity) for path, identity in files if fnmatch.fnmatch(path.name, pattern)]
    if not files:
        raise InputError(f"{annotations}: has no images {'' if pattern == '*' else f'like {pattern}'}".rstrip())
    missing = [path for path, _ in files if not path.is_file()]
    if missing:
        raise InputError(f"{missing[0]}: is missing, with {len(missing) - 1} others; name their folder with --images")
    return tuple(EvaluatedImage(path, image_truth(boxes[identity])) for path, identity in files)


@dataclass(frozen=True)
class TruthBox:
    """A labelled box. xyxy: pixels. label: index into the evaluated classes, or REGION."""

    xyxy: tuple[float, float, float, float]
    label: int
    is_crowd: bool = False
    is_unscored: bool = False


def image_truth(boxes: Sequence[TruthBox]) -> ImageTruth:
    """Return the truth of an image with these boxes."""
    corners = np.array([box.xyxy for box in boxes], np.float64).reshape(-1, 4)
    labels = np.array([box.label for box in boxes], np.int64)
    is_object = labels != REGION
    return ImageTruth(
        corners[is_object],
        labels[is_object],
        np.array([box.is_crowd for box in boxes], bool)[is_object],
        np.array([box.is_unscored for box in boxes], bool)[is_object],
        corners[~is_object],
    )


def truth_sha256(names: Sequence[str], truths: Sequence[ImageTruth], classes: Sequence[str]) -> str:
    """Return the hash of the truth: names of images and classes, boxes, labels and marks."""
    digest = hashlib.sha256("\n".join(classes).encode())
    for name, truth in zip(names, truths, strict=True):
        digest.update(f"\n{name}\n".encode())
        for values in (truth.boxes, truth.labels, truth.crowd, truth.unscored, truth.regions):
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _read_box(entry: Mapping[str, Any], label: int) -> TruthBox:
    left, top, width, height = (float(value) for value in entry["bbox"])
    if problem := check_box((left, top, width, height)):
        raise ValueError(problem)
    unscored = bool(entry.get("ignore", False)) or entry.get("score", 1) == 0
    return TruthBox((left, top, left + width, top + height), label, bool(entry.get("iscrowd", False)), unscored)


def is_ignored_region(name: str) -> bool:
    """Return whether the name of a category marks ignored regions."""
    return name.lower().startswith("ignore")
