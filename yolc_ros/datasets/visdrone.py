"""VisDrone-DET folders: images/*.jpg and annotations/*.txt with the same stem."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from perception_common.errors import InputError
from perception_common.text.text_files import read_text, table_rows
from yolc_ros.classes import VISDRONE_CLASSES
from yolc_ros.datasets.samples import (
    ClassMap,
    LabelledBox,
    LabelledFile,
    LabelledFiles,
    LabelProblem,
    check_box,
    truth_from,
)

REGION, OTHERS = 0, 11  # ignored regions and objects of other classes; VISDRONE_CLASSES are the categories between
_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png"}


@dataclass(frozen=True)
class VisDroneBox:
    """A line of an annotation file. category: as in the file. is_scored: whether the official evaluation counts it."""

    corner_and_size: tuple[float, float, float, float]  # left, top, width, height, pixels
    category: int
    is_scored: bool


@dataclass(frozen=True)
class VisDroneFile:
    """An image file and the lines of its annotation file."""

    path: Path
    boxes: tuple[VisDroneBox, ...]


def read_visdrone(folder: Path, classes: ClassMap) -> LabelledFiles:
    """Read a folder of VisDrone-DET (train, val or test-dev) for training.

    Category 0 (ignored region), category 11 ("others") and boxes with score 0, which the official evaluation leaves
    out, become ignored regions. For broken lines and images without annotations see `read_visdrone_files`.
    """
    files, problems = read_visdrone_files(folder)
    known = classes.known(VISDRONE_CLASSES)
    return LabelledFiles(
        tuple(
            LabelledFile(file.path, truth_from([_labelled(box, classes) for box in file.boxes], known))
            for file in files
        ),
        problems,
    )


def read_visdrone_files(folder: Path) -> tuple[tuple[VisDroneFile, ...], tuple[LabelProblem, ...]]:
    """Read a folder of VisDrone-DET as published, images in the order of their names.

    A line is `left,top,width,height,score,category,truncation,occlusion`. Broken lines, images without an
    annotation file and annotation files without an image are left out and listed in the problems. Raises InputError for
    a folder without images.
    """
    files: list[VisDroneFile] = []
    problems: list[LabelProblem] = []
    for path in sorted((folder / "images").glob("*")):
        if path.suffix.lower() not in _IMAGE_SUFFIXES:
            continue
        annotation = folder / "annotations" / f"{path.stem}.txt"
        try:
            text = read_text(annotation)
        except InputError as error:
            problems.append(LabelProblem(str(annotation), f"{error}; its image is left out"))
            continue
        boxes = []
        for number, cells in table_rows(text):
            try:
                boxes.append(_parse_cells(cells))
            except ValueError as error:
                problems.append(LabelProblem(f"{annotation}, line {number}", str(error)))
        files.append(VisDroneFile(path, tuple(boxes)))
    stems = {path.stem for path in (folder / "images").glob("*")}
    for annotation in sorted((folder / "annotations").glob("*.txt")):
        if annotation.stem not in stems:
            problems.append(LabelProblem(str(annotation), "has no image"))
    if not files:
        cause = f" with annotations; {problems[0].where}: {problems[0].what}" if problems else ""
        raise InputError(f"{folder}: has no images{cause}; a VisDrone-DET folder holds images/ and annotations/")
    return tuple(files), tuple(problems)


def _labelled(box: VisDroneBox, classes: ClassMap) -> LabelledBox:
    is_object = box.is_scored and REGION < box.category < OTHERS
    return LabelledBox(box.corner_and_size, classes.label_of(VISDRONE_CLASSES[box.category - 1]) if is_object else None)


def _parse_cells(fields: list[str]) -> VisDroneBox:
    if len(fields) < 6:
        raise ValueError(f"{len(fields)} fields, 8 are expected")
    left, top, width, height, score = (float(field) for field in fields[:5])
    category = int(fields[5])
    if not REGION <= category <= OTHERS:
        raise ValueError(f"category {category}, {REGION} to {OTHERS} are expected")
    if problem := check_box((left, top, width, height)):
        raise ValueError(problem)
    return VisDroneBox((left, top, width, height), category, score > 0)
