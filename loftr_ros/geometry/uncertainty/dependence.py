"""Variance inflation by correlated and unequal errors of matches, estimated from the residuals of the pair itself.

A matcher makes similar errors on neighbouring matches, so N matches carry less information than N independent ones.
Its errors are also larger in some places, such as at the edge of the common view, on sparse texture and beside houses.
There few matches hold the estimate, so the errors of these count, and not those of the average match.

The covariance of two errors is taken as a function of their distance in the older view, and constant within rings of
distance. Each pair of matches counts as much as the product of its scores in the covariance of the estimate (Conley,
"GMM estimation with cross sectional dependence", J. Econometrics 1999; White, "A heteroskedasticity-consistent
covariance matrix estimator", Econometrica 1980). The values of the rings are variance components: quadratic forms of
the residuals, corrected for what the fit of the motion absorbs of them (method of moments: Rao, "Estimation of variance
and covariance components", J. Multivariate Analysis 1971). The excess is summarised by one number, the variance
inflation factor (design effect: Kish, "Survey Sampling", 1965), by which the effective number of matches is smaller.

Errors that change little over the view look like motion and leave no residuals; no estimate from residuals sees them.
They are added as a systematic error of known size, as in the type B evaluation of uncertainty (JCGM 100, "Guide to the
expression of uncertainty in measurement", 2008, section 4.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.uncertainty.refinement import Refined

_CELL = 1 / 32  # of the extent, side of a lattice cell: 9 pixels at 640x480, about one coarse cell of LoFTR
_MAX_SIDE = 256  # of the lattice, cells; bounds the work for cameras with an odd calibration
_RADII = (1, 3, 7)  # cells, outer radii of the rings: to an eighth of the view, most beyond is absorbed (empirical)
# Of the extent: 0.007 pixels at 640x480. On turns on the spot of simulated flights, all matches of loftr_lite in a pair
# are displaced together by 0.0062 pixels (RMS of an axis) at 416x312, sampling error taken off; a residual shares a
# displacement between both images, so that 0.0044 pixels or 2.4e-5 are left. Before pixels were aligned it was 1.4e-4.
_SYSTEMATIC = 2.4e-5


def variance_inflation(pairs: RayPairs, refined: Refined[Any], steps: int | None = None) -> float:
    """Factor, at least 1, of the estimate's variance over its variance for independent matches with equal noise.

    Let A (N k, p) be the weighted derivative of the residuals, whitened so that A'A = I, and B_r the matrix (N k, N k)
    that is 1 for two matches within ring r; B_0 = I. With the covariance c_r of their errors over sigma^2, and the
    systematic error b that neighbours share unseen, the factor, a mean over the directions of a step, is

        v = c_0 + sum_r>0 (c_r + (b / sigma)^2) tr(A' B_r A) / p.

    Covariances fall with the distance. Therefore the sum of the c_r ends before the first ring whose covariance is not
    positive, and none counts for more than the one before (initial monotone sequence: Geyer, "Practical Markov chain
    Monte Carlo", Statistical Science 1992). Distant rings hold most pairs of matches, so that chance covariances in
    them would weigh most.

    steps: the leading ones whose variance counts; None: all. Then A has the columns of these alone, whitened, after
    the other ones are fitted.
    """
    rings = _Rings.of(pairs, refined, steps)
    last, *shared = rings.components / refined.noise.sigma**2
    systematic = (_SYSTEMATIC * pairs.extent / refined.noise.sigma) ** 2
    inflation = last + systematic * rings.overlaps[1:].sum()
    for covariance, overlap in zip(shared, rings.overlaps[1:], strict=True):
        if not covariance > 0.0:
            break
        last = min(covariance, last)
        inflation += last * overlap
    return max(float(inflation), 1.0)


@dataclass(frozen=True, eq=False)
class _Rings:
    """Sums over the pairs of matches in each ring; ring 0 pairs each match with itself.

    The kernel K_r (N k, N k) is A A' for two matches within ring r, else 0. So e' K_r e, with the weighted residuals e,
    is the sum of the products of their scores.

    products: (R,), e' K_r e. moments: (R, R), tr(K_r Q B_s Q) with Q = I - F F', where F has the columns of all steps:
    the derivative of the expected product r by the covariance of ring s. overlaps: (R,), tr(A' B_r A) / p.
    """

    products: np.ndarray
    moments: np.ndarray
    overlaps: np.ndarray

    @classmethod
    def of(cls, pairs: RayPairs, refined: Refined[Any], steps: int | None) -> _Rings:
        roots = np.sqrt(refined.weights)[:, None]
        J = refined.motion.jacobian(pairs) * roots[:, :, None]
        root = _whitening(refined.information)
        F, leading = J @ root, _leading(root, steps)
        A = F @ leading
        scores = np.einsum("nkp,nk->np", A, refined.residuals * roots)
        leverages = np.einsum("nkq,nkp->nqp", A, F)
        (count, _, size), all_steps = A.shape, F.shape[2]
        columns = scores, leverages.reshape(count, -1), F.reshape(count, -1)
        sums = _ring_sums(np.concatenate(columns, axis=1), _lattice(pairs))  # B_r times each column
        of_scores, of_leverages, of_F = np.split(sums, [size, size + size * all_steps], axis=2)
        KF = np.einsum("nkq,rnqp->rnkp", A, of_leverages.reshape(-1, count, size, all_steps))
        KF, BF = KF.reshape(len(sums), -1, all_steps), of_F.reshape(len(sums), -1, all_steps)
        F = F.reshape(-1, all_steps)
        FKF, FBF = F.T @ KF, F.T @ BF
        ABA = leading.T @ FBF @ leading
        traces = np.trace(ABA, axis1=1, axis2=2)  # also tr(K_r B_r); different rings share no pairs of matches
        absorbed = KF.reshape(len(sums), -1) @ BF.reshape(len(sums), -1).T
        moments = np.diag(traces) - 2.0 * absorbed + np.einsum("rpq,sqp->rs", FKF, FBF)
        products = np.einsum("np,rnp->r", scores, of_scores)
        return cls(products=products, moments=moments, overlaps=traces / max(size, 1))

    @property
    def components(self) -> np.ndarray:
        """Covariance (R,) of the errors of two matches in each ring, pixels^2; 0 in a ring without pairs of matches."""
        components: np.ndarray = np.linalg.pinv(self.moments, rcond=1e-9) @ self.products
        return components


def _whitening(information: np.ndarray) -> np.ndarray:
    """Return a root of the inverse information (p, p), without directions that are not observed."""
    values, vectors = np.linalg.eigh(information)
    seen = values > 1e-12 * max(values[-1], 1e-300)
    return np.asarray(vectors[:, seen] / np.sqrt(values[seen]))


def _leading(root: np.ndarray, steps: int | None) -> np.ndarray:
    """Orthonormal directions (q, s) among the columns of a root (p, q) that move the leading steps; None: all steps."""
    if steps is None:
        return np.eye(root.shape[1])
    return np.asarray(root[:steps].T @ _whitening(root[:steps] @ root[:steps].T))


def _lattice(pairs: RayPairs) -> np.ndarray:
    """Row and column (2, N) int of each match in a lattice over the older view.

    The lattice divides unit directions, not normalised coordinates, so that a fisheye view fills it evenly.
    """
    directions = pairs.rows0[1::-1] / np.sqrt(np.einsum("in,in->n", pairs.rows0, pairs.rows0))
    places = directions - directions.min(axis=1, keepdims=True)
    return np.minimum(places / max(_CELL * pairs.extent * pairs.pixel, 1e-12), _MAX_SIDE - 1).astype(int)


def _ring_sums(values: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """Sums (R, N, C) of the values (N, C) of all matches within each ring around each match.

    Ring 0 is the match itself. Ring r begins where ring r - 1 ends, and reaches to _RADII[r - 1] cells along rows and
    columns.
    """
    rows, columns = lattice
    height, width = rows.max() + 1, columns.max() + 1
    cells = rows * width + columns
    maps = np.stack([np.bincount(cells, column, height * width) for column in values.T], axis=1)
    maps = maps.reshape(height, width, -1)
    squares = [
        cv2.boxFilter(maps, -1, (2 * radius + 1, 2 * radius + 1), normalize=False, borderType=cv2.BORDER_CONSTANT)
        for radius in _RADII
    ]
    within = [values, *(square.reshape(height * width, -1)[cells] for square in squares)]
    return np.diff(np.stack(within), axis=0, prepend=0.0)
