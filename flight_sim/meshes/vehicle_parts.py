"""Parts that several vehicles have: wheels, lights, windows along the flanks, ribs on the roof."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flight_sim.meshes.mesh import Face, Paint
from flight_sim.meshes.primitives import Interval, end_plate, plate, ring, top_plate


def wheels(xs: Sequence[float], half: float, radius: float, stage: int) -> list[Face]:
    """Dark octagons on both flanks of a vehicle of half width `half`."""
    faces = []
    for x in xs:
        for side in (-1.0, 1.0):
            outline = [(x + px, side * half, radius + pz) for px, pz in ring(0.0, 0.0, radius, 8)]
            faces.append(plate(outline, Paint.DARK, stage, (0.0, side, 0.0)))
    return faces


def lights(x_front: float, x_rear: float, half: float, z: Interval, stage: int) -> list[Face]:
    """Front and rear lights, in turn, on both sides."""
    faces = []
    for side in (-1.0, 1.0):
        y = (side * half * 0.55, side * half * 0.92)
        faces.append(end_plate(x_front, y, z, Paint.FRONT_LIGHT, stage, 1.0))
        faces.append(end_plate(x_rear, y, z, Paint.REAR_LIGHT, stage, -1.0))
    return faces


def flank_windows(x: Interval, half: float, z: Interval, paint: Paint, stage: int, count: int = 1) -> list[Face]:
    """`count` windows along both flanks; a single one is a stripe that is drawn at any size."""
    edges = np.linspace(x[0], x[1], count + 1)
    gap = 0.12 if count > 1 else 0.0
    faces = []
    for side in (-1.0, 1.0):
        y = side * half
        for a, b in zip(edges[:-1] + gap / 2, edges[1:] - gap / 2, strict=True):
            corners = [(a, y, z[0]), (b, y, z[0]), (b, y, z[1]), (a, y, z[1])]
            faces.append(plate(corners, paint, stage, (0.0, side, 0.0), detail=count > 1))
    return faces


def roof_ribs(xs: np.ndarray, width: float, half: float, z: float, paint: Paint, stage: int) -> list[Face]:
    """Stripes across a roof at height `z`."""
    return [top_plate((x, x + width), (-half, half), z, paint, stage) for x in xs.tolist()]
