"""Trees of unit height and unit crown diameter: leaf patches around a dark core."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from flight_sim.meshes.mesh import GOLDEN_ANGLE, Face, Mesh, Paint, build_mesh
from flight_sim.meshes.primitives import plate, prism, ring

_KINDS = 6
_FIRST_CONIFER = 4  # kinds from here on are conifers


def tree_meshes(seed: int, patches: int) -> tuple[Mesh, ...]:
    """Six trees with `patches` leaf patches each; the last two are conifers.

    The same seed gives the same trees, apart from their patches, for any number of patches.
    """
    return tuple(
        _tree(np.random.default_rng([seed, kind]), patches, conifer=kind >= _FIRST_CONIFER) for kind in range(_KINDS)
    )


def _tree(rng: np.random.Generator, patches: int, conifer: bool) -> Mesh:
    core = _trunk_and_core(conifer)
    faces = core + _leaves(rng, patches, conifer)
    mesh = build_mesh(faces)
    heights = mesh.corners[:, :, 2].mean(axis=1)
    leaf_tone = rng.uniform(0.78, 1.25, len(faces)) * (0.55 + 0.6 * heights)  # darker towards the ground
    tone = np.where(np.arange(len(faces)) >= len(core), leaf_tone, 1.0)
    return replace(mesh, tone=tone, hull=_crown_hull(conifer))


def _trunk_and_core(conifer: bool) -> list[Face]:
    faces = prism(ring(0.0, 0.0, 0.03), (0.0, 0.4), Paint.SECOND, 0)
    if conifer:
        return faces + prism(ring(0.0, 0.0, 0.4, 8), (0.16, 0.85), Paint.DARK, 1, shrink=0.1)
    faces += prism(ring(0.0, 0.0, 0.34, 8), (0.42, 0.62), Paint.DARK, 1, shrink=1.15)
    return faces + prism(ring(0.0, 0.0, 0.39, 8), (0.62, 0.9), Paint.DARK, 1, shrink=0.5)


def _leaves(rng: np.random.Generator, patches: int, conifer: bool) -> list[Face]:
    """Leaf patches on a Fibonacci lattice around the crown, which has lobes."""
    turn = rng.uniform(0.0, 2.0 * np.pi)
    lobes = rng.uniform(0.0, 2.0 * np.pi, 3)
    faces = []
    for k in range(patches):
        z = 1.0 - 1.8 * (k + 0.5) / patches
        angle = k * GOLDEN_ANGLE + turn
        swell = 1.0 + 0.1 * math.sin(3 * angle + lobes[0]) + 0.08 * math.sin(4 * z + 2 * angle + lobes[1])
        if conifer:
            height = 0.5 * (1.0 + z)
            outwards = np.array([math.cos(angle), math.sin(angle)])
            centre = np.array([*(0.48 * (1.02 - height) * swell * outwards), 0.14 + 0.84 * height])
            normal = np.array([*outwards, 0.7])
            size = 1.0 / math.sqrt(patches) * (1.1 - height)
        else:
            radius = math.sqrt(max(1.0 - z * z, 0.0))
            normal = np.array([radius * math.cos(angle), radius * math.sin(angle), z])
            centre = normal * np.array([0.45, 0.45, 0.34]) * swell * rng.uniform(0.93, 1.04) + [0.0, 0.0, 0.62]
            size = 1.05 / math.sqrt(patches)
        faces.append(_leaf(rng, centre, normal, size))
    return faces


def _leaf(rng: np.random.Generator, centre: np.ndarray, normal: np.ndarray, size: float) -> Face:
    """A hexagonal patch of about `size`, tilted at random from its normal."""
    normal = normal / np.linalg.norm(normal) + rng.normal(0.0, 0.3, 3)
    normal /= np.linalg.norm(normal)
    side = np.cross(normal, rng.standard_normal(3))
    side /= np.linalg.norm(side)
    around = np.arange(6) * 2 * np.pi / 6
    reach = size * rng.uniform(0.75, 1.1, 6)
    corners = centre + reach[:, None] * (
        np.cos(around)[:, None] * side + np.sin(around)[:, None] * np.cross(normal, side)
    )
    return plate(corners.tolist(), Paint.BODY, 2, normal.tolist(), detail=False)


def _crown_hull(conifer: bool) -> np.ndarray:
    """Points of a tree's outline for its shadow."""
    angles = np.arange(10) * 2 * np.pi / 10
    outline = ((0.46, 0.15),) if conifer else ((0.34, 0.36), (0.48, 0.62), (0.34, 0.88))  # radius, height
    rings = [np.stack([r * np.cos(angles), r * np.sin(angles), np.full(10, z)], axis=1) for r, z in outline]
    return np.concatenate([*rings, [[0.0, 0.0, 0.98]]] if conifer else rings)
