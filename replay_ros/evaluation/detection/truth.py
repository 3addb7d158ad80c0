"""Ground truth of images: the choice of classes, and boxes from a COCO JSON file.

Unlike in the reader for training, categories that are not evaluated do not become ignored regions, as in pycocotools.
Ignored regions are the boxes of a category whose name begins with "ignore", as in conversions of VisDrone (category 0).
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perception_common.errors import InputError
from perception_common.images.pictures.files import read_size
from perception_common.text.problems import shortened
from replay_ros.bags.datasets.sequences.images import is_image
from replay_ros.evaluation.detection.protocols import ImageTruth
from yolc_ros.classes import plain_name
from yolc_ros.datasets.coco import CocoFile, CocoImage, read_coco_file
from yolc_ros.datasets.samples import LabelProblem, check_labelled_size, summarise
from yolc_ros.datasets.views import read_view
from yolc_ros.looks.bands import GroundView

REGION = -1  # the label of an ignored region
BEYOND = (
    0.1  # share of boxes that end outside of their images by a quarter of their size; objects at the border are few
)


@dataclass(frozen=True, eq=False)
class EvaluatedImage:
    """An image file and its truth; labels are indices into the evaluated classes. view: of the ground, where known."""

    path: Path
    truth: ImageTruth
    view: GroundView | None = None

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
    with the classes of the network where the names differ; None: all categories that are classes, whatever their case
    and punctuation ("OtherVehicle" is "other-vehicle"). Raises InputError.
    """
    chosen: dict[str, list[str]] = {}
    if wanted is None:
        by_plain_name = {plain_name(name): name for name in known}
        plain = [(name, plain_name(name)) for name in categories]
        chosen = {name: [by_plain_name[each]] for name, each in plain if each in by_plain_name}
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


@dataclass(frozen=True)
class LabelledImages:
    """Images with their ground truth. problems: what was left out. remarks: what else a reader of the figures needs."""

    images: tuple[EvaluatedImage, ...]
    problems: tuple[LabelProblem, ...] = ()
    remarks: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[EvaluatedImage]:
        return iter(self.images)

    @property
    def notes(self) -> tuple[str, ...]:
        """The remarks, and a line on what was left out, if anything."""
        return (*summarise(self.problems), *self.remarks)


def read_coco_truth(
    annotations: Path, images: Path, choice: ClassChoice, pattern: str = "*", fov_deg: float | None = None
) -> LabelledImages:
    """Read images and boxes. images: the folder to which file names are relative. pattern: of the images' file names.
    fov_deg: see `read_view`.

    Beside what `read_coco_file` leaves out, images are left out whose file is missing, has no header of a picture, or
    has another size than the JSON says. Damage behind the header shows when the image is read. Raises InputError when
    none is left.
    """
    content = read_coco_file(annotations, images)
    chosen = [image for image in content.images if fnmatch.fnmatch(image.path.name, pattern)]
    if not chosen:
        raise InputError(f"{annotations}: has no images {'' if pattern == '*' else f'like {pattern}'}".rstrip())
    found: list[EvaluatedImage] = []
    problems: list[LabelProblem] = []
    view_faults: list[str] = []
    for image in chosen:
        if fault := _image_fault(image):
            problems.append(LabelProblem(str(image.path), f"{fault}; left out with its {len(image.boxes)} boxes"))
            continue
        view, fault = _view(image, fov_deg)
        view_faults += [f"{image.path.name}: {fault}"] if fault else []
        found.append(EvaluatedImage(image.path, image_truth(_truth_boxes(image, choice)), view))
    if not found:
        first = f"{problems[0].where}: {problems[0].what}"
        raise InputError(f"{annotations}: none of {len(chosen)} images can be used; {first}")
    remarks = [*_remarks(content, pattern)]
    if view_faults:
        remarks.append(f"the view of the ground of {len(view_faults)} images is not used ({shortened(view_faults)})")
    return LabelledImages(tuple(found), (*content.problems, *problems), tuple(remarks))


def _view(image: CocoImage, fov_deg: float | None) -> tuple[GroundView | None, str]:
    """Read the view of the ground, None where there is none; also return why the entry of one cannot be used, or ""."""
    try:
        return (None if image.size is None else read_view(image.entry, fov_deg)), ""
    except InputError as error:
        return None, str(error)


def _image_fault(image: CocoImage) -> str:
    if not image.path.is_file():
        return "is missing (name the folder with --images)"
    try:
        check_labelled_size(image.path, read_size(image.path), image.size)
    except InputError as error:
        return str(error).removeprefix(f"{image.path}: ")
    return ""


def _remarks(content: CocoFile, pattern: str) -> Iterator[str]:
    """Say which images have no boxes, and which pictures beside them are not listed."""
    empty = [image.path.name for image in content.images if not image.boxes]
    if empty:
        yield f"{len(empty)} of {len(content.images)} images have no boxes ({shortened(empty)})"
    listed = {image.path for image in content.images}
    yield from _odd_boxes(content.images)
    folders = {path.parent for path in listed if path.parent.is_dir()}
    others = [path.name for folder in sorted(folders) for path in sorted(folder.iterdir()) if is_image(path)]
    others = [name for name in others if name not in {path.name for path in listed} and fnmatch.fnmatch(name, pattern)]
    if others:
        yield f"{len(others)} pictures beside the images are not in the file ({shortened(others)})"


def _odd_boxes(images: Sequence[CocoImage]) -> Iterator[str]:
    """Say what suggests that boxes are not left, top, width and height in pixels, or are there twice."""
    boxes = [box for image in images for box in image.boxes]
    corners = np.array([box.corner_and_size for box in boxes]).reshape(-1, 4)
    ends = corners[:, :2] + corners[:, 2:]
    sizes = np.array([image.size or (np.inf, np.inf) for image in images for _ in image.boxes]).reshape(-1, 2)
    beyond = int(np.sum(np.any(ends > sizes + corners[:, 2:] / 4, axis=1)))
    if len(boxes) and ends.max() <= 1:
        yield "all boxes lie within the first pixel: are they shares of the image? COCO boxes are in pixels"
    elif beyond > BEYOND * len(boxes):
        yield (
            f"{beyond} of {len(boxes)} boxes end outside of their images: are they two corners, or of another size? "
            "COCO boxes are left, top, width and height in pixels"
        )
    twice = len(boxes) - sum(len(set(image.boxes)) for image in images)
    if twice:
        yield f"{twice} boxes repeat another one of their image and category: each copy counts as an object"


def _truth_boxes(image: CocoImage, choice: ClassChoice) -> list[TruthBox]:
    boxes = []
    for box in image.boxes:
        left, top, width, height = box.corner_and_size
        corners = (left, top, left + width, top + height)
        if box.category in choice.of_category:
            boxes.append(TruthBox(corners, choice.of_category[box.category], box.is_crowd, box.is_unscored))
        elif is_ignored_region(box.category):
            boxes.append(TruthBox(corners, REGION))
    return boxes


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


def is_ignored_region(name: str) -> bool:
    """Return whether the name of a category marks ignored regions."""
    return name.lower().startswith("ignore")
