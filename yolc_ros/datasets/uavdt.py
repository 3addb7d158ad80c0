"""UAVDT (detection benchmark): a folder of frames and two annotation files for each sequence."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from perception_common.errors import InputError
from perception_common.text.text_files import read_text, table_rows
from yolc_ros.datasets.samples import (
    ClassMap,
    LabelledBox,
    LabelledFile,
    LabelledFiles,
    LabelProblem,
    check_box,
    truth_from,
)

UAVDT_CLASSES = ("car", "truck", "bus")  # categories 1 to 3
_WHOLE, _IGNORE = "_gt_whole.txt", "_gt_ignore.txt"


@dataclass(frozen=True)
class UavdtBox:
    """A line of an annotation file. category: index into UAVDT_CLASSES; None: an ignored region."""

    corner_and_size: tuple[float, float, float, float]  # left, top, width, height, pixels
    category: int | None


@dataclass(frozen=True)
class UavdtFrame:
    """An image file and its lines in the sequence's annotation files."""

    path: Path
    boxes: tuple[UavdtBox, ...]


def read_uavdt(images: Path, annotations: Path, classes: ClassMap, sequences: tuple[str, ...] = ()) -> LabelledFiles:
    """Read UAVDT for training; see `read_uavdt_frames` for the arguments."""
    frames, problems = read_uavdt_frames(images, annotations, sequences)
    known = classes.known(UAVDT_CLASSES)
    return LabelledFiles(
        tuple(
            LabelledFile(frame.path, truth_from([_labelled(box, classes) for box in frame.boxes], known))
            for frame in frames
        ),
        problems,
    )


def read_uavdt_frames(
    images: Path, annotations: Path, sequences: tuple[str, ...] = ()
) -> tuple[tuple[UavdtFrame, ...], tuple[LabelProblem, ...]]:
    """Read UAVDT as published, frames in the order of sequence and number.

    images: the folder `UAV-benchmark-M` with `M0101/img000001.jpg` and so on. annotations: the folder `GT` with
    `M0101_gt_whole.txt` (`frame,target,left,top,width,height,out_of_view,occlusion,category`) and `M0101_gt_ignore.txt`
    (the same fields up to the height). sequences: names to read; empty: all with annotations. Broken lines and
    lines of frames without an image are left out and listed in the problems. Raises InputError for missing folders or
    sequences, and for files that are not text.
    """
    names = sequences or tuple(sorted(path.name.removesuffix(_WHOLE) for path in annotations.glob(f"*{_WHOLE}")))
    if not names:
        raise InputError(f"{annotations}: has no files NAME{_WHOLE}; give the folder GT of UAVDT")
    frames: list[UavdtFrame] = []
    problems: list[LabelProblem] = []
    for name in names:
        paths = sorted((images / name).glob("img*.jpg"))
        if not paths:
            raise InputError(f"{images / name}: has no frames img*.jpg; give the folder UAV-benchmark-M of UAVDT")
        boxes = _read_sequence(annotations, name, problems)
        for path in paths:
            number = path.stem.removeprefix("img")
            if number.isascii() and number.isdigit():
                frames.append(UavdtFrame(path, tuple(boxes.pop(int(number), ()))))
            else:
                problems.append(LabelProblem(str(path), "is no frame: its name has no number"))
        for frame, without_image in sorted(boxes.items()):
            where = f"{annotations / name}{_WHOLE}, frame {frame}"
            problems.append(LabelProblem(where, f"has {len(without_image)} boxes and no image"))
    return tuple(frames), tuple(problems)


def _labelled(box: UavdtBox, classes: ClassMap) -> LabelledBox:
    return LabelledBox(
        box.corner_and_size, None if box.category is None else classes.label_of(UAVDT_CLASSES[box.category])
    )


def _read_sequence(annotations: Path, name: str, problems: list[LabelProblem]) -> dict[int, list[UavdtBox]]:
    """Read the boxes of a sequence by frame number; appends to `problems`."""
    boxes: defaultdict[int, list[UavdtBox]] = defaultdict(list)
    whole, ignore = annotations / f"{name}{_WHOLE}", annotations / f"{name}{_IGNORE}"
    if not whole.is_file():
        raise InputError(f"{whole}: is missing; check the sequence's name")
    for path in (whole, ignore):
        for number, cells in table_rows(read_text(path)) if path.is_file() else ():
            try:
                frame, box = _parse_cells(cells, has_category=path is whole)
            except ValueError as error:
                problems.append(LabelProblem(f"{path}, line {number}", str(error)))
            else:
                boxes[frame].append(box)
    return boxes


def _parse_cells(fields: list[str], has_category: bool) -> tuple[int, UavdtBox]:
    expected = 9 if has_category else 6
    if len(fields) < expected:
        raise ValueError(f"{len(fields)} fields, {expected} are expected")
    left, top, width, height = (float(field) for field in fields[2:6])
    if problem := check_box((left, top, width, height)):
        raise ValueError(problem)
    category = None
    if has_category:
        category = int(fields[8]) - 1
        if not 0 <= category < len(UAVDT_CLASSES):
            raise ValueError(f"category {category + 1}, 1 to {len(UAVDT_CLASSES)} are expected")
    return int(fields[0]), UavdtBox((left, top, width, height), category)
