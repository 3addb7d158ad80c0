"""The motions that a homography allows, and which of them place the points in front of both cameras.

docs/homography.md, sections 5 and 6, derives both.
"""

from __future__ import annotations

import numpy as np

from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.two_view.homography.motion import PlaneMotion
from loftr_ros.geometry.two_view.thresholds import MIN_IN_FRONT

_PURE_ROTATION = 1e-10  # difference of squared singular values, near the rounding error of double precision


def normalised(H: np.ndarray) -> np.ndarray:
    """Return H (3, 3) with the scale and sign of R + t n' / d, for cameras on the same side of the plane."""
    H = H / np.linalg.svd(H, compute_uv=False)[1]
    return H if np.linalg.det(H) > 0 else -H


def decompose_homography(H: np.ndarray) -> list[PlaneMotion]:
    """Decompose H (3, 3) into its four motions, in pairs that differ in the sign of translation and plane.

    Ma, Soatto, Kosecka and Sastry, "An Invitation to 3-D Vision", section 5.3.3. Empty for a pure rotation, for which
    the plane is undetermined.
    """
    H = normalised(H)
    squares, vectors = np.linalg.eigh(H.T @ H)
    s1, s3 = squares[2], squares[0]
    if s1 - s3 < _PURE_ROTATION:
        return []
    v1, v2, v3 = vectors[:, 2], vectors[:, 1], vectors[:, 0]
    found = []
    for sign in (1.0, -1.0):
        in_plane = np.sqrt(max(1 - s3, 0.0)) * v1 + sign * np.sqrt(max(s1 - 1, 0.0)) * v3
        in_plane /= np.linalg.norm(in_plane)
        normal = np.cross(v2, in_plane)
        U = np.column_stack([v2, in_plane, normal])
        W = np.column_stack([H @ v2, H @ in_plane, np.cross(H @ v2, H @ in_plane)])
        u, _, vt = np.linalg.svd(W @ U.T)  # W U' is a rotation up to rounding
        rotation = u @ vt
        translation = (H - rotation) @ normal
        length = np.linalg.norm(translation)
        found += [PlaneMotion(rotation, side * translation / length, side * length * normal) for side in (1.0, -1.0)]
    return found


def visible_motions(motions: list[PlaneMotion], pairs: RayPairs) -> list[PlaneMotion]:
    """Keep the motions that place most matches in front of both cameras: one or two of the four."""
    return [motion for motion in motions if len(pairs) and np.mean(plane_in_front(motion, pairs)) > MIN_IN_FRONT]


def equal_motions(motion: PlaneMotion, pairs: RayPairs) -> list[PlaneMotion]:
    """Return the visible motions with the homography of `motion`; that motion itself where there is none."""
    return visible_motions(decompose_homography(motion.homography), pairs) or [motion]


def plane_in_front(motion: PlaneMotion, pairs: RayPairs) -> np.ndarray:
    """Whether each match (N,), as a point on the plane, has positive depths in both cameras."""
    normal0 = motion.rotation @ motion.plane
    distance0 = 1.0 + normal0 @ motion.translation  # of the plane from the older camera, times |plane|
    return (pairs.x1 @ motion.plane > 0) & (pairs.x0 @ normal0 * distance0 > 0)
