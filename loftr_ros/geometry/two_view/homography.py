"""The homography of a plane: robust fit, Sampson distance, and the poses that it may stand for.

Everywhere x0 ~ H x1 with H = R + t n' / d (Hartley and Zisserman, 2nd edition, section 13.1): the pose (R, t) of the
newer camera in the older one, and the plane n' p1 = d in the newer camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.sphere import move_direction, tangent_basis
from loftr_ros.geometry.two_view.essential import TURNS, Estimator, uses_poselib
from perception_common.geometry import so3_exp

try:
    import poselib
except ImportError:  # no wheel for this platform (aarch64)
    poselib = None

_ITERATIONS = 500  # of sampling: enough where a third of the matches are right, and a plane is one that holds more


@dataclass(frozen=True, eq=False)
class PlaneMotion:
    """A pose and a plane that explain a homography, H = rotation + translation plane'.

    rotation: (3, 3). translation: (3,) of length 1. plane: (3,) n / d in the newer camera, so that plane' p1 = 1; its
    length is that of the true translation over the distance of the plane, 0 for a pure rotation.
    A step is (w, b, m): exp(w) rotation; b in the translation's tangent_basis; m is added to the plane.
    """

    rotation: np.ndarray
    translation: np.ndarray
    plane: np.ndarray

    @property
    def homography(self) -> np.ndarray:
        """H with x0 ~ H x1, (3, 3)."""
        return self.rotation + np.outer(self.translation, self.plane)

    def steps_of(self, other: PlaneMotion) -> np.ndarray:
        """The matrix (8, 8) that takes steps of another motion with the same homography to steps of this one."""
        return np.linalg.lstsq(self.tangents.reshape(8, 9).T, other.tangents.reshape(8, 9).T, rcond=None)[0]

    @property
    def tangents(self) -> np.ndarray:
        """Derivative (8, 3, 3) of the homography by a step."""
        shifts = tangent_basis(self.translation).T[:, :, None] * self.plane
        tilts = self.translation[:, None] * np.eye(3)[:, None]
        return np.concatenate([TURNS @ self.rotation, shifts, tilts])

    def residuals(self, pairs: RayPairs) -> np.ndarray:
        """Residuals (N, 2) of the homography, pixels."""
        return homography_residuals(pairs, self.homography)

    def jacobian(self, pairs: RayPairs) -> np.ndarray:
        """Derivative (N, 2, 8) of the residuals by a step."""
        return homography_jacobian(pairs, self.homography, self.tangents)

    def gradient(self, pairs: RayPairs, weights: np.ndarray) -> np.ndarray:
        """Half the derivative (8,) of the weighted sum of squares by a step."""
        return homography_gradient(pairs, self.homography, self.tangents, weights)

    def moved(self, step: np.ndarray) -> PlaneMotion:
        """The motion after a step (8,)."""
        return PlaneMotion(
            so3_exp(step[:3]) @ self.rotation, move_direction(self.translation, step[3:5]), self.plane + step[5:]
        )


@dataclass(frozen=True, eq=False)
class Turn:
    """A rotation (3, 3) without translation, the homography of a plane at infinity. A step is w of exp(w) rotation."""

    rotation: np.ndarray

    def residuals(self, pairs: RayPairs) -> np.ndarray:
        """Residuals (N, 2) of the homography, pixels."""
        return homography_residuals(pairs, self.rotation)

    def jacobian(self, pairs: RayPairs) -> np.ndarray:
        """Derivative (N, 2, 3) of the residuals by a step."""
        return homography_jacobian(pairs, self.rotation, TURNS @ self.rotation)

    def gradient(self, pairs: RayPairs, weights: np.ndarray) -> np.ndarray:
        """Half the derivative (3,) of the weighted sum of squares by a step."""
        return homography_gradient(pairs, self.rotation, TURNS @ self.rotation, weights)

    def moved(self, step: np.ndarray) -> Turn:
        """The rotation after a step (3,)."""
        return Turn(so3_exp(step) @ self.rotation)


def fit_turn(pairs: RayPairs) -> Turn:
    """The rotation with x0 ~ R x1, weighted least squares on unit directions (Kabsch, 1976)."""
    unit0, unit1 = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (pairs.x0, pairs.x1))
    u, _, vt = np.linalg.svd((unit0 * pairs.weights[:, None]).T @ unit1)
    return Turn(u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt)


def fit_homography(pairs: RayPairs, threshold: float, estimator: Estimator, seed: int) -> np.ndarray | None:
    """Fit H (3, 3) by sampling; threshold in pixels. None when nothing is found."""
    if len(pairs) < 4:
        return None
    rays0, rays1 = pairs.x0[:, :2], pairs.x1[:, :2]
    if uses_poselib(estimator):
        options = {
            "max_reproj_error": threshold * pairs.pixel,
            "seed": seed,
            "min_iterations": 50,
            "max_iterations": _ITERATIONS,
        }
        H, info = poselib.estimate_homography(rays1, rays0, options, {})
        found = info["num_inliers"] >= 4
    else:
        cv2.setRNGSeed(seed)
        # In pixels: OpenCV's estimator has tolerances of its own that suit no normalised coordinates.
        H, mask = cv2.findHomography(
            rays1 / pairs.pixel,
            rays0 / pairs.pixel,
            cv2.USAC_MAGSAC,
            threshold,
            maxIters=_ITERATIONS,
            confidence=0.9999,
        )
        found = H is not None and mask.sum() >= 4
        if found:
            H = np.diag([pairs.pixel, pairs.pixel, 1.0]) @ H @ np.diag([1 / pairs.pixel, 1 / pairs.pixel, 1.0])
    if not found or not np.isfinite(H).all() or np.linalg.matrix_rank(H) < 3:
        return None
    return np.asarray(H)


def homography_residuals(pairs: RayPairs, H: np.ndarray) -> np.ndarray:
    """Whitened residuals (N, 2), pixels: their length is the Sampson distance, with variance sigma^2 per component.

    Hartley and Zisserman, 2nd edition, section 4.2.6: e = (H x1)_z x0 - (H x1)_xy is 0 for exact matches and has the
    covariance sigma^2 S, S = J J' with the derivative J of e by the four pixel coordinates. With S = L L' the residual
    is e / L.
    """
    return _Transfer.of(pairs, H).residuals.T


def homography_jacobian(pairs: RayPairs, H: np.ndarray, dH: np.ndarray) -> np.ndarray:
    """Derivative (N, 2, p) of the residuals for derivatives dH (p, 3, 3) of H, that of the whitening included.

    Without that part noise in the rays would draw the estimate to one side. dL = L low(dS / L / L'), where low keeps
    the lower triangle and half the diagonal.
    """
    found = _Derivative.of(pairs, H)
    by_entries = np.empty((3, 3, 2, len(pairs)))
    np.multiply(found.c0[:, None], found.share0, out=by_entries[:, :, 0])
    np.multiply(found.c1[:, None], found.share1, out=by_entries[:, :, 1])
    by_entries[:, :2, 1] -= found.c0[:, None] * (found.mixed1 * found.transfer.residuals[0])
    by_entries[2] -= pairs.rows1[:, None] * found.by_depth
    by_step = dH.reshape(-1, 9) @ by_entries.reshape(9, -1)
    return by_step.reshape(-1, 2, len(pairs)).transpose(2, 1, 0)


def homography_gradient(pairs: RayPairs, H: np.ndarray, dH: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Half the derivative (p,) of the weighted sum of squares for derivatives dH (p, 3, 3) of H."""
    found = _Derivative.of(pairs, H)
    r0, r1 = found.transfer.residuals
    weighted0, weighted1 = weights * r0, weights * r1
    by_entries = found.c0 @ (found.share0 * weighted0).T + found.c1 @ (found.share1 * weighted1).T
    by_entries[:, :2] -= found.c0 @ (found.mixed1 * (r0 * weighted1)).T
    by_entries[2] -= pairs.rows1 @ (found.by_depth[0] * weighted0 + found.by_depth[1] * weighted1)
    return dH.reshape(-1, 9) @ by_entries.ravel()


@dataclass(frozen=True, eq=False)
class _Derivative:
    """Factors of the derivative of the residuals by the entries H_ij, of rows of N numbers.

    Residual 0 changes by c0_i share0_j, residual 1 by c1_i share1_j - c0_i mixed1_j r0, where mixed1_2 = 0; by the last
    row of H both change by another -rows1_j by_depth.
    """

    transfer: _Transfer
    c0: np.ndarray
    c1: np.ndarray
    share0: np.ndarray
    share1: np.ndarray
    mixed1: np.ndarray
    by_depth: np.ndarray

    @classmethod
    def of(cls, pairs: RayPairs, H: np.ndarray) -> _Derivative:
        found = _Transfer.of(pairs, H)
        (w00, w10, w11), (r0, r1) = found.whitening, found.residuals
        x0, y0, _ = pairs.rows0
        # By H_ij the error changes by c_i x1_j, with c = [-I | x0], and S by c_i mixed_j' and its transpose.
        c0, c1 = np.zeros((2, 3, len(pairs)))  # rows of c / L
        c0[0], c0[2] = -w00, w00 * x0
        c1[0], c1[1], c1[2] = -w10, -w11, w10 * x0 + w11 * y0
        mixed0, mixed1 = (
            found.mixed[0] * w00,
            found.mixed[0] * w10 + found.mixed[1] * w11,
        )  # (2, N) by j, rows of mixed / L
        share0 = pairs.rows1.copy()
        share0[:2] -= mixed0 * r0
        share1 = share0.copy()
        share1[:2] -= mixed1 * r1
        # By the last row S changes through the depth of H x1 too, by 2 depth x1_j gram0.
        xx, xy, yy = pairs.gram0
        half = w00 * found.depth
        q00, q10 = half * w00 * xx, half * (w10 * xx + w11 * xy)
        q11 = found.depth * (w10 * (w10 * xx + 2.0 * w11 * xy) + w11**2 * yy)
        by_depth = np.array([q00 * r0, 2.0 * q10 * r0 + q11 * r1])
        return cls(found, c0, c1, share0, share1, mixed1, by_depth)


@dataclass(frozen=True, eq=False)
class _Transfer:
    """Residuals of a homography and what they are made of; rows of N numbers.

    depth: (N,) of H x1. mixed: (2, 2, N), B P1 P1' with the derivative B of the error by x1. whitening: (3, N), entries
    00, 10 and 11 of the inverse of L. residuals: (2, N), pixels.
    """

    depth: np.ndarray
    mixed: np.ndarray
    whitening: np.ndarray
    residuals: np.ndarray

    @classmethod
    def of(cls, pairs: RayPairs, H: np.ndarray) -> _Transfer:
        mapped, rays0 = H @ pairs.rows1, pairs.rows0[:2]
        depth = mapped[2]
        error = depth * rays0 - mapped[:2]
        B = rays0[:, None] * H[2, :2, None] - H[:2, :2, None]
        xx, xy, yy = pairs.gram1
        mixed = np.swapaxes([B[:, 0] * xx + B[:, 1] * xy, B[:, 0] * xy + B[:, 1] * yy], 0, 1)
        square = depth**2
        s00 = square * pairs.gram0[0] + mixed[0, 0] * B[0, 0] + mixed[0, 1] * B[0, 1]
        s10 = square * pairs.gram0[1] + mixed[0, 0] * B[1, 0] + mixed[0, 1] * B[1, 1]
        s11 = square * pairs.gram0[2] + mixed[1, 0] * B[1, 0] + mixed[1, 1] * B[1, 1]
        first = 1.0 / np.sqrt(np.maximum(s00, 1e-30))
        below = s10 * first
        second = 1.0 / np.sqrt(np.maximum(s11 - below**2, 1e-30))
        between = -below * first * second
        residuals = np.array([first * error[0], between * error[0] + second * error[1]])
        return cls(depth, mixed, np.array([first, between, second]), residuals)


def decompose_homography(H: np.ndarray) -> list[PlaneMotion]:
    """The poses and planes of H (3, 3): four of them, in pairs that differ in the sign of translation and plane.

    Ma, Soatto, Kosecka and Sastry, "An Invitation to 3-D Vision", section 5.3.3, by the eigenvectors of H'H. None for a
    pure rotation, which leaves the plane open.
    """
    H = H / np.linalg.svd(H, compute_uv=False)[1]
    H = H if np.linalg.det(H) > 0 else -H  # both cameras are on the same side of the plane
    squares, vectors = np.linalg.eigh(H.T @ H)
    s1, s3 = squares[2], squares[0]
    if s1 - s3 < 1e-10:
        return []
    v1, v2, v3 = vectors[:, 2], vectors[:, 1], vectors[:, 0]
    found = []
    for sign in (1.0, -1.0):
        in_plane = np.sqrt(max(1 - s3, 0.0)) * v1 + sign * np.sqrt(max(s1 - 1, 0.0)) * v3
        in_plane /= np.linalg.norm(in_plane)
        normal = np.cross(v2, in_plane)
        U = np.column_stack([v2, in_plane, normal])
        W = np.column_stack([H @ v2, H @ in_plane, np.cross(H @ v2, H @ in_plane)])
        u, _, vt = np.linalg.svd(W @ U.T)  # a rotation up to rounding
        rotation = u @ vt
        translation = (H - rotation) @ normal
        length = np.linalg.norm(translation)
        found += [PlaneMotion(rotation, side * translation / length, side * length * normal) for side in (1.0, -1.0)]
    return found


def visible_motions(motions: list[PlaneMotion], pairs: RayPairs) -> list[PlaneMotion]:
    """Keep the motions that put most matches in front of both cameras: one or two of four."""
    return [motion for motion in motions if len(pairs) and np.mean(_in_front(motion, pairs)) > 0.5]


def _in_front(motion: PlaneMotion, pairs: RayPairs) -> np.ndarray:
    normal0 = motion.rotation @ motion.plane
    distance0 = 1.0 + normal0 @ motion.translation  # of the plane from the older camera, times |plane|
    return (pairs.x1 @ motion.plane > 0) & (pairs.x0 @ normal0 * distance0 > 0)
