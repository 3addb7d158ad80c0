"""The ten VisDrone classes and trees as small solids of planar faces, in metres: x forward, y left, z up, origin on the
ground.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

CLASS_NAMES = (
    "pedestrian",
    "people",
    "bicycle",
    "car",
    "van",
    "truck",
    "tricycle",
    "awning-tricycle",
    "bus",
    "motor",
)
MAX_CORNERS = 8


class Paint(IntEnum):
    """What a face is painted with; an object brings a colour for each."""

    BODY = 0
    SECOND = 1
    GLASS = 2
    DARK = 3
    FRONT_LIGHT = 4
    REAR_LIGHT = 5
    SKIN = 6
    HAIR = 7
    SHIRT = 8
    TROUSERS = 9
    METAL = 10


@dataclass(frozen=True)
class Face:
    """A convex polygon (3 to 8 corners, 3), its paint, its drawing stage within the solid (later ones lie over earlier
    ones).
    """

    corners: np.ndarray
    paint: Paint
    stage: int
    detail: bool = False


@dataclass(frozen=True)
class Shape:
    """A solid ready for batches.

    `corners` (F, 8, 3) float64: polygons padded by repeating the last corner; `normals` (F, 3) outward; `paint`,
    `stage` (F,) int; `tone` (F,) brightness of the face; `detail` (F,) bool: left out when the object is small in the
    image; `hull` (P, 3): points whose shadow is the object's shadow; `size` (3,): extent.
    """

    corners: np.ndarray
    normals: np.ndarray
    paint: np.ndarray
    stage: np.ndarray
    tone: np.ndarray
    detail: np.ndarray
    hull: np.ndarray
    size: np.ndarray


def _solid(
    polygons: Sequence[Sequence[Sequence[float]]], paints: Sequence[Paint], stage: int, detail: bool = False
) -> list[Face]:
    """Faces of one convex solid, turned so that they look outwards."""
    arrays = [np.array(polygon, np.float64) for polygon in polygons]
    centre = np.concatenate(arrays).mean(axis=0)
    faces = []
    for corners, paint in zip(arrays, paints, strict=True):
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        outward = corners if normal @ (corners.mean(axis=0) - centre) > 0 else corners[::-1]
        faces.append(Face(outward, paint, stage, detail))
    return faces


def _frustum(
    low: tuple[float, float, float, float],
    high: tuple[float, float, float, float],
    z0: float,
    z1: float,
    paints: Sequence[Paint],
    stage: int,
    detail: bool = False,
) -> list[Face]:
    """A box with rectangles (x0, x1, y0, y1) below and above; paints: front, rear, left, right, top."""
    a = [(low[1], low[3], z0), (low[1], low[2], z0), (low[0], low[2], z0), (low[0], low[3], z0)]
    b = [(high[1], high[3], z1), (high[1], high[2], z1), (high[0], high[2], z1), (high[0], high[3], z1)]
    polygons = [
        [a[0], a[1], b[1], b[0]],
        [a[2], a[3], b[3], b[2]],
        [a[3], a[0], b[0], b[3]],
        [a[1], a[2], b[2], b[1]],
        [b[0], b[1], b[2], b[3]],
    ]
    return _solid(polygons, paints, stage, detail)


def _box(
    x: tuple[float, float],
    y: tuple[float, float],
    z: tuple[float, float],
    paint: Paint,
    stage: int,
    top: Paint | None = None,
    detail: bool = False,
) -> list[Face]:
    rectangle = (*x, *y)
    return _frustum(rectangle, rectangle, *z, [paint] * 4 + [paint if top is None else top], stage, detail)


def _prism(
    outline: Sequence[tuple[float, float]],
    z0: float,
    z1: float,
    paint: Paint,
    stage: int,
    shrink: float = 1.0,
    top: Paint | None = None,
) -> list[Face]:
    """A prism (or, with `shrink` < 1, a frustum) over a convex outline of at most eight corners."""
    centre = np.mean(outline, axis=0)
    lower = [(px, py, z0) for px, py in outline]
    upper = [(*(centre + shrink * (np.array(point) - centre)), z1) for point in outline]
    sides = [[lower[i], lower[i - 1], upper[i - 1], upper[i]] for i in range(len(outline))]
    return _solid([*sides, upper], [paint] * len(sides) + [paint if top is None else top], stage)


def _chamfered(x0: float, x1: float, half: float, cut: float) -> list[tuple[float, float]]:
    """An outline with cut corners, longer along x than across."""
    along = 1.6 * cut
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


def _ring(x: float, y: float, radius: float, count: int = 6) -> list[tuple[float, float]]:
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in np.arange(count) * 2 * np.pi / count]


def _plate(
    corners: Sequence[Sequence[float]], paint: Paint, stage: int, outward: Sequence[float], detail: bool = True
) -> Face:
    """A single polygon on a surface, looking towards `outward`."""
    points = np.array(corners, np.float64)
    normal = np.cross(points[1] - points[0], points[2] - points[0])
    return Face(points if normal @ np.array(outward) > 0 else points[::-1], paint, stage, detail)


def _wheels(xs: Sequence[float], half: float, radius: float, stage: int) -> list[Face]:
    """Dark octagons on both flanks."""
    faces = []
    for x in xs:
        for side in (-1.0, 1.0):
            ring = [(x + px, side * half, radius + pz) for px, pz in _ring(0.0, 0.0, radius, 8)]
            faces.append(_plate(ring, Paint.DARK, stage, (0.0, side, 0.0)))
    return faces


def _lights(x_front: float, x_rear: float, half: float, z0: float, z1: float, stage: int) -> list[Face]:
    faces = []
    for side in (-1.0, 1.0):
        y0, y1 = side * half * 0.55, side * half * 0.92
        for x, paint, out in ((x_front, Paint.FRONT_LIGHT, 1.0), (x_rear, Paint.REAR_LIGHT, -1.0)):
            faces.append(_plate([(x, y0, z0), (x, y1, z0), (x, y1, z1), (x, y0, z1)], paint, stage, (out, 0.0, 0.0)))
    return faces


def _stripe(
    x: tuple[float, float], half: float, z: tuple[float, float], paint: Paint, stage: int, count: int = 1
) -> list[Face]:
    """`count` windows along both flanks."""
    edges = np.linspace(x[0], x[1], count + 1)
    gap = 0.12 if count > 1 else 0.0
    faces = []
    for side in (-1.0, 1.0):
        for a, b in zip(edges[:-1] + gap / 2, edges[1:] - gap / 2, strict=True):
            corners = [(a, side * half, z[0]), (b, side * half, z[0]), (b, side * half, z[1]), (a, side * half, z[1])]
            faces.append(_plate(corners, paint, stage, (0.0, side, 0.0), detail=count > 1))
    return faces


def _car(
    length: float, width: float, height: float, bonnet: float, boot: float, paint_roof: Paint = Paint.BODY
) -> list[Face]:
    """A passenger car: `bonnet` and `boot` are lengths as fractions of the whole (boot 0 makes a hatchback)."""
    half, x0, x1 = width / 2, -length / 2, length / 2
    sill, waist = 0.22, 0.36 * height + 0.3
    faces = _prism(_chamfered(x0, x1, half, 0.17), sill, waist, Paint.BODY, 0, shrink=0.97)
    faces += _wheels((x0 + 0.19 * length, x1 - 0.19 * length), half, 0.32, 1)
    faces += _lights(x1 - 0.01, x0 + 0.01, half * 0.82, waist - 0.28, waist - 0.1, 1)
    base = (x0 + max(boot, 0.015) * length, x1 - bonnet * length, -half * 0.92, half * 0.92)
    rake_front, rake_rear = 0.15 * length, (0.11 if boot > 0.05 else 0.05) * length
    roof = (base[0] + rake_rear, base[1] - rake_front, -half * 0.74, half * 0.74)
    faces += _frustum(base, roof, waist, height, [Paint.GLASS] * 4 + [paint_roof], 2)
    middle = (roof[0] + roof[1]) / 2
    for side in (-1.0, 1.0):
        pillar = [
            (middle - 0.05, side * half * 0.92, waist),
            (middle + 0.05, side * half * 0.92, waist),
            (middle + 0.05, side * half * 0.74, height),
            (middle - 0.05, side * half * 0.74, height),
        ]
        faces.append(_plate(pillar, Paint.BODY, 3, (0.0, side, 0.3)))
        y0, y1 = sorted((side * half * 0.95, side * (half + 0.17)))
        mirror = (base[1] - 0.1, base[1] + 0.08, y0, y1)
        faces += _frustum(mirror, mirror, waist, waist + 0.13, [Paint.BODY] * 5, 3, detail=True)
    return faces


def _taxi() -> list[Face]:
    return _car(4.6, 1.8, 1.48, 0.26, 0.14) + _box(
        (-0.3, 0.0), (-0.35, 0.35), (1.48, 1.66), Paint.FRONT_LIGHT, 4, detail=True
    )


def _estate_with_box() -> list[Face]:
    return _car(4.6, 1.85, 1.55, 0.25, 0.0, Paint.SECOND) + _box((-1.3, 0.3), (-0.4, 0.4), (1.55, 1.85), Paint.DARK, 4)


def _pickup() -> list[Face]:
    faces = _prism(_chamfered(-2.6, 2.6, 0.95, 0.15), 0.35, 1.02, Paint.BODY, 0)
    faces += _wheels((-1.6, 1.6), 0.95, 0.38, 1) + _lights(2.6, -2.6, 0.8, 0.7, 0.9, 1)
    faces.append(
        _plate(
            [(-2.45, -0.75, 1.02), (-0.75, -0.75, 1.02), (-0.75, 0.75, 1.02), (-2.45, 0.75, 1.02)],
            Paint.DARK,
            1,
            (0, 0, 1),
            False,
        )
    )
    return faces + _frustum(
        (-0.7, 1.25, -0.87, 0.87), (-0.5, 0.6, -0.7, 0.7), 1.02, 1.75, [Paint.GLASS] * 4 + [Paint.BODY], 2
    )


def _van(length: float, width: float, height: float, windows: int) -> list[Face]:
    """A delivery van or a minibus (with windows)."""
    half, x0, x1 = width / 2, -length / 2, length / 2
    nose = x1 - 0.95
    faces = _prism(_chamfered(x0, x1, half, 0.16), 0.25, 1.1, Paint.BODY, 0)
    faces += _wheels((x0 + 0.9, x1 - 0.9), half, 0.35, 1) + _lights(x1, x0, half * 0.85, 0.7, 0.95, 1)
    paints = [Paint.GLASS, Paint.BODY, Paint.BODY, Paint.BODY, Paint.BODY]
    faces += _frustum(
        (x0 + 0.03, nose + 0.25, -half * 0.97, half * 0.97),
        (x0 + 0.1, nose - 0.55, -half * 0.88, half * 0.88),
        1.1,
        height,
        paints,
        2,
    )
    y = half * 0.93
    if windows:
        faces += _stripe((x0 + 0.4, nose - 0.6), y, (1.25, height - 0.35), Paint.GLASS, 3, windows)
    else:
        faces += _stripe((nose - 1.3, nose - 0.5), y, (1.2, height - 0.5), Paint.GLASS, 3)
    rear = [
        (x0 + 0.05, -half * 0.7, 1.25),
        (x0 + 0.05, half * 0.7, 1.25),
        (x0 + 0.08, half * 0.66, height - 0.4),
        (x0 + 0.08, -half * 0.66, height - 0.4),
    ]
    faces.append(_plate(rear, Paint.GLASS, 3, (-1, 0, 0)))
    for rib in np.linspace(x0 + 0.6, nose - 1.0, 3):
        faces.append(
            _plate(
                [
                    (rib, -half * 0.8, height),
                    (rib + 0.07, -half * 0.8, height),
                    (rib + 0.07, half * 0.8, height),
                    (rib, half * 0.8, height),
                ],
                Paint.SECOND,
                4,
                (0, 0, 1),
            )
        )
    return faces


def _truck_cab(x0: float, x1: float, half: float, height: float) -> list[Face]:
    faces = _box((x0, x1), (-half, half), (0.45, 1.5), Paint.BODY, 1)
    faces += _frustum(
        (x0, x1, -half, half),
        (x0, x1 - 0.25, -half * 0.93, half * 0.93),
        1.5,
        height,
        [Paint.GLASS, Paint.BODY, Paint.GLASS, Paint.GLASS, Paint.BODY],
        2,
    )
    return faces + _lights(x1, x0, half, 0.7, 0.95, 3)[::2]


def _truck(length: float, height: float, load: str) -> list[Face]:
    """A lorry with a closed box, an open bed with sand, or a flat bed with boxes."""
    half, x0, x1 = 1.22, -length / 2, length / 2
    cab = x1 - 1.9
    faces = _box((x0, x1 - 0.3), (-half * 0.85, half * 0.85), (0.5, 0.95), Paint.DARK, 0)
    faces += _wheels((x0 + 0.9, x0 + 2.0, x1 - 1.1), half, 0.48, 3)
    faces += _truck_cab(cab, x1, half, 2.65)
    bed = (x0, cab - 0.25)
    if load == "box":
        faces += _box(bed, (-half, half), (0.95, height), Paint.SECOND, 2)
        for rib in np.linspace(bed[0], bed[1], 6)[1:-1]:
            faces.append(
                _plate(
                    [
                        (rib, -half, height),
                        (rib + 0.06, -half, height),
                        (rib + 0.06, half, height),
                        (rib, half, height),
                    ],
                    Paint.METAL,
                    3,
                    (0, 0, 1),
                )
            )
    else:
        faces += _box(bed, (-half, half), (0.95, 1.75), Paint.BODY if load == "sand" else Paint.METAL, 2, Paint.DARK)
        if load == "sand":
            low = (bed[0] + 0.12, bed[1] - 0.12, -half + 0.12, half - 0.12)
            heap = (bed[0] + 1.4, bed[1] - 1.4, -0.3, 0.3)
            faces += _frustum(low, heap, 1.75, 2.3, [Paint.SECOND] * 5, 3)
        else:
            for index, x in enumerate(np.arange(bed[0] + 0.2, bed[1] - 1.6, 1.8).tolist()):
                faces += _box((x, x + 1.5), (-0.95, 0.95), (1.75, 2.3 + 0.25 * (index % 2)), Paint.SECOND, 3)
    return faces


def _articulated() -> list[Face]:
    faces = _truck_cab(5.3, 7.5, 1.22, 3.1)
    faces += _box((-7.3, 6.9), (-0.9, 0.9), (0.5, 1.05), Paint.DARK, 0)
    faces += _wheels((-6.2, -5.0, 3.4, 6.2), 1.22, 0.5, 3)
    faces += _box((-7.5, 5.0), (-1.25, 1.25), (1.05, 3.8), Paint.SECOND, 2)
    for rib in np.linspace(-7.5, 5.0, 9)[1:-1]:
        faces.append(
            _plate(
                [(rib, -1.25, 3.8), (rib + 0.08, -1.25, 3.8), (rib + 0.08, 1.25, 3.8), (rib, 1.25, 3.8)],
                Paint.METAL,
                3,
                (0, 0, 1),
            )
        )
    return faces


def _bus(length: float, height: float = 3.05) -> list[Face]:
    """A city bus: a long box, a row of windows, hatches and air conditioning on the roof."""
    half, x0, x1 = 1.27, -length / 2, length / 2
    faces = _prism(_chamfered(x0, x1, half, 0.14), 0.3, height, Paint.BODY, 0)
    faces += _stripe((x0 + 0.3, x1 - 0.5), half + 0.002, (0.4, 1.05), Paint.SECOND, 1)
    faces += _stripe((x0 + 0.5, x1 - 0.6), half + 0.002, (1.25, 2.45), Paint.GLASS, 1, max(int(length / 1.6), 4))
    faces += _wheels((x0 + 2.2, x1 - 2.4), half + 0.004, 0.48, 2)
    for x, sign, low in ((x1 + 0.002, 1.0, 0.9), (x0 - 0.002, -1.0, 1.4)):
        faces.append(
            _plate(
                [(x, -1.05, low), (x, 1.05, low), (x, 1.05, 2.75), (x, -1.05, 2.75)],
                Paint.GLASS,
                1,
                (sign, 0, 0),
                False,
            )
        )
    faces += _lights(x1 + 0.002, x0 - 0.002, half * 0.9, 0.5, 0.75, 2)
    faces.append(
        _plate(
            [
                (x0 + 0.3, -0.95, height),
                (x1 - 0.35, -0.95, height),
                (x1 - 0.35, 0.95, height),
                (x0 + 0.3, 0.95, height),
            ],
            Paint.SECOND,
            1,
            (0, 0, 1),
            False,
        )
    )
    faces += _box((x0 + 1.0, x0 + 3.4), (-0.75, 0.75), (height, height + 0.28), Paint.METAL, 3)
    faces += _box((x1 - 4.2, x1 - 2.6), (-0.65, 0.65), (height, height + 0.22), Paint.METAL, 3)
    faces.append(
        _plate(
            [(-0.5, -0.4, height), (0.4, -0.4, height), (0.4, 0.4, height), (-0.5, 0.4, height)],
            Paint.DARK,
            3,
            (0, 0, 1),
            False,
        )
    )
    return faces


def _tricycle(awning: bool) -> list[Face]:
    """A cargo tricycle; with an awning: a canopy on posts over driver and seats."""
    faces = _box((-1.35, 0.15), (-0.55, 0.55), (0.45, 0.95), Paint.BODY, 0, Paint.DARK)
    faces += _wheels((-0.85,), 0.56, 0.3, 1)
    faces += _box((0.15, 0.75), (-0.3, 0.3), (0.35, 0.62), Paint.BODY, 0, Paint.DARK)
    faces += _box((1.05, 1.45), (-0.09, 0.09), (0.0, 0.55), Paint.DARK, 0)
    faces += _box((0.75, 1.12), (-0.13, 0.13), (0.45, 0.95), Paint.BODY, 1)
    faces += _box((0.82, 0.92), (-0.42, 0.42), (0.92, 1.02), Paint.METAL, 2)
    if awning:
        for x in (-1.25, 0.95):
            for y in (-0.5, 0.5):
                faces += _box((x - 0.03, x + 0.03), (y - 0.03, y + 0.03), (0.95, 1.68), Paint.METAL, 3, detail=True)
        faces += _frustum((-1.45, 1.15, -0.68, 0.68), (-1.3, 1.0, -0.4, 0.4), 1.66, 1.86, [Paint.SECOND] * 5, 4)
        faces.append(
            _plate(
                [(-1.3, -0.06, 1.865), (1.0, -0.06, 1.865), (1.0, 0.06, 1.865), (-1.3, 0.06, 1.865)],
                Paint.METAL,
                5,
                (0, 0, 1),
            )
        )
    else:
        faces += _box((-1.3, 0.1), (-0.5, 0.5), (0.95, 1.0), Paint.SECOND, 2)
    return faces


def _cabin_tricycle() -> list[Face]:
    """A small closed three-wheeler with a canopy roof."""
    faces = _prism(_chamfered(-1.3, 1.3, 0.6, 0.16), 0.25, 0.9, Paint.BODY, 0)
    faces += _wheels((-0.8,), 0.6, 0.26, 1)
    faces += _frustum(
        (-1.25, 1.0, -0.58, 0.58),
        (-1.2, 0.7, -0.5, 0.5),
        0.9,
        1.6,
        [Paint.GLASS, Paint.DARK, Paint.GLASS, Paint.GLASS, Paint.SECOND],
        2,
    )
    return faces + _frustum((-1.3, 0.9, -0.6, 0.6), (-1.2, 0.75, -0.45, 0.45), 1.6, 1.72, [Paint.SECOND] * 5, 3)


def _two_wheeler(motor: bool) -> list[Face]:
    half = 0.11 if motor else 0.05
    reach = 0.66 if motor else 0.55
    radius = 0.29 if motor else 0.33
    faces = []
    for x in (-reach, reach):
        faces += _box((x - radius, x + radius), (-half * 0.6, half * 0.6), (0.0, 2 * radius), Paint.DARK, 0)
    if motor:
        faces += _frustum(
            (-0.75, 0.15, -0.17, 0.17), (-0.8, 0.1, -0.14, 0.14), 0.45, 0.8, [Paint.BODY] * 4 + [Paint.DARK], 1
        )
        faces += _box((-0.1, 0.5), (-0.14, 0.14), (0.3, 0.45), Paint.BODY, 1)
        faces += _frustum((0.38, 0.62, -0.2, 0.2), (0.3, 0.5, -0.14, 0.14), 0.3, 0.98, [Paint.BODY] * 5, 2)
        faces += _box((-0.95, -0.62), (-0.19, 0.19), (0.8, 1.08), Paint.SECOND, 2)
        faces += _box((0.34, 0.44), (-0.36, 0.36), (0.98, 1.06), Paint.METAL, 3)
    else:
        faces += _box((-0.5, 0.45), (-0.045, 0.045), (0.5, 0.66), Paint.BODY, 1)
        faces += _box((-0.35, -0.1), (-0.09, 0.09), (0.84, 0.93), Paint.DARK, 2)
        faces += _box((0.36, 0.44), (-0.28, 0.28), (0.92, 1.0), Paint.METAL, 2)
        faces += _box((0.42, 0.72), (-0.15, 0.15), (0.68, 0.9), Paint.SECOND, 2)
    return faces


def _head(x: float, y: float, z: float) -> list[Face]:
    faces = _prism(_ring(x, y, 0.1), z, z + 0.13, Paint.SKIN, 3)
    return faces + _prism(_ring(x - 0.015, y, 0.115), z + 0.13, z + 0.25, Paint.HAIR, 4, shrink=0.7)


def _arms(x: float, half: float, z0: float, z1: float, reach: float) -> list[Face]:
    faces = []
    for side, forward in ((-1.0, reach), (1.0, -reach)):
        y = sorted((side * half, side * (half + 0.1)))
        low = (x - 0.05 + forward, x + 0.06 + forward, y[0], y[1])
        faces += _frustum(low, (x - 0.06, x + 0.06, y[0], y[1]), z0, z1, [Paint.SKIN] * 4 + [Paint.SHIRT], 2)
    return faces


def _standing(stride: float, skirt: bool = False) -> list[Face]:
    """A person upright; `stride` is half the distance between the feet."""
    faces = []
    if skirt:
        faces += _frustum((-0.2, 0.2, -0.24, 0.24), (-0.1, 0.1, -0.16, 0.16), 0.45, 0.95, [Paint.TROUSERS] * 5, 1)
    for side, x in ((-1.0, stride), (1.0, -stride)):
        y = sorted((side * 0.03, side * 0.17))
        faces += _frustum(
            (x - 0.08, x + 0.12, y[0], y[1]),
            (-0.09, 0.09, y[0], y[1]),
            0.0,
            0.88,
            [Paint.SKIN if skirt else Paint.TROUSERS] * 5,
            0,
        )
    faces += _frustum((-0.1, 0.1, -0.16, 0.16), (-0.11, 0.13, -0.22, 0.22), 0.86, 1.45, [Paint.SHIRT] * 5, 1)
    return faces + _arms(0.0, 0.21, 0.8, 1.42, 1.2 * stride) + _head(0.02, 0.0, 1.47)


def _with_umbrella() -> list[Face]:
    ring = _ring(0.1, 0.0, 0.55, 8)
    return _standing(0.15) + _prism(ring, 1.85, 2.1, Paint.SECOND, 5, shrink=0.12)


def _sitting(seat: float, legs_forward: float) -> list[Face]:
    """A person who sits at height `seat`, knees forward."""
    faces = _box((-0.15, legs_forward), (-0.2, 0.2), (seat, seat + 0.17), Paint.TROUSERS, 0)
    shin = (legs_forward - 0.1, legs_forward + 0.06, -0.19, 0.19)
    if seat > 0.2:
        faces += _frustum(shin, shin, max(seat - 0.42, 0.0), seat, [Paint.TROUSERS] * 5, 0)
    faces += _frustum(
        (-0.15, 0.1, -0.17, 0.17), (-0.1, 0.15, -0.22, 0.22), seat + 0.1, seat + 0.68, [Paint.SHIRT] * 5, 1
    )
    faces += _arms(0.05, 0.21, seat + 0.25, seat + 0.64, 0.2)
    return faces + _head(0.05, 0.0, seat + 0.7)


def _lifted(faces: list[Face], x: float, z: float) -> list[Face]:
    return [Face(face.corners + np.array([x, 0.0, z]), face.paint, face.stage, face.detail) for face in faces]


def _shape(faces: list[Face], seed: int = 0) -> Shape:
    """Pack faces into arrays; the tone of each varies a little, so that neighbouring faces can be told apart."""
    corners = np.stack(
        [np.concatenate([f.corners, np.repeat(f.corners[-1:], MAX_CORNERS - len(f.corners), axis=0)]) for f in faces]
    )
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    points = corners.reshape(-1, 3)
    low, high = points.min(axis=0), points.max(axis=0)
    tone = np.random.default_rng(seed).uniform(0.94, 1.06, len(faces))
    return Shape(
        corners,
        normals,
        np.array([int(f.paint) for f in faces]),
        np.array([f.stage for f in faces]),
        tone,
        np.array([f.detail for f in faces]),
        _extremes(points),
        high - low,
    )


def _extremes(points: np.ndarray, directions: int = 40) -> np.ndarray:
    """The points (P, 3) that are outermost in some direction: nearly the convex hull, with fewer points."""
    z = 1.0 - 2.0 * (np.arange(directions) + 0.5) / directions
    angle = np.arange(directions) * 2.399963
    ring = np.sqrt(1.0 - z * z)
    outermost = np.argmax(points @ np.stack([ring * np.cos(angle), ring * np.sin(angle), z]), axis=0)
    return points[np.unique(outermost)]


def object_shapes() -> dict[str, tuple[Shape, ...]]:
    """The variants of every class, by class name, "umbrella" (a pedestrian's), and riders ("rider-bicycle",
    "rider-motor", "rider-tricycle", "sitting", "lying").
    """
    makers: dict[str, list[Callable[[], list[Face]]]] = {
        "pedestrian": [
            lambda: _standing(0.0),
            lambda: _standing(0.16),
            lambda: _standing(0.25),
            lambda: _standing(0.12, skirt=True),
        ],
        "umbrella": [_with_umbrella],
        "bicycle": [lambda: _two_wheeler(False)],
        "motor": [lambda: _two_wheeler(True)],
        "car": [
            lambda: _car(4.6, 1.82, 1.46, 0.26, 0.14),
            lambda: _car(4.0, 1.74, 1.5, 0.22, 0.0),
            lambda: _car(4.7, 1.9, 1.72, 0.24, 0.0),
            lambda: _car(4.9, 1.86, 1.42, 0.28, 0.17),
            lambda: _car(4.6, 1.85, 1.45, 0.25, 0.0, Paint.DARK),
            lambda: _car(3.5, 1.62, 1.52, 0.16, 0.0),
            _taxi,
            _estate_with_box,
            _pickup,
        ],
        "van": [
            lambda: _van(5.4, 2.0, 2.45, 0),
            lambda: _van(4.8, 1.9, 1.95, 4),
            lambda: _van(6.2, 2.1, 2.7, 0),
            lambda: _van(5.2, 1.95, 2.1, 5),
        ],
        "truck": [
            lambda: _truck(7.5, 3.3, "box"),
            lambda: _truck(9.5, 3.6, "box"),
            lambda: _truck(8.0, 3.0, "sand"),
            lambda: _truck(8.5, 3.0, "cargo"),
            lambda: _truck(6.2, 2.8, "cargo"),
            _articulated,
        ],
        "bus": [lambda: _bus(11.8), lambda: _bus(10.2, 3.2), lambda: _bus(8.6, 2.9), lambda: _bus(13.6, 3.3)],
        "tricycle": [lambda: _tricycle(False)],
        "awning-tricycle": [lambda: _tricycle(True), _cabin_tricycle],
        "rider-bicycle": [lambda: _sitting(0.9, 0.3)],
        "rider-motor": [lambda: _sitting(0.75, 0.38)],
        "rider-tricycle": [lambda: _lifted(_sitting(0.62, 0.4), 0.4, 0.0)],
        "sitting": [lambda: _sitting(0.45, 0.42), lambda: _sitting(0.1, 0.6)],
        "lying": [lambda: _lying()],
    }
    return {
        name: tuple(_shape(make(), index) for index, make in enumerate(variants)) for name, variants in makers.items()
    }


def _lying() -> list[Face]:
    """A person who lies on the ground, for lawns and beaches."""
    faces = []
    for side in (-1.0, 1.0):
        y = sorted((side * 0.04, side * 0.2))
        faces += _box((-0.9, 0.0), (y[0], y[1]), (0.03, 0.2), Paint.TROUSERS, 0)
    faces += _box((0.0, 0.58), (-0.24, 0.24), (0.03, 0.26), Paint.SHIRT, 1)
    return faces + _lifted(_prism(_ring(0.0, 0.0, 0.12), 0.03, 0.26, Paint.HAIR, 1), 0.72, 0.0)


def tree_shapes(seed: int, patches: int) -> tuple[Shape, ...]:
    """Six trees of unit height and unit crown diameter: leaf patches around a dark core; the last two are conifers.

    The same seed gives the same trees for any number of patches, but for the patches.
    """
    return tuple(_tree(np.random.default_rng([seed, kind]), patches, conifer=kind >= 4) for kind in range(6))


def _tree(rng: np.random.Generator, patches: int, conifer: bool) -> Shape:
    faces = _prism(_ring(0.0, 0.0, 0.03), 0.0, 0.4, Paint.SECOND, 0)
    if conifer:
        faces += _prism(_ring(0.0, 0.0, 0.4, 8), 0.16, 0.85, Paint.DARK, 1, shrink=0.1)
    else:
        faces += _prism(_ring(0.0, 0.0, 0.34, 8), 0.42, 0.62, Paint.DARK, 1, shrink=1.15)
        faces += _prism(_ring(0.0, 0.0, 0.39, 8), 0.62, 0.9, Paint.DARK, 1, shrink=0.5)
    core = len(faces)
    turn = rng.uniform(0.0, 2.0 * np.pi)
    lobes = rng.uniform(0.0, 2.0 * np.pi, 3)
    for k in range(patches):
        z = 1.0 - 1.8 * (k + 0.5) / patches
        angle = k * 2.399963 + turn
        ring = math.sqrt(max(1.0 - z * z, 0.0))
        direction = np.array([ring * math.cos(angle), ring * math.sin(angle), z])
        swell = 1.0 + 0.1 * math.sin(3 * angle + lobes[0]) + 0.08 * math.sin(4 * z + 2 * angle + lobes[1])
        if conifer:
            height = 0.5 * (1.0 + z)
            outwards = np.array([math.cos(angle), math.sin(angle)])
            centre = np.array([*(0.48 * (1.02 - height) * swell * outwards), 0.14 + 0.84 * height])
            normal = np.array([*outwards, 0.7])
            size = 1.0 / math.sqrt(patches) * (1.1 - height)
        else:
            centre = direction * np.array([0.45, 0.45, 0.34]) * swell * rng.uniform(0.93, 1.04) + [0.0, 0.0, 0.62]
            normal, size = direction, 1.05 / math.sqrt(patches)
        normal = normal / np.linalg.norm(normal) + rng.normal(0.0, 0.3, 3)
        normal /= np.linalg.norm(normal)
        side = np.cross(normal, rng.standard_normal(3))
        side /= np.linalg.norm(side)
        around = np.arange(6) * 2 * np.pi / 6
        reach = size * rng.uniform(0.75, 1.1, 6)
        leaf = centre + reach[:, None] * (
            np.cos(around)[:, None] * side + np.sin(around)[:, None] * np.cross(normal, side)
        )
        faces.append(_plate(leaf.tolist(), Paint.BODY, 2, normal.tolist(), detail=False))
    shape = _shape(faces)
    height_of = shape.corners[:, :, 2].mean(axis=1)
    tone = np.where(np.arange(len(faces)) >= core, rng.uniform(0.78, 1.25, len(faces)) * (0.55 + 0.6 * height_of), 1.0)
    return replace(shape, tone=tone, hull=_crown_hull(conifer))


def _crown_hull(conifer: bool) -> np.ndarray:
    """Points of a tree's outline for its shadow."""
    angles = np.arange(10) * 2 * np.pi / 10
    if conifer:
        ring = np.stack([0.46 * np.cos(angles), 0.46 * np.sin(angles), np.full(10, 0.15)], axis=1)
        return np.concatenate([ring, [[0.0, 0.0, 0.98]]])
    rings = [
        np.stack([r * np.cos(angles), r * np.sin(angles), np.full(10, z)], axis=1)
        for r, z in ((0.34, 0.36), (0.48, 0.62), (0.34, 0.88))
    ]
    return np.concatenate(rings)
