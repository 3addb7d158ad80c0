"""Views of simulated flights, rendered on first use and cached on disk."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from flight_sim.classes import CLASS_NAMES
from flight_sim.sampling import ViewOptions, sample_view
from flight_sim.scene import Scene, SceneOptions, build_scene
from flight_sim.truth import TrueBoxes
from perception_common.array_files import read_arrays
from perception_common.errors import InputError
from perception_common.images.pictures.files import decode_rgb
from yolc_ros.datasets.samples import ClassMap, ImageLabels, Sample

VIEWS_OF_A_SCENE = 16  # building a scene takes seconds, so several views share it; empirical
JPEG_QUALITY = 92
# Visibility of an object; the three values are empirical.
_INVISIBLE = 0.95  # occluded fraction from which the object is left out
_HIDDEN = 0.7  # occluded fraction above which it becomes an ignored region
_FEW_PIXELS = 6  # number of visible pixels below which it becomes an ignored region


def annotated(boxes: TrueBoxes) -> tuple[TrueBoxes, np.ndarray]:
    """Return the objects that get a box, and which of these are seen too little to count, (N,) bool."""
    kept = boxes.select(boxes.occlusion < _INVISIBLE)
    return kept, (kept.occlusion > _HIDDEN) | (kept.visible_px < _FEW_PIXELS)


@dataclass(frozen=True)
class SimulatedViews:
    """A source of `count` views with consecutive seeds.

    photographs: folder of images used as texture of the ground; None: synthetic ground. The images should show no
    objects of our classes, since these would be unlabelled.
    pitch_deg: see `SimulationConfig`.
    Rendered views are encoded as JPEG even without a cache, so that they equal views read from a cache.
    """

    first_seed: int
    count: int
    size: tuple[int, int]  # width, height, pixels
    altitude_m: tuple[float, float]
    class_names: tuple[str, ...]
    cache: Path | None = None  # folder, created when needed; None: build the scene for each view
    photographs: Path | None = None
    masked: tuple[str, ...] = ()  # see `ClassMap`
    pitch_deg: tuple[float, float] | None = None

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """Seed of the view, and the folder of its file."""
        return f"simulated view {self.first_seed + index}" + (f" in {self.cache}" if self.cache else "")

    def load(self, index: int) -> Sample:
        """Read a view from the cache; if it is missing, first render and cache all views of its scene.

        Raises InputError when they cannot be written.
        """
        view = self._read(index)
        if view is None:
            view = self._render_scene(index) if self.cache else self._render(index, self._build(index))
        classes = ClassMap(self.class_names, masked=self.masked)
        return Sample(self.name(index), decode_rgb(view["jpeg"], self.name(index)), _truth(view, classes))

    def is_kept(self, index: int) -> bool:
        """Whether a view is in the cache."""
        return self.cache is not None and self._path(index, self.cache).is_file()

    def _build(self, index: int) -> Scene:
        options = SceneOptions(photographs="" if self.photographs is None else str(self.photographs))
        try:
            return build_scene(self._scene(index), options)
        except (OSError, ValueError) as error:
            raise InputError(f"the ground of simulated views: {error}") from error

    def _scene(self, index: int) -> int:
        return (self.first_seed + index) // VIEWS_OF_A_SCENE

    def _path(self, index: int, cache: Path) -> Path:
        (width, height), (low, high) = self.size, self.altitude_m
        photographs = self.photographs and self.photographs.absolute()
        ground = f"_{photographs.parent.name}_{photographs.name}" if photographs else ""
        pitch = "" if self.pitch_deg is None else f"_{-self.pitch_deg[1]:g}-{-self.pitch_deg[0]:g}deg"
        return cache / f"{width}x{height}_{low:g}-{high:g}m{pitch}{ground}" / f"{self.first_seed + index:08d}.npz"

    def _render(self, index: int, scene: Scene) -> dict[str, np.ndarray]:
        seed = self.first_seed + index
        options = ViewOptions(altitude_m=self.altitude_m)
        if self.pitch_deg is not None:
            options = replace(options, pitch_deg=self.pitch_deg, nadir_share=0.0)
        frame = sample_view(seed, self.size, options, scene)
        bgr = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
        _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        boxes, hidden = annotated(frame.truth.boxes)
        return {
            "jpeg": jpeg.reshape(-1),
            "boxes": boxes.xyxy + np.float32(0.5),  # from pixel centres to continuous coordinates
            "names": np.array(CLASS_NAMES)[boxes.class_ids],
            "hidden": hidden,
        }

    def _render_scene(self, index: int) -> dict[str, np.ndarray]:
        """Render and cache the missing views of the scene of `index`; returns the view `index`."""
        first = self._scene(index) * VIEWS_OF_A_SCENE - self.first_seed
        views = range(max(0, first), min(self.count, first + VIEWS_OF_A_SCENE))
        scene = self._build(index)
        for other in views:
            if other != index and not self.is_kept(other):
                self._write(other, self._render(other, scene))
        view = self._render(index, scene)
        self._write(index, view)
        return view

    def _read(self, index: int) -> dict[str, np.ndarray] | None:
        """Read a cached view; None if it is missing or broken."""
        if self.cache is None:
            return None
        try:
            arrays = read_arrays(self._path(index, self.cache))
            return {name: arrays[name] for name in ("jpeg", "boxes", "names", "hidden")}
        except (InputError, KeyError):
            return None

    def _write(self, index: int, view: dict[str, np.ndarray]) -> None:
        """Cache a view atomically, since other processes may read or write the same one."""
        assert self.cache is not None
        path = self._path(index, self.cache)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent) as folder:
                unfinished = Path(folder) / path.name
                np.savez(unfinished, **view)  # type: ignore[arg-type]
                os.replace(unfinished, path)
        except OSError as error:
            raise InputError(f"{path}: the view cannot be written ({error.strerror}); free some space") from error


def _truth(view: dict[str, np.ndarray], classes: ClassMap) -> ImageLabels:
    labels = [classes.label_of(name) for name in view["names"].tolist()]
    is_object = ~view["hidden"] & np.array([label is not None for label in labels], dtype=bool)
    chosen = [label for label, taken in zip(labels, is_object, strict=True) if taken]
    boxes = view["boxes"].astype(np.float32).reshape(-1, 4)
    return ImageLabels(
        boxes=boxes[is_object],
        labels=np.array(chosen, dtype=np.int64),
        ignored=boxes[~is_object],
        known=classes.known(CLASS_NAMES),
    )
