"""Exact ground truth of a frame: pose, depth, instances, moving pixels, and boxes with occlusion and truncation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flight_sim.camera import Lens, PinholeCamera, world_to_camera
from flight_sim.rendering.buffers import RenderBuffers, RenderedObjects
from flight_sim.scene import Scene

_MOVING_MPS = 0.05  # objects that are faster count as moving
_SKY_INVERSE_DEPTH = 1e-7  # 1/m; below is sky


@dataclass(frozen=True)
class TrueBoxes:
    """N objects in the image, nearest last; all arrays are parallel.

    `xyxy` (N, 4) float32 pixels: extent of the object's vertices projected into the (distorted) image, clipped to the
    image's area [-0.5, width - 0.5] x [-0.5, height - 0.5] (add 0.5 for coordinates that begin at the corner of the
    image, as in COCO); `class_ids` (N,) index classes.CLASS_NAMES; `ids` (N,) int32: values in the instance buffer, the
    same over frames; `occlusion` (N,) float32: share of the object's pixels that something hides; `truncation` (N,)
    float32: share of the box's area outside the image; `velocity` (N, 2) m/s east and north; `position` (N, 2) metres;
    `visible_px` (N,) int: pixels in the undistorted rendering.
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

    def select(self, which: np.ndarray) -> TrueBoxes:
        """The boxes of a mask (N,) bool or of indices."""
        return TrueBoxes(**{name: values[which] for name, values in vars(self).items()})

    def clearly_visible(
        self, max_occlusion: float = 0.7, max_truncation: float = 0.6, min_side_px: float = 3.0
    ) -> TrueBoxes:
        """The boxes that an annotator would draw: mostly visible, mostly in the image, not tiny."""
        shorter = np.minimum(self.xyxy[:, 2] - self.xyxy[:, 0], self.xyxy[:, 3] - self.xyxy[:, 1])
        return self.select(
            (self.occlusion <= max_occlusion) & (self.truncation <= max_truncation) & (shorter >= min_side_px)
        )


@dataclass(frozen=True)
class FrameTruth:
    """Ground truth of a frame; buffers have the size of the (distorted) image and hold for the centre of each pixel.

    `T_world_camera` (4, 4) float64; `depth` (H, W) float32: z in metres along the optical axis of the visible surface
    point, which is depth * (x, y, 1) with (x, y) the undistorted normalised coordinates of the pixel; inf in the sky;
    `instances` (H, W) int32: 0 ground, -1 building, -2 tree, else an object's id; `moving` (H, W) bool: the pixel
    belongs to an object that moves.
    """

    camera: PinholeCamera
    T_world_camera: np.ndarray
    depth: np.ndarray
    instances: np.ndarray
    moving: np.ndarray
    boxes: TrueBoxes


def frame_truth(scene: Scene, lens: Lens, pose: np.ndarray, buffers: RenderBuffers) -> FrameTruth:
    """The ground truth of the image that `lens` makes of a rendering at `pose` = T_world_camera."""
    faces = _distorted(lens, buffers.faces)
    instances = buffers.owners[faces]
    boxes = _true_boxes(scene, lens.camera, pose, buffers)
    speed = np.linalg.norm(boxes.velocity, axis=1)
    moving = np.isin(instances, boxes.ids[speed > _MOVING_MPS])
    return FrameTruth(lens.camera, pose, _depth(lens, buffers, faces), instances, moving, boxes)


def _distorted(lens: Lens, buffer: np.ndarray) -> np.ndarray:
    """A buffer of the undistorted rendering as the lens shows it; takes the nearest pixel, mixes none."""
    if lens.camera.is_undistorted:
        return buffer
    columns, rows = np.moveaxis(np.rint(lens.grid).astype(np.int64), -1, 0)
    return buffer[rows, columns]


def _depth(lens: Lens, buffers: RenderBuffers, faces: np.ndarray) -> np.ndarray:
    """The depth (H, W) float32 of the planes of the faces (H, W) at the centre of each pixel."""
    if lens.camera.is_undistorted:
        u, v = lens.grid[0, :, 0], lens.grid[:, 0, 1, None]
    else:
        u, v = np.moveaxis(lens.grid, -1, 0)
    ground = buffers.planes[0]
    inverse = ground[0] * np.asarray(u, np.float64) + ground[1] * np.asarray(v, np.float64) + ground[2]
    rows, columns = np.nonzero(faces)
    planes = buffers.planes[faces[rows, columns]]
    pixels = lens.grid[rows, columns].astype(np.float64)
    inverse[rows, columns] = planes[:, 0] * pixels[:, 0] + planes[:, 1] * pixels[:, 1] + planes[:, 2]
    with np.errstate(divide="ignore"):
        return np.where(inverse > _SKY_INVERSE_DEPTH, 1.0 / inverse, np.inf).astype(np.float32)


def _true_boxes(scene: Scene, camera: PinholeCamera, pose: np.ndarray, buffers: RenderBuffers) -> TrueBoxes:
    """The boxes of all objects that have pixels, or would have if nothing hid them."""
    drawn, population = buffers.drawn, scene.population
    low, high = _extents(drawn, camera, pose)
    limit = np.array([camera.width - 0.5, camera.height - 0.5])
    clipped_low, clipped_high = np.clip(low, -0.5, limit), np.clip(high, -0.5, limit)
    area, inside = np.prod(high - low, axis=1), np.prod(clipped_high - clipped_low, axis=1)
    visible = _visible_pixels(buffers)
    is_moving = population.route_index[drawn.objects] >= 0
    speed = np.where(is_moving, population.speed[drawn.objects], 0.0)
    velocity = speed[:, None] * np.column_stack([np.cos(drawn.yaw), np.sin(drawn.yaw)])
    distance = np.linalg.norm(drawn.position - pose[:2, 3], axis=1)
    shown = np.flatnonzero((inside > 0.0) & (drawn.whole_px > 0))
    shown = shown[np.argsort(-distance[shown], kind="stable")]
    return TrueBoxes(
        xyxy=np.concatenate([clipped_low, clipped_high], axis=1)[shown].astype(np.float32),
        class_ids=population.class_ids[drawn.objects[shown]],
        ids=drawn.ids[shown],
        occlusion=(1.0 - visible[shown] / drawn.whole_px[shown]).clip(0.0, 1.0).astype(np.float32),
        truncation=(1.0 - inside[shown] / area[shown]).clip(0.0, 1.0).astype(np.float32),
        velocity=velocity[shown],
        position=drawn.position[shown],
        visible_px=visible[shown],
    )


def _extents(drawn: RenderedObjects, camera: PinholeCamera, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest pixels (M, 2) of the vertices of each object."""
    if not drawn.vertices:
        return np.zeros((0, 2)), np.zeros((0, 2))
    pixels = camera.project(world_to_camera(np.concatenate(drawn.vertices), pose))
    begins = np.cumsum([0, *[len(points) for points in drawn.vertices[:-1]]])
    return np.minimum.reduceat(pixels, begins), np.maximum.reduceat(pixels, begins)


def _visible_pixels(buffers: RenderBuffers) -> np.ndarray:
    """(M,) pixels that each object has in the rendering."""
    instances, counts = np.unique(buffers.owners[buffers.faces], return_counts=True)
    ids = buffers.drawn.ids
    place = np.minimum(np.searchsorted(instances, ids), len(instances) - 1)
    return np.where(instances[place] == ids, counts[place], 0)
