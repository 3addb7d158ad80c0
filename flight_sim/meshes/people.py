"""People: standing, walking, sitting, lying."""

from __future__ import annotations

from flight_sim.meshes.mesh import Face, Paint
from flight_sim.meshes.primitives import Interval, box, frustum, moved, prism, ring


def standing(stride: float, skirt: bool = False) -> list[Face]:
    """A person upright; `stride` is half the distance between the feet."""
    faces = []
    if skirt:
        faces += frustum((-0.2, 0.2, -0.24, 0.24), (-0.1, 0.1, -0.16, 0.16), (0.45, 0.95), Paint.TROUSERS, 1)
    for side, x in ((-1.0, stride), (1.0, -stride)):
        y0, y1 = sorted((side * 0.03, side * 0.17))
        leg = Paint.SKIN if skirt else Paint.TROUSERS
        faces += frustum((x - 0.08, x + 0.12, y0, y1), (-0.09, 0.09, y0, y1), (0.0, 0.88), leg, 0)
    faces += frustum((-0.1, 0.1, -0.16, 0.16), (-0.11, 0.13, -0.22, 0.22), (0.86, 1.45), Paint.SHIRT, 1)
    return faces + _arms(0.0, 0.21, (0.8, 1.42), reach=1.2 * stride) + _head(0.02, 1.47)


def with_umbrella() -> list[Face]:
    """A person who walks under an umbrella."""
    return standing(0.15) + prism(ring(0.1, 0.0, 0.55, 8), (1.85, 2.1), Paint.SECOND, 5, shrink=0.12)


def sitting(seat: float, legs_forward: float) -> list[Face]:
    """A person who sits at height `seat`, with the knees `legs_forward` metres before the hips."""
    faces = box((-0.15, legs_forward), (-0.2, 0.2), (seat, seat + 0.17), Paint.TROUSERS, 0)
    shin = (legs_forward - 0.1, legs_forward + 0.06, -0.19, 0.19)
    if seat > 0.2:
        faces += frustum(shin, shin, (max(seat - 0.42, 0.0), seat), Paint.TROUSERS, 0)
    low, high = (-0.15, 0.1, -0.17, 0.17), (-0.1, 0.15, -0.22, 0.22)
    faces += frustum(low, high, (seat + 0.1, seat + 0.68), Paint.SHIRT, 1)
    faces += _arms(0.05, 0.21, (seat + 0.25, seat + 0.64), reach=0.2)
    return faces + _head(0.05, seat + 0.7)


def lying() -> list[Face]:
    """A person who lies on the ground."""
    faces = []
    for side in (-1.0, 1.0):
        y0, y1 = sorted((side * 0.04, side * 0.2))
        faces += box((-0.9, 0.0), (y0, y1), (0.03, 0.2), Paint.TROUSERS, 0)
    faces += box((0.0, 0.58), (-0.24, 0.24), (0.03, 0.26), Paint.SHIRT, 1)
    return faces + moved(prism(ring(0.0, 0.0, 0.12), (0.03, 0.26), Paint.HAIR, 1), 0.72)


def _head(x: float, z: float) -> list[Face]:
    faces = prism(ring(x, 0.0, 0.1), (z, z + 0.13), Paint.SKIN, 3)
    return faces + prism(ring(x - 0.015, 0.0, 0.115), (z + 0.13, z + 0.25), Paint.HAIR, 4, shrink=0.7)


def _arms(x: float, half: float, z: Interval, reach: float) -> list[Face]:
    """Arms beside a torso of half width `half`; the hands are `reach` metres before and behind."""
    faces = []
    for side, forward in ((-1.0, reach), (1.0, -reach)):
        y0, y1 = sorted((side * half, side * (half + 0.1)))
        low = (x - 0.05 + forward, x + 0.06 + forward, y0, y1)
        faces += frustum(low, (x - 0.06, x + 0.06, y0, y1), z, [Paint.SKIN] * 4 + [Paint.SHIRT], 2)
    return faces
