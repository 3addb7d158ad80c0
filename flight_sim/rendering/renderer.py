"""Renders a scene: ground, shadows, buildings, then objects and trees."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from flight_sim.camera import PinholeCamera
from flight_sim.rendering.batch_drawing import draw_batches
from flight_sim.rendering.batches import MeshBatch, objects_in_view, tiles_in_view, trees_in_view
from flight_sim.rendering.buffers import RenderBuffers, RenderedObjects
from flight_sim.rendering.buildings import draw_buildings
from flight_sim.rendering.canvas import Canvas
from flight_sim.rendering.ground_warp import draw_ground
from flight_sim.rendering.lighting import Sunlight, draw_shadows
from flight_sim.scene import Scene


def render_scene(scene: Scene, camera: PinholeCamera, pose: np.ndarray, stamp_s: float) -> RenderBuffers:
    """Render a scene at a time in seconds; `pose` is T_world_camera (4, 4).

    Raises ValueError for a camera with distortion or below the ground.
    """
    if not camera.is_undistorted or pose[2, 3] <= 0.0:
        raise ValueError("rendering needs a pinhole camera above the ground, without distortion: pass Lens.undistorted")
    canvas = Canvas(camera, pose)
    light = Sunlight(scene.sun, scene.style.shadow_strength)
    tiles = tiles_in_view(canvas, scene.side)
    objects = objects_in_view(scene, canvas, tiles, stamp_s)
    draw_ground(canvas, scene)
    draw_shadows(canvas, objects, light)
    draw_buildings(canvas, scene, tiles, light)
    image, faces, first = canvas.image.copy(), canvas.faces.copy(), canvas.face_count
    whole_px = draw_batches(canvas, objects + trees_in_view(scene, canvas, tiles), light)
    planes, owners = np.concatenate(canvas.planes), np.concatenate(canvas.owners)
    _restore_nearer(canvas, image, faces, first, planes)
    return RenderBuffers(canvas.image, canvas.faces, planes, owners, _rendered(objects, whole_px))


def _restore_nearer(canvas: Canvas, image: np.ndarray, faces: np.ndarray, first: int, planes: np.ndarray) -> None:
    """Restore buildings that are in front of the objects and trees drawn over them.

    `image` and `faces`: the buffers before objects and trees were drawn; `first`: the first face of these; `planes`:
    inverse depths of all faces.
    """
    rows, columns = np.nonzero((canvas.faces >= first) & (faces > 0))
    if len(rows) == 0:
        return
    pixels = np.column_stack([columns, rows, np.ones(len(rows))])
    new = (planes[canvas.faces[rows, columns]] * pixels).sum(axis=1)
    old = (planes[faces[rows, columns]] * pixels).sum(axis=1)
    nearer = old > new
    rows, columns = rows[nearer], columns[nearer]
    canvas.faces[rows, columns] = faces[rows, columns]
    restored = np.zeros(faces.shape, np.uint8)
    restored[rows, columns] = 1
    # One pixel more than the hidden polygons: their smoothed edges extend beyond them.
    fringe = (cv2.dilate(restored, np.ones((3, 3), np.uint8)) > 0) & (canvas.faces == faces) & (faces > 0)
    cv2.copyTo(image, fringe.astype(np.uint8), canvas.image)


def _rendered(batches: Sequence[MeshBatch], whole_px: np.ndarray) -> RenderedObjects:
    """The objects of these batches, to which the first of `whole_px` belong."""
    if not batches:
        none = np.zeros(0, np.int64)
        return RenderedObjects(none, none.astype(np.int32), (), none, np.zeros((0, 2)), np.zeros(0))
    vertices = [points.reshape(-1, 3) for batch in batches for points in batch.placed(batch.mesh.corners)]
    return RenderedObjects(
        objects=np.concatenate([batch.objects for batch in batches]),
        ids=np.concatenate([batch.ids for batch in batches]).astype(np.int32),
        vertices=tuple(vertices),
        whole_px=whole_px[: len(vertices)],
        position=np.concatenate([batch.position for batch in batches]),
        yaw=np.concatenate([batch.yaw for batch in batches]),
    )
