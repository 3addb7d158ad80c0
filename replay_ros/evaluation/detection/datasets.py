"""Ground truth from COCO files and from the datasets' own folders, with the protocols of their papers."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from perception_common.errors import InputError
from replay_ros.bags.datasets.sequences.images import is_image
from replay_ros.evaluation.detection.truth import (
    REGION,
    ClassChoice,
    EvaluatedImage,
    LabelledImages,
    TruthBox,
    image_truth,
    read_coco_truth,
)
from yolc_ros.classes import VISDRONE_CLASSES
from yolc_ros.datasets import visdrone
from yolc_ros.datasets.coco import category_names, read_coco_file
from yolc_ros.datasets.uavdt import UAVDT_CLASSES, UavdtFrame, read_uavdt_frames

# The sequences that UAVDT's toolkit evaluates (CalculateDetectionPR_overall.m); M_attr/test names the same ones.
UAVDT_TEST = (
    *("M0203", "M0205", "M0208", "M0209", "M0403", "M0601", "M0602", "M0606", "M0701", "M0801"),
    *("M0802", "M1001", "M1004", "M1007", "M1009", "M1101", "M1301", "M1302", "M1303", "M1401"),
)

File = TypeVar("File", visdrone.VisDroneFile, UavdtFrame)


@dataclass(frozen=True)
class Dataset:
    """A source of ground truth.

    name: as in the table of published scores. path: file or folder. categories: labelled ones. protocols: the usual
    ones for this dataset. read: returns the images with the truth of the chosen classes; raises InputError.
    """

    name: str
    path: Path
    categories: tuple[str, ...]
    protocols: tuple[str, ...]
    read: Callable[[ClassChoice], LabelledImages]


def coco_dataset(
    annotations: Path, images: Path | None = None, pattern: str = "*", fov_deg: float | None = None
) -> Dataset:
    """Return the dataset of a COCO JSON file. Raises InputError.

    images: the folder to which its file names are relative; None: the folder of the file. pattern: of the images' file
    names. fov_deg: horizontal field of view, for the view of the ground (`yolc_ros.datasets.views`).
    """
    return Dataset(
        name="coco",
        path=annotations,
        categories=category_names(annotations),
        protocols=("coco-500",),
        read=partial(_read_coco, annotations, images or annotations.parent, pattern, fov_deg),
    )


def visdrone_dataset(folder: Path, pattern: str = "*") -> Dataset:
    """Return the dataset of a VisDrone-DET folder with images/ and annotations/; papers report the split val.

    Objects with score 0 are not scored, category 0 marks ignored regions, category 11 ("others") is left out.
    """
    return Dataset(
        name="visdrone",
        path=folder,
        categories=VISDRONE_CLASSES,
        protocols=("official-visdrone", "coco-500", "yolc-release"),
        read=partial(_read_visdrone, folder, pattern),
    )


def uavdt_dataset(folder: Path, split: str = "test", pattern: str = "*") -> Dataset:
    """Return the dataset of a UAVDT folder with UAV-benchmark-M/, GT/ (or UAV-benchmark-MOTD_v1.0/GT/) and M_attr/.

    split: "test", "train" or "all" sequences: those of M_attr/SPLIT, or of the toolkit's list without that folder.
    All frames of a sequence are evaluated, as in the toolkit.
    """
    return Dataset(
        name="uavdt",
        path=folder,
        categories=UAVDT_CLASSES,
        protocols=("uavdt", "coco"),
        read=partial(_read_uavdt, folder, split, pattern),
    )


def dataset_files(dataset: Dataset, images: Path | None = None) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return the files of labels of a dataset and those of its images, without reading either but a COCO file.

    images: as in `coco_dataset`. Raises InputError.
    """
    if dataset.path.is_file():
        listed = read_coco_file(dataset.path, images or dataset.path.parent).images
        return (dataset.path,), tuple(image.path for image in listed)
    files = sorted(path for path in dataset.path.rglob("*") if path.is_file())
    return tuple(path for path in files if not is_image(path)), tuple(path for path in files if is_image(path))


def _read_coco(
    annotations: Path, images: Path, pattern: str, fov_deg: float | None, choice: ClassChoice
) -> LabelledImages:
    return read_coco_truth(annotations, images, choice, pattern, fov_deg)


def _read_visdrone(folder: Path, pattern: str, choice: ClassChoice) -> LabelledImages:
    files, problems = visdrone.read_visdrone_files(folder)
    images = tuple(_visdrone_image(file, choice) for file in _select(files, folder, pattern))
    return LabelledImages(images, problems)


def _read_uavdt(folder: Path, split: str, pattern: str, choice: ClassChoice) -> LabelledImages:
    places = (folder / "GT", folder / "UAV-benchmark-MOTD_v1.0" / "GT")
    annotations = next((path for path in places if path.is_dir()), places[0])
    sequences = _uavdt_sequences(folder, annotations, split)
    frames, problems = read_uavdt_frames(folder / "UAV-benchmark-M", annotations, sequences)
    images = tuple(_uavdt_image(frame, choice) for frame in _select(frames, folder, pattern))
    return LabelledImages(images, problems)


def _visdrone_image(file: visdrone.VisDroneFile, choice: ClassChoice) -> EvaluatedImage:
    boxes = []
    for box in file.boxes:
        corners = _corners(box.corner_and_size)
        if box.category == visdrone.REGION:
            boxes.append(TruthBox(corners, REGION))
        elif box.category != visdrone.OTHERS and (name := VISDRONE_CLASSES[box.category - 1]) in choice.of_category:
            boxes.append(TruthBox(corners, choice.of_category[name], is_unscored=not box.is_scored))
    return EvaluatedImage(file.path, image_truth(boxes))


def _uavdt_image(frame: UavdtFrame, choice: ClassChoice) -> EvaluatedImage:
    boxes = []
    for box in frame.boxes:
        corners = _corners(box.corner_and_size)
        if box.category is None:
            boxes.append(TruthBox(corners, REGION))
        elif (name := UAVDT_CLASSES[box.category]) in choice.of_category:
            boxes.append(TruthBox(corners, choice.of_category[name]))
    return EvaluatedImage(frame.path, image_truth(boxes))


def _uavdt_sequences(folder: Path, annotations: Path, split: str) -> tuple[str, ...]:
    every = tuple(sorted(path.name.removesuffix("_gt_whole.txt") for path in annotations.glob("*_gt_whole.txt")))
    if split == "all" or not every:
        return every
    attributes = folder / "M_attr" / split
    if attributes.is_dir():
        # One file name of the release contains a space.
        names = tuple(sorted(path.name.removesuffix("_attr.txt").strip() for path in attributes.glob("*_attr.txt")))
    else:
        names = tuple(name for name in every if (name in UAVDT_TEST) == (split == "test"))
    if not names:
        raise InputError(f"{folder}: has no {split} sequences of UAVDT; name others with --split")
    return names


def _corners(corner_and_size: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, top, width, height = corner_and_size
    return left, top, left + width, top + height


def _select(files: Sequence[File], folder: Path, pattern: str) -> list[File]:
    """Return the files whose names fit the pattern. Raises InputError for none."""
    selected = [file for file in files if fnmatch.fnmatch(file.path.name, pattern)]
    if not selected:
        raise InputError(f"{folder}: has no images {'' if pattern == '*' else f'like {pattern} '}with annotations")
    return selected
