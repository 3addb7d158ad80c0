"""Ground truth for evaluation, from a COCO JSON file exactly as it stands.

Unlike the reader for training, categories that are not evaluated do not become ignored regions: pycocotools does not
know them either. Ignored regions are the boxes of a category whose name begins with "ignore", as in conversions of
VisDrone, whose category 0 they are.
"""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perception_common.errors import InputError
from replay_ros.evaluation.detection_metrics import ImageTruth
from yolc_ros.datasets.coco import load_annotations
from yolc_ros.datasets.samples import check_box


@dataclass(frozen=True, eq=False)
class EvaluatedImage:
    """An image file and what is in it; labels are indices into the classes that are evaluated."""

    path: Path
    truth: ImageTruth


@dataclass(frozen=True)
class ClassChoice:
    """The classes that are evaluated, by the network's names. of_category: category name -> index into classes."""

    classes: tuple[str, ...]
    of_category: Mapping[str, int]


def choose_classes(categories: Sequence[str], known: Sequence[str], wanted: str | None) -> ClassChoice:
    """Settle what is evaluated.

    categories: names in the file. known: classes of the network. wanted: "car,minibus=van": category names, with the
    class that is meant where its name differs; None: all categories that are classes. Raises InputError.
    """
    if wanted is None:
        chosen = {name: name for name in categories if name in known}
        if not chosen:
            raise InputError(
                f"no category ({', '.join(categories)}) is a class of the network ({', '.join(known)}); "
                "name them with --classes, as CATEGORY=CLASS"
            )
    else:
        chosen = {}
        for item in wanted.split(","):
            category, _, name = (part.strip() for part in item.partition("="))
            chosen[category] = name or category
    for category, name in chosen.items():
        if category not in categories:
            raise InputError(f"--classes: there is no category {category!r}; there are {', '.join(categories)}")
        if name not in known:
            raise InputError(f"--classes: {name!r} is no class of the network; there are {', '.join(known)}")
    classes = tuple(name for name in known if name in chosen.values())
    return ClassChoice(classes, {category: classes.index(name) for category, name in chosen.items()})


def category_names(annotations: Path) -> tuple[str, ...]:
    """Return the names of the categories in a COCO JSON file. Raises InputError."""
    return tuple(str(entry["name"]) for entry in load_annotations(annotations)["categories"])


def read_truth(annotations: Path, images: Path, choice: ClassChoice, pattern: str = "*") -> tuple[EvaluatedImage, ...]:
    """Read images and boxes. images: the folder to which file names are relative. pattern: of the images' file names.

    Raises InputError for a broken file, a broken box, and images that are missing.
    """
    content = load_annotations(annotations)
    names = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
    boxes: defaultdict[Any, list[_Box]] = defaultdict(list)
    for entry in content["annotations"]:
        try:
            name = names[entry["category_id"]]
            if name in choice.of_category or _is_ignored_region(name):
                boxes[entry["image_id"]].append(_read_box(entry, choice.of_category.get(name, _REGION)))
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
    return tuple(EvaluatedImage(path, _collect(boxes[identity])) for path, identity in files)


_REGION = -1  # the label of an ignored region


@dataclass(frozen=True)
class _Box:
    xyxy: tuple[float, float, float, float]
    label: int
    is_crowd: bool
    is_unscored: bool


def _read_box(entry: Mapping[str, Any], label: int) -> _Box:
    left, top, width, height = (float(value) for value in entry["bbox"])
    if problem := check_box((left, top, width, height)):
        raise ValueError(problem)
    unscored = bool(entry.get("ignore", False)) or entry.get("score", 1) == 0
    return _Box((left, top, left + width, top + height), label, bool(entry.get("iscrowd", False)), unscored)


def _is_ignored_region(name: str) -> bool:
    return name.lower().startswith("ignore")


def _collect(boxes: Sequence[_Box]) -> ImageTruth:
    corners = np.array([box.xyxy for box in boxes], np.float64).reshape(-1, 4)
    labels = np.array([box.label for box in boxes], np.int64)
    is_object = labels != _REGION
    return ImageTruth(
        corners[is_object],
        labels[is_object],
        np.array([box.is_crowd for box in boxes], bool)[is_object],
        np.array([box.is_unscored for box in boxes], bool)[is_object],
        corners[~is_object],
    )
