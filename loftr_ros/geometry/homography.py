"""The homography of a plane: robust fit, Sampson distance, and the poses that it may stand for.

Everywhere x0 ~ H x1 with H = R + t n' / d (Hartley and Zisserman, 2nd edition, section 13.1): the pose (R, t) of the
newer camera in the older one, and the plane n' p1 = d in the newer camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from loftr_ros.geometry.essential import Estimator, uses_poselib
from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.sphere import move_direction, tangent_basis
from perception_common.geometry import skew, so3_exp

try:
    import poselib
except ImportError:  # no wheel for this platform (aarch64)
    poselib = None


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

    def residuals(self, pairs: RayPairs) -> np.ndarray:
        """Residuals (N, 2) of the homography, pixels."""
        return homography_residuals(pairs, self.homography)

    def jacobian(self, pairs: RayPairs) -> np.ndarray:
        """Derivative (N, 2, 8) of the residuals by a step."""
        turns = [skew(axis) @ self.rotation for axis in np.eye(3)]
        shifts = [np.outer(axis, self.plane) for axis in tangent_basis(self.translation).T]
        tilts = [np.outer(self.translation, axis) for axis in np.eye(3)]
        return homography_jacobian(pairs, self.homography, np.array(turns + shifts + tilts))

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
        turns = [skew(axis) @ self.rotation for axis in np.eye(3)]
        return homography_jacobian(pairs, self.rotation, np.array(turns))

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
            "min_iterations": 100,
            "max_iterations": 2000,
        }
        H, info = poselib.estimate_homography(rays1, rays0, options, {})
        found = info["num_inliers"] >= 4
    else:
        cv2.setRNGSeed(seed)
        # In pixels: OpenCV's estimator has tolerances of its own that suit no normalised coordinates.
        H, mask = cv2.findHomography(
            rays1 / pairs.pixel, rays0 / pairs.pixel, cv2.USAC_MAGSAC, threshold, maxIters=2000, confidence=0.9999
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
    whiten, _, _ = _whitening(pairs, H)
    return np.einsum("nij,nj->ni", whiten, _transfer_error(pairs, H))


def homography_jacobian(pairs: RayPairs, H: np.ndarray, dH: np.ndarray) -> np.ndarray:
    """Derivative (N, 2, p) of the residuals for derivatives dH (p, 3, 3) of H, that of the whitening included.

    Without that part noise in the rays would draw the estimate to one side. dL = L low(dS / L / L'), where low keeps
    the lower triangle and half the diagonal.
    """
    whiten, by_x0, by_x1 = _whitening(pairs, H)
    r = np.einsum("nij,nj->ni", whiten, _transfer_error(pairs, H))
    # By the entries H_ij first: the error changes by c_i x1_j and the slope of x1 by c_i pixel1_j, with c = [-I | x0].
    c = whiten @ np.concatenate([np.broadcast_to(-np.eye(2), by_x0.shape), pairs.x0[:, :2, None]], axis=2)  # (N, 2, 3)
    along = np.zeros((len(pairs), 3, 2))
    along[:, :2] = pairs.pixel1 @ np.swapaxes(whiten @ by_x1, 1, 2)
    depth = (whiten @ pairs.pixel0) @ np.swapaxes(whiten @ by_x0, 1, 2)

    def half(row: int, column: int) -> np.ndarray:
        """The entry of X where dS / L / L' = X + X', (N, 3, 3) by H_ij."""
        entry = c[:, row, :, None] * along[:, None, :, column]
        entry[:, 2] += depth[:, row, column, None] * pairs.x1
        return entry

    r0, r1 = r[:, 0, None, None], r[:, 1, None, None]
    x1 = pairs.x1[:, None]
    by_entries = np.stack(
        [
            c[:, 0, :, None] * x1 - half(0, 0) * r0,
            c[:, 1, :, None] * x1 - (half(1, 0) + half(0, 1)) * r0 - half(1, 1) * r1,
        ],
        axis=1,
    )
    return by_entries.reshape(-1, 2, 9) @ dH.reshape(-1, 9).T


def _transfer_error(pairs: RayPairs, H: np.ndarray) -> np.ndarray:
    mapped = pairs.x1 @ H.T
    return mapped[:, 2:] * pairs.x0[:, :2] - mapped[:, :2]


def _slopes(pairs: RayPairs, H: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives (N, 2, 2) of the error by the pixels of the older and the newer image; linear in H."""
    by_x0 = (pairs.x1 @ H[2])[:, None, None] * pairs.pixel0
    by_x1 = (pairs.x0[:, :2, None] * H[2, :2] - H[:2, :2]) @ pairs.pixel1
    return by_x0, by_x1


def _whitening(pairs: RayPairs, H: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The inverses (N, 2, 2) of L, and the two slopes."""
    by_x0, by_x1 = _slopes(pairs, H)
    S = by_x0 @ np.swapaxes(by_x0, 1, 2) + by_x1 @ np.swapaxes(by_x1, 1, 2)
    first = np.sqrt(np.maximum(S[:, 0, 0], 1e-30))
    below = S[:, 1, 0] / first
    second = np.sqrt(np.maximum(S[:, 1, 1] - below**2, 1e-30))
    entries = [1.0 / first, np.zeros_like(first), -below / (first * second), 1.0 / second]
    return np.stack(entries, axis=-1).reshape(-1, 2, 2), by_x0, by_x1


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
