"""Views of simulated flights, rendered when they are first needed and kept on disk."""

from __future__ import annotations

import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from flight_sim.shapes import CLASS_NAMES
from flight_sim.views import sample_view
from perception_common.errors import InputError
from yolc_ros.datasets.samples import ClassMap, Sample, Truth

_JPEG_QUALITY = 92
_HIDDEN = 0.7  # from this occluded share on an object becomes an ignored region ...
_FEW_PIXELS = 6  # ... and when fewer of its pixels are to be seen
_FORMAT = 1  # of the files; others are rendered anew


@dataclass(frozen=True)
class SimulatedViews:
    """A source of `count` views with consecutive seeds.

    A view looks the same whether it comes from the simulator or from the cache: it is coded as JPEG in both cases.
    """

    first_seed: int
    count: int
    size: tuple[int, int]  # width, height, pixels
    class_names: tuple[str, ...]
    cache: Path | None = None  # folder, made when needed

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """The seed, and where its file is."""
        return f"simulated view {self.first_seed + index}" + (f" in {self.cache}" if self.cache else "")

    def load(self, index: int) -> Sample:
        """Read a view from the cache, or render it (a second or two) and put it there. InputError for a full disk."""
        path = self.path(index)
        view = _read(path, self.size) if path is not None else None
        if view is None:
            view = _render(self.first_seed + index, self.size)
            if path is not None:
                _write(path, view)
        image = cv2.cvtColor(cv2.imdecode(view["jpeg"], cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        return Sample(self.name(index), image, _truth(view, ClassMap(self.class_names)))

    def path(self, index: int) -> Path | None:
        """The file that keeps a view."""
        if self.cache is None:
            return None
        width, height = self.size
        return self.cache / f"{width}x{height}" / f"{self.first_seed + index:08d}.npz"


def _render(seed: int, size: tuple[int, int]) -> dict[str, np.ndarray]:
    view = sample_view(seed, size)
    _, jpeg = cv2.imencode(
        ".jpg", cv2.cvtColor(view.image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    boxes = view.truth.boxes
    return {
        "jpeg": jpeg.reshape(-1),
        "boxes": boxes.xyxy + np.float32(0.5),  # from pixel centres to continuous coordinates
        "names": np.array(CLASS_NAMES)[boxes.class_ids],
        "hidden": (boxes.occlusion > _HIDDEN) | (boxes.visible_px < _FEW_PIXELS),
        "format": np.array(_FORMAT),
    }


def _truth(view: dict[str, np.ndarray], classes: ClassMap) -> Truth:
    labels = [classes.label_of(name) for name in view["names"].tolist()]
    is_object = ~view["hidden"] & np.array([label is not None for label in labels], dtype=bool)
    chosen = [label for label, taken in zip(labels, is_object, strict=True) if taken]
    boxes = view["boxes"].astype(np.float32).reshape(-1, 4)
    return Truth(boxes[is_object], np.array(chosen, dtype=np.int64), boxes[~is_object], classes.known(CLASS_NAMES))


def _read(path: Path, size: tuple[int, int]) -> dict[str, np.ndarray] | None:
    """Return a kept view; None where there is none, or a broken or older one."""
    try:
        with np.load(path, allow_pickle=False) as file:
            view = dict(file)
        return view if view["format"] == _FORMAT else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, view: dict[str, np.ndarray]) -> None:
    """Keep a view, all or nothing: other processes may want the same one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            unfinished = Path(folder) / path.name
            np.savez(unfinished, **view)  # type: ignore[arg-type]
            os.replace(unfinished, path)
    except OSError as error:
        raise InputError(f"{path}: a simulated view cannot be kept ({error.strerror}); free some space") from error
