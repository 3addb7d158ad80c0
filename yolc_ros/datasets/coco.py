"""COCO object annotations: one JSON file for all images."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from perception_common.errors import InputError
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


def read_coco(annotations: Path, images: Path, classes: ClassMap) -> LabelledFiles:
    """Read a COCO JSON file whose `file_name`s are relative to the folder `images`.

    Crowds (`iscrowd`) and objects of unmapped categories become ignored regions. A broken entry is left out and listed
    in `problems`. Raises InputError for a file that is not a COCO annotation file.
    """
    content = load_annotations(annotations)
    names = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
    known = classes.known(tuple(names.values()))
    boxes: defaultdict[Any, list[LabelledBox]] = defaultdict(list)
    problems: list[LabelProblem] = []
    for entry in content["annotations"]:
        try:
            left, top, width, height = (float(value) for value in entry["bbox"])
            label = None if entry.get("iscrowd") else classes.label_of(names[entry["category_id"]])
            image_id = entry["image_id"]
        except (KeyError, TypeError, ValueError) as error:
            problems.append(LabelProblem(f"{annotations}, annotation {_id(entry)}", f"is broken ({error!r})"))
            continue
        if problem := check_box((left, top, width, height)):
            problems.append(LabelProblem(f"{annotations}, annotation {_id(entry)}", problem))
        else:
            boxes[image_id].append(LabelledBox((left, top, width, height), label))
    files = []
    for entry in content["images"]:
        try:
            files.append(LabelledFile(images / entry["file_name"], truth_from(boxes[entry["id"]], known)))
        except (KeyError, TypeError) as error:
            problems.append(LabelProblem(f"{annotations}, image {_id(entry)}", f"is broken ({error!r})"))
    return LabelledFiles(tuple(files), tuple(problems))


def load_annotations(path: Path) -> dict[str, Any]:
    """Read a COCO JSON file and check its lists `images`, `annotations` and `categories`. Raises InputError."""
    content = read_json(path)
    parts = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in parts):
        raise InputError(f"{path}: is not a COCO annotation file; lists {', '.join(parts)} are expected")
    if not all(isinstance(entry, dict) and {"id", "name"} <= entry.keys() for entry in content["categories"]):
        raise InputError(f"{path}: has categories without id or name")
    return content


def _id(entry: Any) -> Any:
    return entry.get("id", "without id") if isinstance(entry, dict) else repr(entry)
