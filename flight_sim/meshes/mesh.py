"""Meshes of planar faces, as arrays for batch rendering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

MAX_CORNERS = 8  # of a face
GOLDEN_ANGLE = 2.399963  # radians, pi * (3 - sqrt(5)); steps of a Fibonacci lattice, which covers a sphere evenly
_HULL_DIRECTIONS = 40  # empirical: enough for shadows


class Paint(IntEnum):
    """Which of an object's colours a face has."""

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
    """A convex polygon: `corners` (3 to 8, 3) metres.

    `stage`: order of drawing within the mesh, later ones over earlier ones; `detail`: left out when the object is small
    in the image.
    """

    corners: np.ndarray
    paint: Paint
    stage: int
    detail: bool = False


@dataclass(frozen=True)
class Mesh:
    """F faces as arrays.

    `corners` (F, 8, 3) float64 metres: polygons padded by repeating the last corner; `normals` (F, 3) outward unit
    vectors; `paint` (F,) int: Paint; `stage` (F,) int and `detail` (F,) bool as in Face; `tone` (F,): factor on the
    brightness; `hull` (P, 3): points that cast the object's shadow; `size` (3,): extent in x, y, z.
    """

    corners: np.ndarray
    normals: np.ndarray
    paint: np.ndarray
    stage: np.ndarray
    tone: np.ndarray
    detail: np.ndarray
    hull: np.ndarray
    size: np.ndarray


def build_mesh(faces: Sequence[Face], seed: int = 0) -> Mesh:
    """Pack faces into arrays; their tones vary by the seed, so that neighbouring faces can be told apart."""
    corners = np.stack(
        [np.concatenate([f.corners, np.repeat(f.corners[-1:], MAX_CORNERS - len(f.corners), axis=0)]) for f in faces]
    )
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    points = corners.reshape(-1, 3)
    return Mesh(
        corners=corners,
        normals=normals,
        paint=np.array([int(f.paint) for f in faces]),
        stage=np.array([f.stage for f in faces]),
        tone=np.random.default_rng(seed).uniform(0.94, 1.06, len(faces)),
        detail=np.array([f.detail for f in faces]),
        hull=_outermost(points),
        size=points.max(axis=0) - points.min(axis=0),
    )


def _outermost(points: np.ndarray) -> np.ndarray:
    """The points (P, 3) that are outermost in one of many directions: nearly the convex hull, with fewer points."""
    z = 1.0 - 2.0 * (np.arange(_HULL_DIRECTIONS) + 0.5) / _HULL_DIRECTIONS
    angle = np.arange(_HULL_DIRECTIONS) * GOLDEN_ANGLE
    radius = np.sqrt(1.0 - z * z)
    outermost = np.argmax(points @ np.stack([radius * np.cos(angle), radius * np.sin(angle), z]), axis=0)
    return points[np.unique(outermost)]
