"""VisDrone-VID and VisDrone-MOT: sequences/NAME/0000001.jpg and annotations/NAME.txt.

A line is `frame,target,left,top,width,height,score,category,truncation,occlusion`, frames counted from 1. As in
VisDrone-DET, category 0 is an ignored region, category 11 ("others") is left out, and an object with score 0 is not
scored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from perception_common.errors import InputError
from replay_ros.bags.datasets.recording import CameraStream, FrameTiming, Recording, TrueBox
from replay_ros.bags.datasets.rows import Row, read_rows
from replay_ros.bags.datasets.sequences.frames import DEFAULT_RATE, DEFAULT_START_NS, check_timing, regular_stamp
from replay_ros.bags.datasets.sequences.images import ImageFolder, is_numbered_image, numbered_images
from yolc_ros.classes import VISDRONE_CLASSES
from yolc_ros.datasets.samples import check_box
from yolc_ros.datasets.visdrone import OTHERS, REGION

IGNORED_REGION = "ignored region"
COLUMNS = "frame target left top width height score category"


def is_visdrone_video(folder: Path) -> bool:
    """Tell whether a folder is a split of VisDrone-VID or -MOT, or a sequence of one."""
    if (folder / "sequences").is_dir():
        return any(is_numbered_image(file) for file in (folder / "sequences").glob("*/*"))
    return _annotation_file(folder).is_file() and any(is_numbered_image(file) for file in folder.iterdir())


def read_visdrone_video(folder: Path, timing: FrameTiming) -> Recording:
    """Read a sequence: its folder of images, or a split that holds only one. Raises InputError."""
    images = _image_folder(folder)
    numbered = numbered_images(images, example="0000001.jpg")
    check_timing(timing.rate, timing.start_ns)
    notes = []
    rate = timing.rate
    if rate is None:
        rate = DEFAULT_RATE
        notes.append(f"VisDrone does not publish its frame rates: {rate:g} Hz are assumed (--rate)")
    start_ns = DEFAULT_START_NS if timing.start_ns is None else timing.start_ns
    first = min(numbered)
    sequence = ImageFolder(
        files=tuple(numbered.values()),
        stamps_ns=tuple(regular_stamp(start_ns, rate, number - first) for number in numbered),
        timing=f"times made up: {rate:g} Hz",
    )
    objects, object_notes = _objects_by_image(_annotation_file(images), numbered)
    return Recording(
        what=f"the VisDrone sequence {images.name}",
        cameras=(CameraStream(name="camera", sequence=sequence),),
        objects=objects,
        notes=(*notes, *object_notes),
    )


def _annotation_file(images: Path) -> Path:
    images = images.resolve()
    return images.parent.parent / "annotations" / f"{images.name}.txt"


def _image_folder(folder: Path) -> Path:
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


def _objects_by_image(
    annotations: Path, numbered: Mapping[int, Path]
) -> tuple[dict[str, tuple[TrueBox, ...]] | None, list[str]]:
    """Return the objects by the file name of their image, and notes for the user; no objects without the file."""
    if not annotations.is_file():
        return None, [f"no {annotations.parent.name}/{annotations.name}: there are no true detections"]
    notes = []
    by_frame, dropped = _read_objects(annotations)
    if dropped:
        notes.append(f"{dropped} boxes without area in {annotations.name} are left out")
    if missing := len(by_frame.keys() - numbered.keys()):
        notes.append(f"{missing} frames with objects have no image")
    return {numbered[frame].name: tuple(boxes) for frame, boxes in by_frame.items() if frame in numbered}, notes


def _read_objects(path: Path) -> tuple[dict[int, list[TrueBox]], int]:
    """Return the objects by the number of their frame, and how many boxes without area are left out."""
    objects: defaultdict[int, list[TrueBox]] = defaultdict(list)
    dropped = 0
    for row in [] if path.stat().st_size == 0 else read_rows(path, "annotation file", COLUMNS):
        frame, target, category = (_integer(row, index) for index in (0, 1, 7))
        left, top, width, height, score = row.numbers(2, 7)
        if not REGION <= category <= OTHERS:
            raise row.error(f"has category {category}, expected {REGION} to {OTHERS}")
        box = (left, top, width, height)
        if check_box(box):
            dropped += 1
        elif category == REGION:
            objects[frame].append(TrueBox(box, len(VISDRONE_CLASSES), IGNORED_REGION, is_scored=False, track_id=0))
        elif category != OTHERS:
            if not 0 <= target < 2**32:
                raise row.error(f"has the target id {target}, expected 0 to {2**32 - 1}")
            label = category - 1
            objects[frame].append(TrueBox(box, label, VISDRONE_CLASSES[label], is_scored=score > 0, track_id=target))
    return dict(objects), dropped


def _integer(row: Row, index: int) -> int:
    try:
        return int(row.cells[index])
    except ValueError as error:
        raise row.error(f"is not a row of {COLUMNS}") from error
