"""Ground truth for evaluation from the datasets' own folders, by the protocols of their papers."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from perception_common.errors import InputError
from replay_ros.evaluation.detection.truth import (
    REGION,
    ClassChoice,
    EvaluatedImage,
    TruthBox,
    category_names,
    collect,
    read_coco_truth,
)
from yolc_ros.classes import VISDRONE_CLASSES
from yolc_ros.datasets import visdrone
from yolc_ros.datasets.samples import LabelProblem
from yolc_ros.datasets.uavdt import UAVDT_CLASSES, read_uavdt_frames

# Where UAVDT's toolkit evaluates detection (CalculateDetectionPR_overall.m); M_attr/test names the same sequences.
UAVDT_TEST = (
    *("M0203", "M0205", "M0208", "M0209", "M0403", "M0601", "M0602", "M0606", "M0701", "M0801"),
    *("M0802", "M1001", "M1004", "M1007", "M1009", "M1101", "M1301", "M1302", "M1303", "M1401"),
)


@dataclass(frozen=True)
class Labelled:
    """Images with their truth, and the annotations that could not be used."""

    images: tuple[EvaluatedImage, ...]
    problems: tuple[LabelProblem, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """A source of truth. categories: what is labelled. protocols: those in use for it. read: images of some classes."""

    name: str
    categories: tuple[str, ...]
    protocols: tuple[str, ...]
    read: Callable[[ClassChoice], Labelled]


def coco_dataset(annotations: Path, images: Path | None = None, pattern: str = "*") -> Dataset:
    """A COCO JSON file. images: the folder to which its file names are relative, by default its own.

    pattern: only images with such file names. Raises InputError, here and when it is read.
    """
    folder = images or annotations.parent
    return Dataset(
        "coco",
        category_names(annotations),
        ("coco-500",),
        lambda choice: Labelled(read_coco_truth(annotations, folder, choice, pattern)),
    )


def visdrone_dataset(folder: Path, pattern: str = "*") -> Dataset:
    """A folder of VisDrone-DET (val is what papers report) with images/ and annotations/.

    Objects with score 0 are marked as not scored, category 0 are ignored regions, 11 ("others") is left out.
    """

    def read(choice: ClassChoice) -> Labelled:
        files, problems = visdrone.read_visdrone_files(folder)
        files = tuple(file for file in files if fnmatch.fnmatch(file.path.name, pattern))
        _check_images(files, folder, pattern)
        return Labelled(tuple(_visdrone_image(file, choice) for file in files), problems)

    return Dataset("visdrone", VISDRONE_CLASSES, ("official-visdrone", "coco-500", "yolc-release"), read)


def uavdt_dataset(folder: Path, split: str = "test", pattern: str = "*") -> Dataset:
    """A folder with UAV-benchmark-M/, GT/ (or UAV-benchmark-MOTD_v1.0/GT/) and M_attr/ of UAVDT.

    split: "test", "train" or "all" sequences: those of M_attr/SPLIT, or of the toolkit's list without that folder.
    All frames of a sequence are evaluated, as the toolkit does.
    """
    annotations = next(
        (path for path in (folder / "GT", folder / "UAV-benchmark-MOTD_v1.0" / "GT") if path.is_dir()), folder / "GT"
    )

    def read(choice: ClassChoice) -> Labelled:
        sequences = _uavdt_sequences(folder, annotations, split)
        frames, problems = read_uavdt_frames(folder / "UAV-benchmark-M", annotations, sequences)
        frames = tuple(frame for frame in frames if fnmatch.fnmatch(frame.path.name, pattern))
        _check_images(frames, folder, pattern)
        images = []
        for frame in frames:
            boxes = [
                TruthBox(
                    _corners(box.corner_and_size),
                    REGION if box.category is None else choice.of_category[UAVDT_CLASSES[box.category]],
                )
                for box in frame.boxes
                if box.category is None or UAVDT_CLASSES[box.category] in choice.of_category
            ]
            images.append(EvaluatedImage(frame.path, collect(boxes)))
        return Labelled(tuple(images), problems)

    return Dataset("uavdt", UAVDT_CLASSES, ("uavdt", "coco"), read)


def _visdrone_image(file: visdrone.VisDroneFile, choice: ClassChoice) -> EvaluatedImage:
    boxes = []
    for box in file.boxes:
        corners = _corners(box.corner_and_size)
        if box.category == visdrone.REGION:
            boxes.append(TruthBox(corners, REGION))
        elif box.category != visdrone.OTHERS and (name := VISDRONE_CLASSES[box.category - 1]) in choice.of_category:
            boxes.append(TruthBox(corners, choice.of_category[name], is_unscored=not box.is_scored))
    return EvaluatedImage(file.path, collect(boxes))


def _uavdt_sequences(folder: Path, annotations: Path, split: str) -> tuple[str, ...]:
    every = tuple(sorted(path.name.removesuffix("_gt_whole.txt") for path in annotations.glob("*_gt_whole.txt")))
    if split == "all" or not every:
        return every
    attributes = folder / "M_attr" / split
    if attributes.is_dir():
        # One file of the release has a blank in its name.
        names = tuple(sorted(path.name.removesuffix("_attr.txt").strip() for path in attributes.glob("*_attr.txt")))
    else:
        names = tuple(name for name in every if (name in UAVDT_TEST) == (split == "test"))
    if not names:
        raise InputError(f"{folder}: has no {split} sequences of UAVDT; name others with --split")
    return names


def _corners(corner_and_size: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, top, width, height = corner_and_size
    return left, top, left + width, top + height


def _check_images(files: Sequence[object], folder: Path, pattern: str) -> None:
    if not files:
        raise InputError(f"{folder}: has no images {'' if pattern == '*' else f'like {pattern} '}with annotations")
