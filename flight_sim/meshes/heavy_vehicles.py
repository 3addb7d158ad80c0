"""Trucks and buses."""

from __future__ import annotations

import numpy as np

from flight_sim.meshes.mesh import Face, Paint
from flight_sim.meshes.primitives import Interval, box, chamfered, end_plate, frustum, prism, top_plate
from flight_sim.meshes.vehicle_parts import flank_windows, lights, roof_ribs, wheels


def _cab(x0: float, x1: float, half: float, height: float) -> list[Face]:
    faces = box((x0, x1), (-half, half), (0.45, 1.5), Paint.BODY, 1)
    paints = [Paint.GLASS, Paint.BODY, Paint.GLASS, Paint.GLASS, Paint.BODY]
    roof = (x0, x1 - 0.25, -half * 0.93, half * 0.93)
    faces += frustum((x0, x1, -half, half), roof, (1.5, height), paints, 2)
    front_lights = lights(x1, x0, half, (0.7, 0.95), 3)[::2]
    return faces + front_lights


def truck(length: float, height: float, load: str) -> list[Face]:
    """A rigid truck; `load`: "box" (closed), "sand" (open bed with a heap) or "cargo" (flat bed with boxes)."""
    half, x0, x1 = 1.22, -length / 2, length / 2
    cab = x1 - 1.9
    faces = box((x0, x1 - 0.3), (-half * 0.85, half * 0.85), (0.5, 0.95), Paint.DARK, 0)
    faces += wheels((x0 + 0.9, x0 + 2.0, x1 - 1.1), half, 0.48, 3)
    faces += _cab(cab, x1, half, 2.65)
    bed = (x0, cab - 0.25)
    if load == "box":
        faces += box(bed, (-half, half), (0.95, height), Paint.SECOND, 2)
        return faces + roof_ribs(np.linspace(bed[0], bed[1], 6)[1:-1], 0.06, half, height, Paint.METAL, 3)
    faces += box(bed, (-half, half), (0.95, 1.75), Paint.BODY if load == "sand" else Paint.METAL, 2, top=Paint.DARK)
    return faces + (_sand_heap(bed, half) if load == "sand" else _cargo(bed))


def _sand_heap(bed: Interval, half: float) -> list[Face]:
    low = (bed[0] + 0.12, bed[1] - 0.12, -half + 0.12, half - 0.12)
    high = (bed[0] + 1.4, bed[1] - 1.4, -0.3, 0.3)
    return frustum(low, high, (1.75, 2.3), Paint.SECOND, 3)


def _cargo(bed: Interval) -> list[Face]:
    faces = []
    for index, x in enumerate(np.arange(bed[0] + 0.2, bed[1] - 1.6, 1.8).tolist()):
        faces += box((x, x + 1.5), (-0.95, 0.95), (1.75, 2.3 + 0.25 * (index % 2)), Paint.SECOND, 3)
    return faces


def articulated_truck() -> list[Face]:
    """A tractor with a semi-trailer."""
    faces = _cab(5.3, 7.5, 1.22, 3.1)
    faces += box((-7.3, 6.9), (-0.9, 0.9), (0.5, 1.05), Paint.DARK, 0)
    faces += wheels((-6.2, -5.0, 3.4, 6.2), 1.22, 0.5, 3)
    faces += box((-7.5, 5.0), (-1.25, 1.25), (1.05, 3.8), Paint.SECOND, 2)
    return faces + roof_ribs(np.linspace(-7.5, 5.0, 9)[1:-1], 0.08, 1.25, 3.8, Paint.METAL, 3)


def bus(length: float, height: float = 3.05) -> list[Face]:
    """A city bus: a long box, a row of windows, hatches and air conditioning on the roof."""
    half, x0, x1 = 1.27, -length / 2, length / 2
    faces = prism(chamfered((x0, x1), half, 0.14), (0.3, height), Paint.BODY, 0)
    faces += flank_windows((x0 + 0.3, x1 - 0.5), half + 0.002, (0.4, 1.05), Paint.SECOND, 1)
    count = max(int(length / 1.6), 4)
    faces += flank_windows((x0 + 0.5, x1 - 0.6), half + 0.002, (1.25, 2.45), Paint.GLASS, 1, count)
    faces += wheels((x0 + 2.2, x1 - 2.4), half + 0.004, 0.48, 2)
    faces.append(end_plate(x1 + 0.002, (-1.05, 1.05), (0.9, 2.75), Paint.GLASS, 1, 1.0, detail=False))
    faces.append(end_plate(x0 - 0.002, (-1.05, 1.05), (1.4, 2.75), Paint.GLASS, 1, -1.0, detail=False))
    faces += lights(x1 + 0.002, x0 - 0.002, half * 0.9, (0.5, 0.75), 2)
    faces.append(top_plate((x0 + 0.3, x1 - 0.35), (-0.95, 0.95), height, Paint.SECOND, 1, detail=False))
    faces += box((x0 + 1.0, x0 + 3.4), (-0.75, 0.75), (height, height + 0.28), Paint.METAL, 3)
    faces += box((x1 - 4.2, x1 - 2.6), (-0.65, 0.65), (height, height + 0.22), Paint.METAL, 3)
    faces.append(top_plate((-0.5, 0.4), (-0.4, 0.4), height, Paint.DARK, 3, detail=False))
    return faces
