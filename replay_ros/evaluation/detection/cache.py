"""Predictions on disk, so that protocols, classes and thresholds are compared without running the network again.

A file has a section for each inference mode (as "LSM on"). A section holds its conditions - weights, settings, device -
and the predictions of each image by the SHA-256 of the image file. It is used only under the same conditions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perception_common.array_files import read_arrays
from perception_common.atomic_file import output_file
from perception_common.errors import InputError
from perception_common.text.json_files import parse_json

FORMAT = 1
_PARTS = ("boxes", "scores", "labels", "counts", "crops", "seconds")


@dataclass(frozen=True, eq=False)
class Prediction:
    """Detections of a network in one image, of all its classes.

    boxes: (N, 4) float32 xyxy, pixels. scores: (N,) float32. labels: (N,) int64, the network's. crops: number of crops,
    of the LSM or slices. seconds: time of the inference, without reading the file.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    crops: int
    seconds: float


@dataclass(frozen=True)
class Section:
    """conditions: plain values that the predictions depend on. predictions: by the SHA-256 of the image file."""

    conditions: Mapping[str, Any]
    predictions: Mapping[str, Prediction]


def read_predictions(path: Path) -> dict[str, Section]:
    """Read all sections by the name of the mode; none without a file. Raises InputError for any other file."""
    if not path.exists():
        return {}
    try:
        content = read_arrays(path)
        header = parse_json(str(content["header"]))
        is_known = header["format"] == FORMAT
        sections = {
            each["look"]: Section(
                dict(each["conditions"]),
                _unpack(each["images"], {part: content[f"{index}_{part}"] for part in _PARTS}),
            )
            for index, each in enumerate(header["sections"] if is_known else ())
        }
    except (InputError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: is not a file of predictions or is damaged ({error}); remove it or name another file"
        ) from error
    if not is_known:
        raise InputError(f"{path}: holds predictions of another format version; remove it or name another file")
    return sections


def write_predictions(path: Path, sections: Mapping[str, Section]) -> None:
    """Write all sections, atomically. Raises InputError when the file cannot be written."""
    header = {
        "format": FORMAT,
        "sections": [
            {"look": mode, "conditions": each.conditions, "images": list(each.predictions)}
            for mode, each in sections.items()
        ],
    }
    arrays = {
        f"{index}_{part}": values
        for index, each in enumerate(sections.values())
        for part, values in _pack(list(each.predictions.values())).items()
    }
    with output_file(path) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, header=np.array(json.dumps(header)), **arrays)  # type: ignore[arg-type]


def join_predictions(parts: Sequence[Path], whole: Path) -> None:
    """Join files of predictions of different images, made under the same conditions, to one. Raises InputError."""
    joined: dict[str, Section] = {}
    for part in parts:
        for mode, section in read_predictions(part).items():
            before = joined.get(mode, Section(section.conditions, {}))
            if changed := changed_keys(before.conditions, section.conditions):
                raise InputError(f"{part} was predicted with another {', '.join(changed)} than {parts[0]}")
            joined[mode] = Section(section.conditions, {**before.predictions, **section.predictions})
    write_predictions(whole, joined)


def changed_keys(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the keys of the conditions that differ, nested ones as "settings.max_side"."""
    found = []
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += changed_keys(before, after, f"{prefix}{key}.")
        elif before != after:
            found.append(f"{prefix}{key}")
    return found


def _pack(predictions: list[Prediction]) -> dict[str, np.ndarray]:
    """Return one array for each part, with the images concatenated."""
    return {
        "boxes": np.concatenate([np.zeros((0, 4), np.float32), *(each.boxes for each in predictions)]),
        "scores": np.concatenate([np.zeros(0, np.float32), *(each.scores for each in predictions)]),
        "labels": np.concatenate([np.zeros(0, np.int64), *(each.labels for each in predictions)]),
        "counts": np.array([len(each.scores) for each in predictions], np.int64),
        "crops": np.array([each.crops for each in predictions], np.int64),
        "seconds": np.array([each.seconds for each in predictions], np.float64),
    }


def _unpack(images: list[str], arrays: Mapping[str, np.ndarray]) -> dict[str, Prediction]:
    starts = np.cumsum(arrays["counts"])[:-1]
    boxes, scores, labels = (np.split(arrays[part], starts)[: len(images)] for part in ("boxes", "scores", "labels"))
    return {
        image: Prediction(
            boxes[index], scores[index], labels[index], int(arrays["crops"][index]), float(arrays["seconds"][index])
        )
        for index, image in enumerate(images)
    }
