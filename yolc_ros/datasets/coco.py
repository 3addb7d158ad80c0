"""COCO object annotations: one JSON file for all images, read with cross-checks for training and for evaluation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from perception_common.errors import InputError
from perception_common.paths import inner_path
from perception_common.text.json_files import read_json
from yolc_ros.datasets.samples import (
    ClassMap,
    LabelledBox,
    LabelledFile,
    LabelledFiles,
    LabelProblem,
    check_box,
    truth_from,
)


@dataclass(frozen=True)
class CocoBox:
    """An annotation. is_unscored: marked by `ignore` or a score of 0."""

    corner_and_size: tuple[float, float, float, float]  # left, top, width, height, pixels
    category: str
    is_crowd: bool
    is_unscored: bool


@dataclass(frozen=True)
class CocoImage:
    """An image of the file.

    size: its width and height in the JSON, pixels; None where they are not given. entry: as it stands in the JSON.
    """

    path: Path
    size: tuple[int, int] | None
    boxes: tuple[CocoBox, ...]
    entry: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CocoFile:
    """The content of a COCO file. categories: their names. problems: the entries that were left out."""

    categories: tuple[str, ...]
    images: tuple[CocoImage, ...]
    problems: tuple[LabelProblem, ...]


def read_coco(annotations: Path, images: Path, classes: ClassMap) -> LabelledFiles:
    """Read a COCO JSON file for training; see `read_coco_file` for what is left out and for the errors.

    Crowds, objects that are marked as unscored and objects of unmapped categories become ignored regions.
    """
    content = read_coco_file(annotations, images)
    known = classes.known(content.categories)
    files = (
        LabelledFile(image.path, truth_from([_labelled(box, classes) for box in image.boxes], known), image.size)
        for image in content.images
    )
    return LabelledFiles(tuple(files), content.problems)


def read_coco_file(annotations: Path, folder: Path) -> CocoFile:
    """Read a COCO JSON file whose `file_name`s are relative to `folder` and stay below it.

    Left out and listed are broken entries, categories, images and files that are listed twice, annotations of images or
    categories that are not listed, and boxes without area or outside their image. Raises InputError for a file that is
    not a COCO annotation file, and when not one of its images or of its annotations can be used.
    """
    content = _load(annotations)
    problems: list[LabelProblem] = []

    def leave_out(kind: str, entry: Any, what: str) -> None:
        problems.append(LabelProblem(f"{annotations}, {kind} {_id(entry)}", what))

    names = _by_id("category", content["categories"], _category_name, leave_out)
    images = _by_id("image", content["images"], lambda entry: _image(entry, folder), leave_out)
    images = _without_repeated_files(images, leave_out)
    references = {"image": _References(images), "category": _References(names)}
    boxes: defaultdict[Hashable, list[CocoBox]] = defaultdict(list)
    for entry in content["annotations"]:
        try:
            image_id = references["image"].check("image", entry["image_id"])
            category = names[references["category"].check("category", entry["category_id"])]
            box = _box(entry, category, images[image_id].size)
        except _UNUSABLE as error:
            leave_out("annotation", entry, _cause(error))
        else:
            boxes[image_id].append(box)
    for kind, used in (("images", images), ("annotations", boxes)):
        if content[kind] and not used:
            first = next(each for each in problems if f", {kind[:-1]} " in each.where)
            count = len(content[kind])
            raise InputError(f"{annotations}: none of its {count} {kind} can be used; {first.where}: {first.what}")
    found = (replace(image, boxes=tuple(boxes[key])) for key, image in images.items())
    return CocoFile(tuple(names.values()), tuple(found), tuple(problems))


def category_names(annotations: Path) -> tuple[str, ...]:
    """Return the names of the categories in a COCO JSON file. Raises InputError."""
    return tuple(_by_id("category", _load(annotations)["categories"], _category_name, _ignore).values())


_UNUSABLE = (InputError, KeyError, TypeError, ValueError, AttributeError, OverflowError)
Value = TypeVar("Value")


class _References:
    """The listed ids, to which annotations refer."""

    def __init__(self, known: Mapping[Hashable, object]) -> None:
        self._known = known
        self._by_text = {str(key): key for key in known}

    def check(self, what: str, key: Hashable) -> Hashable:
        """Return the id. Raises InputError when it is not listed."""
        if key not in self._known:
            twin = self._by_text.get(str(key))
            hint = "" if twin is None else f" ({twin!r} is: write both as numbers)"
            raise InputError(f"is of {what} {str(key)[:40]!r}, which is not listed{hint}")
        return key


def _load(path: Path) -> Mapping[str, Any]:
    content = read_json(path)
    parts = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in parts):
        raise InputError(f"{path}: is not a COCO annotation file; lists {', '.join(parts)} are expected")
    if content["categories"] and not _by_id("category", content["categories"], _category_name, _ignore):
        raise InputError(f"{path}: has categories without id or name")
    return content


def _ignore(kind: str, entry: Any, what: str) -> None:
    """Take no note of an entry that another call lists."""


def _by_id(
    kind: str, entries: list[Any], read: Callable[[Any], Value], leave_out: Callable[[str, Any, str], None]
) -> dict[Hashable, Value]:
    """Return what `read` makes of each entry, by its id; broken entries and those of a repeated id are left out."""
    found: dict[Hashable, Value] = {}
    for entry in entries:
        try:
            key, value = entry["id"], read(entry)
            if key in found:
                raise InputError(f"is listed twice; the first {kind} with this id is used")
            found[key] = value
        except _UNUSABLE as error:
            leave_out(kind, entry, _cause(error))
    return found


def _without_repeated_files(
    images: Mapping[Hashable, CocoImage], leave_out: Callable[[str, Any, str], None]
) -> dict[Hashable, CocoImage]:
    kept: dict[Hashable, CocoImage] = {}
    owners: dict[Path, Hashable] = {}
    for key, image in images.items():
        owner = owners.setdefault(image.path, key)
        if owner == key:
            kept[key] = image
        else:
            leave_out(
                "image", {"id": key}, f"has the file {image.path.name} of image {owner}; its boxes are left out too"
            )
    return kept


def _category_name(entry: Any) -> str:
    name = entry["name"]
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise InputError("has no name that can be printed")
    return name


def _image(entry: Any, folder: Path) -> CocoImage:
    size = None
    if entry.get("width") is not None and entry.get("height") is not None:
        size = int(entry["width"]), int(entry["height"])
        if min(size) < 1:
            raise InputError(f"has the size {size[0]}x{size[1]}")
    return CocoImage(inner_path(folder, entry["file_name"]), size, (), entry)


def _box(entry: Any, category: str, size: tuple[int, int] | None) -> CocoBox:
    if not isinstance(entry["bbox"], list):
        raise InputError("has no bbox of four numbers")
    left, top, width, height = (float(value) for value in entry["bbox"])
    if problem := check_box((left, top, width, height)):
        raise InputError(problem)
    if size is not None and (left >= size[0] or top >= size[1] or left + width <= 0 or top + height <= 0):
        raise InputError(f"a box outside the image of {size[0]}x{size[1]}")
    is_unscored = _flag(entry.get("ignore")) or entry.get("score") == 0
    return CocoBox((left, top, width, height), category, _flag(entry.get("iscrowd")), is_unscored)


def _flag(value: Any) -> bool:
    """Return a mark of an annotation: 0 or 1, as a number, a word or text. Raises ValueError for anything else."""
    words = {"0": False, "false": False, "none": False, "": False, "1": True, "true": True}
    word = str(value).strip().lower()
    if word not in words:
        raise ValueError(f"{word[:40]!r} is neither 0 nor 1")
    return words[word]


def _labelled(box: CocoBox, classes: ClassMap) -> LabelledBox:
    is_object = not (box.is_crowd or box.is_unscored)
    return LabelledBox(box.corner_and_size, classes.label_of(box.category) if is_object else None)


def _cause(error: Exception) -> str:
    return str(error) if isinstance(error, InputError) else f"is broken ({str(error)[:80] or type(error).__name__})"


def _id(entry: Any) -> str:
    text = str(entry.get("id", "without id") if isinstance(entry, dict) else repr(entry))[:40]
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
