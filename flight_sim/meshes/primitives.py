"""Boxes, frustums, prisms and plates: the parts that meshes are built from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from flight_sim.meshes.mesh import Face, Paint

Interval = tuple[float, float]  # low, high in metres
Base = tuple[float, float, float, float]  # x0, x1, y0, y1 in metres


def frustum(
    low: Base, high: Base, z: Interval, paints: Paint | Sequence[Paint], stage: int, detail: bool = False
) -> list[Face]:
    """Sides and top of a box whose base is `low` and whose top is `high`.

    `paints`: one for all faces, or those of front, rear, left, right and top.
    """
    a = [(low[1], low[3], z[0]), (low[1], low[2], z[0]), (low[0], low[2], z[0]), (low[0], low[3], z[0])]
    b = [(high[1], high[3], z[1]), (high[1], high[2], z[1]), (high[0], high[2], z[1]), (high[0], high[3], z[1])]
    polygons = [
        [a[0], a[1], b[1], b[0]],
        [a[2], a[3], b[3], b[2]],
        [a[3], a[0], b[0], b[3]],
        [a[1], a[2], b[2], b[1]],
        [b[0], b[1], b[2], b[3]],
    ]
    return _convex(polygons, [paints] * 5 if isinstance(paints, Paint) else paints, stage, detail)


def box(
    x: Interval, y: Interval, z: Interval, paint: Paint, stage: int, top: Paint | None = None, detail: bool = False
) -> list[Face]:
    """Sides and top of an upright box; `top`: paint of the top, by default that of the sides."""
    base = (x[0], x[1], y[0], y[1])
    return frustum(base, base, z, [paint] * 4 + [paint if top is None else top], stage, detail)


def prism(outline: Sequence[Interval], z: Interval, paint: Paint, stage: int, shrink: float = 1.0) -> list[Face]:
    """Sides and top of a prism over a convex outline of at most eight corners; `shrink`: scale of the top."""
    centre = np.mean(outline, axis=0)
    lower = [(px, py, z[0]) for px, py in outline]
    upper = [(*(centre + shrink * (np.array(point) - centre)), z[1]) for point in outline]
    sides = [[lower[i], lower[i - 1], upper[i - 1], upper[i]] for i in range(len(outline))]
    return _convex([*sides, upper], [paint] * (len(sides) + 1), stage)


def _convex(
    polygons: Sequence[Sequence[Sequence[float]]], paints: Sequence[Paint], stage: int, detail: bool = False
) -> list[Face]:
    """Faces of a convex solid, ordered so that their normals point outwards."""
    arrays = [np.array(polygon, np.float64) for polygon in polygons]
    centre = np.concatenate(arrays).mean(axis=0)
    return [
        Face(_facing(corners, corners.mean(axis=0) - centre), paint, stage, detail)
        for corners, paint in zip(arrays, paints, strict=True)
    ]


def plate(
    corners: Sequence[Sequence[float]], paint: Paint, stage: int, outward: Sequence[float], detail: bool = True
) -> Face:
    """A single polygon whose normal points towards `outward` (3,)."""
    return Face(_facing(np.array(corners, np.float64), np.array(outward)), paint, stage, detail)


def _facing(corners: np.ndarray, outward: np.ndarray) -> np.ndarray:
    """The corners in the order that makes their normal point towards `outward`."""
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    return corners if normal @ outward > 0 else corners[::-1]


def top_plate(x: Interval, y: Interval, z: float, paint: Paint, stage: int, detail: bool = True) -> Face:
    """A level rectangle that faces upwards."""
    corners = [(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)]
    return plate(corners, paint, stage, (0, 0, 1), detail)


def end_plate(x: float, y: Interval, z: Interval, paint: Paint, stage: int, sign: float, detail: bool = True) -> Face:
    """An upright rectangle that faces forwards (`sign` 1) or backwards (-1)."""
    corners = [(x, y[0], z[0]), (x, y[1], z[0]), (x, y[1], z[1]), (x, y[0], z[1])]
    return plate(corners, paint, stage, (sign, 0.0, 0.0), detail)


def chamfered(x: Interval, half: float, cut: float) -> list[Interval]:
    """Outline of a rectangle of half width `half` with its corners cut, longer along x than across."""
    (x0, x1), along = x, 1.6 * cut
    return [
        (x1, half - cut),
        (x1 - along, half),
        (x0 + along, half),
        (x0, half - cut),
        (x0, cut - half),
        (x0 + along, -half),
        (x1 - along, -half),
        (x1, cut - half),
    ]


def ring(x: float, y: float, radius: float, count: int = 6) -> list[Interval]:
    """Outline of a regular polygon."""
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in np.arange(count) * 2 * np.pi / count]


def moved(faces: list[Face], x: float) -> list[Face]:
    """The faces `x` metres further forward."""
    return [Face(face.corners + np.array([x, 0.0, 0.0]), face.paint, face.stage, face.detail) for face in faces]
