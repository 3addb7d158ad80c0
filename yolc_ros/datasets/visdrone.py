"""VisDrone-DET folders: images/*.jpg and annotations/*.txt with the same stem."""

from __future__ import annotations

from pathlib import Path

from perception_common.errors import InputError
from yolc_ros.classes import VISDRONE_CLASSES
from yolc_ros.datasets.samples import ClassMap, LabelledBox, LabelledFile, LabelledFiles, Problem, check_box, truth_from

_OTHERS = 11
_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png"}


def read_visdrone(folder: Path, classes: ClassMap) -> LabelledFiles:
    """Read a folder of VisDrone-DET (train, val or test-dev).

    A line is `left,top,width,height,score,category,truncation,occlusion`. Category 0 is an ignored region and 11
    "others": both become ignored regions, and so do boxes with score 0, which the official evaluation leaves out. A
    broken line is left out and named in `problems`; so is an image without an annotation file. Raises InputError for a
    folder without images.
    """
    files: list[LabelledFile] = []
    problems: list[Problem] = []
    known = classes.known(VISDRONE_CLASSES)
    paths = sorted((folder / "images").glob("*"))
    for path in paths:
        if path.suffix.lower() not in _IMAGE_SUFFIXES:
            continue
        annotation = folder / "annotations" / f"{path.stem}.txt"
        try:
            lines = annotation.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem(str(annotation), f"cannot be read ({error}); its image is left out"))
            continue
        boxes = []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                boxes.append(_parse(line, classes))
            except ValueError as error:
                problems.append(Problem(f"{annotation}, line {number}", str(error)))
        files.append(LabelledFile(path, truth_from(boxes, known)))
    if not files and not problems:
        raise InputError(f"{folder}: has no images; a VisDrone-DET folder holds images/ and annotations/")
    return LabelledFiles(tuple(files), tuple(problems))


def _parse(line: str, classes: ClassMap) -> LabelledBox:
    fields = line.strip().rstrip(",").split(",")
    if len(fields) < 6:
        raise ValueError(f"{len(fields)} fields, 8 are expected")
    left, top, width, height, score = (float(field) for field in fields[:5])
    category = int(fields[5])
    if not 0 <= category <= _OTHERS:
        raise ValueError(f"category {category}, 0 to {_OTHERS} are expected")
    if problem := check_box((left, top, width, height)):
        raise ValueError(problem)
    is_object = score > 0 and 0 < category < _OTHERS
    return LabelledBox(
        (left, top, width, height), classes.label_of(VISDRONE_CLASSES[category - 1]) if is_object else None
    )
