"""Sampson residuals of a homography with their Jacobian and gradient.

Model: x0 ~ H x1. docs/homography.md, sections 2 and 3, derives the formulas with the names of this file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.rays import RayPairs, gram_times


def homography_residuals(pairs: RayPairs, H: np.ndarray) -> np.ndarray:
    """Whitened residuals (N, 2), pixels, of H (3, 3).

    Their length is the Sampson distance (Hartley and Zisserman, 2nd edition, section 4.2.6); each component has the
    variance sigma^2 of a pixel coordinate.
    """
    return Transfer.of(pairs, H).residuals.T


def homography_jacobian(pairs: RayPairs, transfer: Transfer, dH: np.ndarray) -> np.ndarray:
    """Derivative (N, 2, p) of the residuals for derivatives dH (p, 3, 3) of H, including that of the whitening.

    Without the derivative of the whitening, noise in the rays would bias the estimate.
    """
    found = _Derivative.of(pairs, transfer)
    by_entries = np.empty((3, 3, 2, len(pairs)))
    np.multiply(found.c0[:, None], found.share0, out=by_entries[:, :, 0])
    np.multiply(found.c1[:, None], found.share1, out=by_entries[:, :, 1])
    by_entries[:, :2, 1] -= found.c0[:, None] * (found.mixed1 * transfer.residuals[0])
    by_entries[2] -= pairs.rows1[:, None] * found.by_depth
    by_step = dH.reshape(-1, 9) @ by_entries.reshape(9, -1)
    return by_step.reshape(-1, 2, len(pairs)).transpose(2, 1, 0)


def homography_gradient(pairs: RayPairs, transfer: Transfer, dH: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Half the derivative (p,) of the weighted sum of squared residuals for derivatives dH (p, 3, 3) of H."""
    found = _Derivative.of(pairs, transfer)
    r0, r1 = transfer.residuals
    weighted0, weighted1 = weights * r0, weights * r1
    by_entries = found.c0 @ (found.share0 * weighted0).T + found.c1 @ (found.share1 * weighted1).T
    by_entries[:, :2] -= found.c0 @ (found.mixed1 * (r0 * weighted1)).T
    by_entries[2] -= pairs.rows1 @ (found.by_depth[0] * weighted0 + found.by_depth[1] * weighted1)
    return dH.reshape(-1, 9) @ by_entries.ravel()


@dataclass(frozen=True, eq=False)
class Transfer:
    """Residuals of a homography and their ingredients, as rows of N numbers (docs/homography.md, section 2).

    depth: (N,), third coordinate of H x1. mixed: (2, 2, N), B P1 P1' with the derivative B of the error by x1.
    whitening: (3, N), entries 00, 10 and 11 of L^-1, where S = L L' is the covariance of the error over sigma^2.
    residuals: (2, N), L^-1 times the error, pixels.
    """

    depth: np.ndarray
    mixed: np.ndarray
    whitening: np.ndarray
    residuals: np.ndarray

    @classmethod
    def of(cls, pairs: RayPairs, H: np.ndarray) -> Transfer:
        """Map the matches by H (3, 3)."""
        mapped, rays0 = H @ pairs.rows1, pairs.rows0[:2]
        depth = mapped[2]
        error = depth * rays0 - mapped[:2]
        B = rays0[:, None] * H[2, :2, None] - H[:2, :2, None]
        mixed = gram_times(pairs.gram1, B)
        square = depth**2
        s00 = square * pairs.gram0[0] + np.einsum("jn,jn->n", mixed[0], B[0])
        s10 = square * pairs.gram0[1] + np.einsum("jn,jn->n", mixed[0], B[1])
        s11 = square * pairs.gram0[2] + np.einsum("jn,jn->n", mixed[1], B[1])
        w00 = 1.0 / np.sqrt(np.maximum(s00, 1e-30))
        l10 = s10 * w00
        w11 = 1.0 / np.sqrt(np.maximum(s11 - l10**2, 1e-30))
        w10 = -l10 * w00 * w11
        residuals = np.array([w00 * error[0], w10 * error[0] + w11 * error[1]])
        return cls(depth, mixed, np.array([w00, w10, w11]), residuals)


@dataclass(frozen=True, eq=False)
class _Derivative:
    """Factors of the derivative of the residuals by the entries H_ij, rows of N numbers.

    Residual 0 changes by c0_i share0_j, residual 1 by c1_i share1_j - c0_i mixed1_j r0 with mixed1_2 = 0. For the last
    row of H (i = 2) both change by another -x1_j by_depth. See docs/homography.md, section 3.
    """

    c0: np.ndarray
    c1: np.ndarray
    share0: np.ndarray
    share1: np.ndarray
    mixed1: np.ndarray
    by_depth: np.ndarray

    @classmethod
    def of(cls, pairs: RayPairs, transfer: Transfer) -> _Derivative:
        (w00, w10, w11), (r0, r1) = transfer.whitening, transfer.residuals
        x0, y0, _ = pairs.rows0
        c0, c1 = np.zeros((2, 3, len(pairs)))  # rows of L^-1 [-I | x0]
        c0[0], c0[2] = -w00, w00 * x0
        c1[0], c1[1], c1[2] = -w10, -w11, w10 * x0 + w11 * y0
        mixed0 = transfer.mixed[0] * w00  # rows of L^-1 mixed, (2, N) by j
        mixed1 = transfer.mixed[0] * w10 + transfer.mixed[1] * w11
        share0 = pairs.rows1.copy()
        share0[:2] -= mixed0 * r0
        share1 = share0.copy()
        share1[:2] -= mixed1 * r1
        xx, xy, yy = pairs.gram0
        half = w00 * transfer.depth
        q00, q10 = half * w00 * xx, half * (w10 * xx + w11 * xy)
        q11 = transfer.depth * (w10 * (w10 * xx + 2.0 * w11 * xy) + w11**2 * yy)
        by_depth = np.array([q00 * r0, 2.0 * q10 * r0 + q11 * r1])
        return cls(c0, c1, share0, share1, mixed1, by_depth)
