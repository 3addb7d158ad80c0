"""Exact truth of a frame: pose, depth, instances, boxes with occlusion and truncation, and what moves."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from flight_sim.camera import Camera, Lens, world_to_camera
from flight_sim.rendering import Raster
from flight_sim.scene import Scene


@dataclass(frozen=True)
class Boxes:
    """N objects in the image, nearest last; all arrays are parallel.

    `xyxy` (N, 4) float32 pixels: extent of the object's vertices projected into the (distorted) image, clipped to the
    image's area [-0.5, width - 0.5] x [-0.5, height - 0.5] (add 0.5 for coordinates that begin at the corner of the
    image, as in COCO); `class_ids` (N,) index classes.CLASS_NAMES; `ids` (N,) int32 persist over frames and stand in the
    instance buffer; `occlusion` (N,) float32: share of the object's pixels in view that something hides; `truncation`
    (N,) float32: share of the box's area outside the image; `velocity` (N, 2) m/s east and north; `position` (N, 2)
    metres; `visible_px` (N,) int.
    """

    xyxy: np.ndarray
    class_ids: np.ndarray
    ids: np.ndarray
    occlusion: np.ndarray
    truncation: np.ndarray
    velocity: np.ndarray
    position: np.ndarray
    visible_px: np.ndarray

    def __len__(self) -> int:
        return len(self.class_ids)

    def select(self, which: np.ndarray) -> Boxes:
        """The boxes of a mask (N,) bool or of indices."""
        return Boxes(*(getattr(self, field.name)[which] for field in fields(self)))

    def clear(self, most_occluded: float = 0.7, most_truncated: float = 0.6, smallest_px: float = 3.0) -> Boxes:
        """The boxes that an annotator would draw: mostly visible, mostly in the image, with sides of `smallest_px` or
        more.
        """
        shorter = np.minimum(self.xyxy[:, 2] - self.xyxy[:, 0], self.xyxy[:, 3] - self.xyxy[:, 1])
        return self.select(
            (self.occlusion <= most_occluded) & (self.truncation <= most_truncated) & (shorter >= smallest_px)
        )


@dataclass(frozen=True)
class Truth:
    """Truth of one frame; every buffer has the size of the (distorted) image and holds for the centre of each pixel.

    `T_world_camera` (4, 4) float64; `depth` (H, W) float32: z in metres along the optical axis of the surface that the
    pixel shows, that is, of the point depth * (x, y, 1) with (x, y) the undistorted normalised coordinates of the
    pixel; inf in the sky; `instances` (H, W) int32: 0 ground, -1 building, -2 tree, else an object's id; `moving` (H,
    W) bool: the pixel belongs to an object that moves.
    """

    camera: Camera
    T_world_camera: np.ndarray
    depth: np.ndarray
    instances: np.ndarray
    moving: np.ndarray
    boxes: Boxes


def frame_truth(scene: Scene, lens: Lens, pose: np.ndarray, raster: Raster) -> Truth:
    """The truth of the image that `lens` makes of a raster rendered at `pose`."""
    faces = _through(lens, raster.faces)
    instances = raster.owners[faces]
    boxes = _boxes(scene, lens.camera, pose, raster)
    speed = np.linalg.norm(boxes.velocity, axis=1)
    moving = np.isin(instances, boxes.ids[speed > 0.05])
    return Truth(lens.camera, pose, _depth(lens, raster, faces), instances, moving, boxes)


def _through(lens: Lens, buffer: np.ndarray) -> np.ndarray:
    """A buffer of the pinhole raster as the lens shows it: the nearest pixel, nothing is mixed."""
    if lens.camera.is_pinhole:
        return buffer
    columns, rows = np.moveaxis(np.rint(lens.grid).astype(np.int64), -1, 0)
    return buffer[rows, columns]


def _depth(lens: Lens, raster: Raster, faces: np.ndarray) -> np.ndarray:
    u, v = (lens.grid[0, :, 0], lens.grid[:, 0, 1, None]) if lens.camera.is_pinhole else np.moveaxis(lens.grid, -1, 0)
    ground = raster.planes[0]
    inverse = ground[0] * np.asarray(u, np.float64) + ground[1] * np.asarray(v, np.float64) + ground[2]
    rows, columns = np.nonzero(faces)
    planes = raster.planes[faces[rows, columns]]
    pixels = lens.grid[rows, columns].astype(np.float64)
    inverse[rows, columns] = planes[:, 0] * pixels[:, 0] + planes[:, 1] * pixels[:, 1] + planes[:, 2]
    with np.errstate(divide="ignore"):
        return np.where(inverse > 1e-7, 1.0 / inverse, np.inf).astype(np.float32)


def _boxes(scene: Scene, camera: Camera, pose: np.ndarray, raster: Raster) -> Boxes:
    drawn, population = raster.drawn, scene.population
    count = len(drawn.objects)
    if count == 0:
        none = np.zeros(0, np.int64)
        pairs, fractions = np.zeros((0, 2)), np.zeros(0, np.float32)
        return Boxes(
            np.zeros((0, 4), np.float32), none, none.astype(np.int32), fractions, fractions, pairs, pairs, none
        )
    pixels = camera.project(world_to_camera(np.concatenate(drawn.vertices), pose))
    begins = np.cumsum([0, *[len(points) for points in drawn.vertices[:-1]]])
    low, high = np.minimum.reduceat(pixels, begins), np.maximum.reduceat(pixels, begins)
    limit = np.array([camera.width - 0.5, camera.height - 0.5])
    clipped_low, clipped_high = np.clip(low, -0.5, limit), np.clip(high, -0.5, limit)
    area, inside = (np.prod(b - a, axis=1) for a, b in ((low, high), (clipped_low, clipped_high)))
    known, counts = np.unique(raster.owners[raster.faces], return_counts=True)
    place = np.minimum(np.searchsorted(known, drawn.ids), len(known) - 1)
    visible = np.where(known[place] == drawn.ids, counts[place], 0)
    speed = np.where(population.route_index[drawn.objects] >= 0, population.speed[drawn.objects], 0.0)
    velocity = speed[:, None] * np.column_stack([np.cos(drawn.yaw), np.sin(drawn.yaw)])
    distance = np.linalg.norm(drawn.position - pose[:2, 3], axis=1)
    shown = np.flatnonzero((inside > 0.0) & (drawn.whole_px > 0))
    shown = shown[np.argsort(-distance[shown], kind="stable")]
    return Boxes(
        np.concatenate([clipped_low, clipped_high], axis=1)[shown].astype(np.float32),
        population.class_ids[drawn.objects[shown]],
        drawn.ids[shown],
        (1.0 - visible[shown] / drawn.whole_px[shown]).clip(0.0, 1.0).astype(np.float32),
        (1.0 - inside[shown] / area[shown]).clip(0.0, 1.0).astype(np.float32),
        velocity[shown],
        drawn.position[shown],
        visible[shown],
    )
