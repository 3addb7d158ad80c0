"""Cars, pickups and vans."""

from __future__ import annotations

import numpy as np

from flight_sim.meshes.mesh import Face, Paint
from flight_sim.meshes.primitives import Base, box, chamfered, frustum, plate, prism, top_plate
from flight_sim.meshes.vehicle_parts import flank_windows, lights, roof_ribs, wheels


def car(
    length: float, width: float, height: float, *, bonnet: float, boot: float, roof_paint: Paint = Paint.BODY
) -> list[Face]:
    """A passenger car: `bonnet` and `boot` are lengths as fractions of the whole (boot 0 makes a hatchback)."""
    half, x0, x1 = width / 2, -length / 2, length / 2
    sill, waist = 0.22, 0.36 * height + 0.3
    faces = prism(chamfered((x0, x1), half, 0.17), (sill, waist), Paint.BODY, 0, shrink=0.97)
    faces += wheels((x0 + 0.19 * length, x1 - 0.19 * length), half, 0.32, 1)
    faces += lights(x1 - 0.01, x0 + 0.01, half * 0.82, (waist - 0.28, waist - 0.1), 1)
    base = (x0 + max(boot, 0.015) * length, x1 - bonnet * length, -half * 0.92, half * 0.92)
    rake_front, rake_rear = 0.15 * length, (0.11 if boot > 0.05 else 0.05) * length
    roof = (base[0] + rake_rear, base[1] - rake_front, -half * 0.74, half * 0.74)
    faces += frustum(base, roof, (waist, height), [Paint.GLASS] * 4 + [roof_paint], 2)
    return faces + _pillars_and_mirrors(base, roof, half, waist, height)


def _pillars_and_mirrors(base: Base, roof: Base, half: float, waist: float, height: float) -> list[Face]:
    """Pillars between the side windows of a cabin, and outside mirrors."""
    faces = []
    middle = (roof[0] + roof[1]) / 2
    for side in (-1.0, 1.0):
        low, high = side * half * 0.92, side * half * 0.74
        pillar = [
            (middle - 0.05, low, waist),
            (middle + 0.05, low, waist),
            (middle + 0.05, high, height),
            (middle - 0.05, high, height),
        ]
        faces.append(plate(pillar, Paint.BODY, 3, (0.0, side, 0.3)))
        y0, y1 = sorted((side * half * 0.95, side * (half + 0.17)))
        mirror = (base[1] - 0.1, base[1] + 0.08, y0, y1)
        faces += frustum(mirror, mirror, (waist, waist + 0.13), Paint.BODY, 3, detail=True)
    return faces


def taxi() -> list[Face]:
    """A saloon with a sign on its roof."""
    sign = box((-0.3, 0.0), (-0.35, 0.35), (1.48, 1.66), Paint.FRONT_LIGHT, 4, detail=True)
    return car(4.6, 1.8, 1.48, bonnet=0.26, boot=0.14) + sign


def estate_with_roof_box() -> list[Face]:
    """An estate car with luggage on its roof."""
    roof_box = box((-1.3, 0.3), (-0.4, 0.4), (1.55, 1.85), Paint.DARK, 4)
    return car(4.6, 1.85, 1.55, bonnet=0.25, boot=0.0, roof_paint=Paint.SECOND) + roof_box


def pickup() -> list[Face]:
    """A pickup with an open bed."""
    faces = prism(chamfered((-2.6, 2.6), 0.95, 0.15), (0.35, 1.02), Paint.BODY, 0)
    faces += wheels((-1.6, 1.6), 0.95, 0.38, 1) + lights(2.6, -2.6, 0.8, (0.7, 0.9), 1)
    faces.append(top_plate((-2.45, -0.75), (-0.75, 0.75), 1.02, Paint.DARK, 1, detail=False))
    base, roof = (-0.7, 1.25, -0.87, 0.87), (-0.5, 0.6, -0.7, 0.7)
    return faces + frustum(base, roof, (1.02, 1.75), [Paint.GLASS] * 4 + [Paint.BODY], 2)


def van(length: float, width: float, height: float, windows: int) -> list[Face]:
    """A delivery van or a minibus (with windows)."""
    half, x0, x1 = width / 2, -length / 2, length / 2
    nose = x1 - 0.95
    faces = prism(chamfered((x0, x1), half, 0.16), (0.25, 1.1), Paint.BODY, 0)
    faces += wheels((x0 + 0.9, x1 - 0.9), half, 0.35, 1) + lights(x1, x0, half * 0.85, (0.7, 0.95), 1)
    base = (x0 + 0.03, nose + 0.25, -half * 0.97, half * 0.97)
    roof = (x0 + 0.1, nose - 0.55, -half * 0.88, half * 0.88)
    faces += frustum(base, roof, (1.1, height), [Paint.GLASS] + [Paint.BODY] * 4, 2)
    y = half * 0.93
    if windows:
        faces += flank_windows((x0 + 0.4, nose - 0.6), y, (1.25, height - 0.35), Paint.GLASS, 3, windows)
    else:
        faces += flank_windows((nose - 1.3, nose - 0.5), y, (1.2, height - 0.5), Paint.GLASS, 3)
    rear = [
        (x0 + 0.05, -half * 0.7, 1.25),
        (x0 + 0.05, half * 0.7, 1.25),
        (x0 + 0.08, half * 0.66, height - 0.4),
        (x0 + 0.08, -half * 0.66, height - 0.4),
    ]
    faces.append(plate(rear, Paint.GLASS, 3, (-1, 0, 0)))
    return faces + roof_ribs(np.linspace(x0 + 0.6, nose - 1.0, 3), 0.07, half * 0.8, height, Paint.SECOND, 4)
