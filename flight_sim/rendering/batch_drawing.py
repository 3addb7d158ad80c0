"""Draws batches of meshes as flat polygons, the farthest instance first."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from flight_sim.camera import world_to_camera
from flight_sim.rendering.batches import MeshBatch
from flight_sim.rendering.buffers import TREE
from flight_sim.rendering.canvas import Canvas
from flight_sim.rendering.lighting import Sunlight
from flight_sim.subpixel import SUBPIXEL_BITS, fixed_point, window_around


@dataclass(frozen=True)
class _Faces:
    """M faces: `instance` (M,) in the order of the batches, `corners` (M, 8, 3) world metres, `normals` (M, 3),
    `colours` (M, 3) RGB, and by which they are sorted within an instance: `stage` (M,), then `depth` (M,) metres.
    """

    instance: np.ndarray
    corners: np.ndarray
    normals: np.ndarray
    colours: np.ndarray
    stage: np.ndarray
    depth: np.ndarray


def draw_batches(canvas: Canvas, batches: Sequence[MeshBatch], light: Sunlight) -> np.ndarray:
    """Draw all instances; returns the pixels (n,) that each had right after it was drawn, in the batches' order."""
    if not batches:
        return np.zeros(0, np.int64)
    ids = np.concatenate([batch.ids for batch in batches])
    whole_px = np.zeros(len(ids), np.int64)
    if len(ids) == 0:
        return whole_px
    faces = _sorted_faces(canvas, batches, light)
    owners = ids[faces.instance]
    colours = np.clip(faces.colours, 0, 255).tolist()
    polygons = fixed_point(canvas.camera.project(world_to_camera(faces.corners, canvas.pose)))
    first = canvas.add_faces(faces.normals, faces.corners[:, 0], owners)
    breaks = np.flatnonzero(np.diff(faces.instance, prepend=-1, append=-1)).tolist()
    for begin, end in itertools.pairwise(breaks):
        for k in range(begin, end):
            cv2.fillConvexPoly(canvas.image, polygons[k], colours[k], cv2.LINE_AA, SUBPIXEL_BITS)
            cv2.fillConvexPoly(canvas.faces, polygons[k], first + k, cv2.LINE_8, SUBPIXEL_BITS)
        if owners[begin] > 0:
            shown = _count_faces(canvas.faces, polygons[begin:end], first + begin, first + end - 1)
            whole_px[faces.instance[begin]] = shown
    return whole_px


def _count_faces(faces: np.ndarray, polygons: np.ndarray, first: int, last: int) -> int:
    """How many pixels around fixed-point polygons show faces `first` to `last`."""
    height, width = faces.shape
    window = window_around(polygons.reshape(-1, 2) >> SUBPIXEL_BITS, width, height, before=1, after=2)
    if window is None:
        return 0
    part = window.of(faces)
    return int(np.count_nonzero((part >= first) & (part <= last)))


def _sorted_faces(canvas: Canvas, batches: Sequence[MeshBatch], light: Sunlight) -> _Faces:
    """The faces that point to the camera in drawing order: by instance, stage, depth."""
    parts, start = [], 0
    for batch in batches:
        parts.append(_facing(canvas, batch, light, start))
        start += len(batch.ids)
    faces = _Faces(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})
    distance = np.concatenate([_distances(canvas, batch) for batch in batches])
    rank = np.empty(len(distance), np.int64)
    rank[np.argsort(-distance, kind="stable")] = np.arange(len(distance))
    order = np.lexsort((-faces.depth, faces.stage, rank[faces.instance]))
    return _Faces(**{name: values[order] for name, values in vars(faces).items()})


def _distances(canvas: Canvas, batch: MeshBatch) -> np.ndarray:
    """(n,) metres from the camera to the middle of each instance."""
    height = batch.mesh.size[2] * batch.scale[:, 2]
    middle = np.column_stack([batch.position, np.where(batch.ids == TREE, 0.62, 0.5) * height])
    return np.linalg.norm(middle - canvas.centre, axis=1)


def _facing(canvas: Canvas, batch: MeshBatch, light: Sunlight, start: int) -> _Faces:
    """The faces of a batch that point to the camera; its instances are counted from `start`."""
    mesh = batch.mesh
    cos, sin = np.cos(batch.yaw)[:, None], np.sin(batch.yaw)[:, None]
    x, y, z = np.moveaxis(mesh.normals[None] / batch.scale[:, None], -1, 0)
    normals = np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    anchor = batch.placed(mesh.corners[:, 0])
    visible = np.einsum("nfd,nfd->nf", normals, anchor - canvas.centre) < -1e-4
    visible &= batch.detailed[:, None] | ~mesh.detail[None]
    instance, face = np.nonzero(visible)
    normals = normals[instance, face]
    corners = batch.placed(mesh.corners)[instance, face]
    brightness = np.where(batch.in_shade[instance], light.on_shaded(normals), light.on(normals))
    return _Faces(
        instance=instance + start,
        corners=corners,
        normals=normals,
        colours=batch.colours[instance, mesh.paint[face]] * (brightness * mesh.tone[face])[:, None],
        stage=mesh.stage[face],
        depth=np.linalg.norm(corners.mean(axis=1) - canvas.centre, axis=1),
    )
