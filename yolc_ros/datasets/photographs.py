"""Photographs without objects: every detection in them is a false one."""

from __future__ import annotations

from pathlib import Path

from perception_common.errors import InputError
from yolc_ros.datasets.samples import ClassMap, LabelledFile, LabelledFiles, truth_from

_SUFFIXES = {".jpg", ".jpeg", ".png"}


def read_photographs(folder: Path, classes: ClassMap) -> LabelledFiles:
    """Read a folder of images without objects of our classes, in the order of their names.

    All classes but the masked ones are taken as annotated. Raises InputError for a folder without images.
    """
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise InputError(f"{folder}: has no photographs ({', '.join(sorted(_SUFFIXES))})")
    nothing = truth_from([], classes.known(classes.class_names))
    return LabelledFiles(tuple(LabelledFile(path, nothing) for path in paths))
