"""VisDrone-VID and VisDrone-MOT: sequences/NAME/0000001.jpg and annotations/NAME.txt.

A line is `frame,target,left,top,width,height,score,category,truncation,occlusion`, frames counted from 1. As for
VisDrone-DET, category 0 is an ignored region, 11 ("others") is left out, and score 0 keeps an object from being scored.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from perception_common.errors import InputError
from replay_ros.bags.datasets.recording import CameraStream, FrameTiming, Recording, TrueBox
from replay_ros.bags.datasets.rows import Row, read_rows
from replay_ros.bags.datasets.sequences import (
    DEFAULT_RATE,
    DEFAULT_START_NS,
    IMAGE_SUFFIXES,
    ImageFolder,
    regular_stamp,
)
from yolc_ros.classes import VISDRONE_CLASSES
from yolc_ros.datasets.samples import check_box
from yolc_ros.datasets.visdrone import OTHERS, REGION

IGNORED_REGION = "ignored region"
COLUMNS = "frame target left top width height score category"


def is_visdrone_video(folder: Path) -> bool:
    """Tell whether a folder is a split of VisDrone-VID or -MOT, or one sequence in it."""
    if (folder / "sequences").is_dir():
        return any(_is_frame(file) for file in (folder / "sequences").glob("*/*"))
    return _annotations(folder).is_file() and any(_is_frame(file) for file in folder.iterdir())


def read_visdrone_video(folder: Path, timing: FrameTiming) -> Recording:
    """Read a sequence: its folder of images, or the split when it holds one alone. Raises InputError."""
    images = _images_folder(folder)
    numbered = {int(file.stem): file for file in images.iterdir() if _is_frame(file)}
    if not numbered:
        raise InputError(f"{images} holds no numbered images such as 0000001.jpg; extract them there")
    rate = DEFAULT_RATE if timing.rate is None else timing.rate
    start = DEFAULT_START_NS if timing.start_ns is None else timing.start_ns
    order = sorted(numbered)
    sequence = ImageFolder(
        tuple(numbered[number] for number in order),
        tuple(regular_stamp(start, rate, number - order[0]) for number in order),
        f"{rate:g} Hz",
    )
    notes = [] if timing.rate else [f"VisDrone does not say its frame rates: {rate:g} Hz are assumed (--rate)"]
    annotations = _annotations(images)
    objects: dict[str, tuple[TrueBox, ...]] | None = None
    if annotations.is_file():
        by_frame, left_out = _read_objects(annotations)
        objects = {numbered[frame].name: tuple(boxes) for frame, boxes in by_frame.items() if frame in numbered}
        if left_out:
            notes.append(f"{left_out} boxes without area in {annotations.name} are left out")
        if missing := len(by_frame.keys() - numbered.keys()):
            notes.append(f"{missing} frames with objects have no image")
    else:
        notes.append(f"no {annotations.parent.name}/{annotations.name}: there are no true detections")
    return Recording(
        what=f"the VisDrone sequence {images.name}",
        cameras=(CameraStream("camera", sequence),),
        objects=objects,
        notes=tuple(notes),
    )


def _is_frame(file: Path) -> bool:
    return file.suffix.lower() in IMAGE_SUFFIXES and file.stem.isascii() and file.stem.isdigit()


def _annotations(images: Path) -> Path:
    images = images.resolve()
    return images.parent.parent / "annotations" / f"{images.name}.txt"


def _images_folder(folder: Path) -> Path:
    if not (folder / "sequences").is_dir():
        return folder
    found = sorted(path for path in (folder / "sequences").iterdir() if path.is_dir())
    if len(found) != 1:
        names = ", ".join(path.name for path in found[:3]) + (", ..." if len(found) > 3 else "")
        raise InputError(
            f"{folder / 'sequences'} holds {len(found)} sequences ({names or 'extract them there'}); "
            f"give one, as {folder / 'sequences' / (found[0].name if found else 'NAME')}"
        )
    return found[0]


def _read_objects(path: Path) -> tuple[dict[int, list[TrueBox]], int]:
    """Return the objects by frame, and how many lines have a box that is none."""
    objects: defaultdict[int, list[TrueBox]] = defaultdict(list)
    left_out = 0
    for row in [] if path.stat().st_size == 0 else read_rows(path, "annotation file", COLUMNS):
        frame, category = _whole(row, 0), _whole(row, 7)
        left, top, width, height, score = row.numbers(2, 7)
        if not REGION <= category <= OTHERS:
            raise row.error(f"annotation: category {category}, {REGION} to {OTHERS} are expected")
        box = (left, top, width, height)
        if check_box(box):
            left_out += 1
        elif category == REGION:
            objects[frame].append(TrueBox(box, len(VISDRONE_CLASSES), IGNORED_REGION, False))
        elif category != OTHERS:
            objects[frame].append(TrueBox(box, category - 1, VISDRONE_CLASSES[category - 1], score > 0))
    return dict(objects), left_out


def _whole(row: Row, index: int) -> int:
    try:
        return int(row.cells[index])
    except ValueError as error:
        raise row.error(f"row of {COLUMNS}") from error
