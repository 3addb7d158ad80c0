"""Two- and three-wheelers, without their riders."""

from __future__ import annotations

from flight_sim.meshes.mesh import Face, Paint
from flight_sim.meshes.primitives import box, chamfered, frustum, prism, top_plate
from flight_sim.meshes.vehicle_parts import wheels


def cargo_tricycle() -> list[Face]:
    """A tricycle with an open bed."""
    return _tricycle_chassis() + box((-1.3, 0.1), (-0.5, 0.5), (0.95, 1.0), Paint.SECOND, 2)


def awning_tricycle() -> list[Face]:
    """A tricycle with a canopy on posts over driver and seats."""
    faces = _tricycle_chassis()
    for x in (-1.25, 0.95):
        for y in (-0.5, 0.5):
            faces += box((x - 0.03, x + 0.03), (y - 0.03, y + 0.03), (0.95, 1.68), Paint.METAL, 3, detail=True)
    faces += frustum((-1.45, 1.15, -0.68, 0.68), (-1.3, 1.0, -0.4, 0.4), (1.66, 1.86), Paint.SECOND, 4)
    faces.append(top_plate((-1.3, 1.0), (-0.06, 0.06), 1.865, Paint.METAL, 5))
    return faces


def _tricycle_chassis() -> list[Face]:
    faces = box((-1.35, 0.15), (-0.55, 0.55), (0.45, 0.95), Paint.BODY, 0, top=Paint.DARK)
    faces += wheels((-0.85,), 0.56, 0.3, 1)
    faces += box((0.15, 0.75), (-0.3, 0.3), (0.35, 0.62), Paint.BODY, 0, top=Paint.DARK)
    faces += box((1.05, 1.45), (-0.09, 0.09), (0.0, 0.55), Paint.DARK, 0)
    faces += box((0.75, 1.12), (-0.13, 0.13), (0.45, 0.95), Paint.BODY, 1)
    return faces + box((0.82, 0.92), (-0.42, 0.42), (0.92, 1.02), Paint.METAL, 2)


def cabin_tricycle() -> list[Face]:
    """A small closed three-wheeler with a canopy roof."""
    faces = prism(chamfered((-1.3, 1.3), 0.6, 0.16), (0.25, 0.9), Paint.BODY, 0)
    faces += wheels((-0.8,), 0.6, 0.26, 1)
    paints = [Paint.GLASS, Paint.DARK, Paint.GLASS, Paint.GLASS, Paint.SECOND]
    faces += frustum((-1.25, 1.0, -0.58, 0.58), (-1.2, 0.7, -0.5, 0.5), (0.9, 1.6), paints, 2)
    return faces + frustum((-1.3, 0.9, -0.6, 0.6), (-1.2, 0.75, -0.45, 0.45), (1.6, 1.72), Paint.SECOND, 3)


def motorcycle() -> list[Face]:
    """A motorcycle or scooter with a top case."""
    faces = _upright_wheels(reach=0.66, radius=0.29, half=0.11)
    seat = [Paint.BODY] * 4 + [Paint.DARK]
    faces += frustum((-0.75, 0.15, -0.17, 0.17), (-0.8, 0.1, -0.14, 0.14), (0.45, 0.8), seat, 1)
    faces += box((-0.1, 0.5), (-0.14, 0.14), (0.3, 0.45), Paint.BODY, 1)
    faces += frustum((0.38, 0.62, -0.2, 0.2), (0.3, 0.5, -0.14, 0.14), (0.3, 0.98), Paint.BODY, 2)
    faces += box((-0.95, -0.62), (-0.19, 0.19), (0.8, 1.08), Paint.SECOND, 2)
    return faces + box((0.34, 0.44), (-0.36, 0.36), (0.98, 1.06), Paint.METAL, 3)


def bicycle() -> list[Face]:
    """A bicycle with a basket."""
    faces = _upright_wheels(reach=0.55, radius=0.33, half=0.05)
    faces += box((-0.5, 0.45), (-0.045, 0.045), (0.5, 0.66), Paint.BODY, 1)
    faces += box((-0.35, -0.1), (-0.09, 0.09), (0.84, 0.93), Paint.DARK, 2)
    faces += box((0.36, 0.44), (-0.28, 0.28), (0.92, 1.0), Paint.METAL, 2)
    return faces + box((0.42, 0.72), (-0.15, 0.15), (0.68, 0.9), Paint.SECOND, 2)


def _upright_wheels(reach: float, radius: float, half: float) -> list[Face]:
    """Two wheels as thin boxes, `reach` metres behind and before the middle."""
    faces = []
    for x in (-reach, reach):
        faces += box((x - radius, x + radius), (-half * 0.6, half * 0.6), (0.0, 2 * radius), Paint.DARK, 0)
    return faces
