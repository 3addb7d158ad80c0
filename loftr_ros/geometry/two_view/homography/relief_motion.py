"""A pose and a plane from which points may rise: the model of ground with houses and trees.

A match is off its epipolar line by noise. Along the line it is off its place on the plane by noise too, and by the
displacement of its height. So a match on the plane gives two constraints, and one far off the plane gives one (plane
and parallax: Irani and Anandan, "Parallax geometry of pairs of points for 3D scene analysis", ECCV 1996). An essential
matrix uses only the constraint across the lines. At small parallax a rotation can then take the place of a translation,
as the heights of all points are free.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from loftr_ros.geometry.rays import RayPairs, kept_for_last
from loftr_ros.geometry.two_view.essential import EssentialMotion
from loftr_ros.geometry.two_view.homography.motion import PlaneMotion
from loftr_ros.geometry.two_view.homography.sampson import Transfer

# Empirical: standard deviations of heights, from flat ground to houses at low altitude, over the distance of the plane
# along the ray; and their shares at the start, which count as much as one match in their estimate.
_HEIGHTS = np.array([0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3])
_START_SHARES = np.array([0.2, 0.1, 0.15, 0.2, 0.15, 0.1, 0.1])
_AT_ZERO = 1e-3  # standard deviations; nearer to 0 the slope of a compressed residual is that at 0


@dataclass(frozen=True, eq=False)
class ReliefMotion:
    """A pose and a plane, and the distribution of the heights over it. A step is that of `PlaneMotion`.

    The heights are a mixture of normal distributions about 0. sigma: noise of a match, pixels. shares: (7,), of the
    standard deviations _HEIGHTS.
    """

    plane: PlaneMotion
    sigma: float
    shares: np.ndarray

    @classmethod
    def start(cls, plane: PlaneMotion, sigma: float) -> ReliefMotion:
        """Return a motion with the heights that most scenes have."""
        return cls(plane, sigma, _START_SHARES)

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3)."""
        return self.plane.rotation

    @property
    def translation(self) -> np.ndarray:
        """(3,) of length 1."""
        return self.plane.translation

    def residuals(self, pairs: RayPairs) -> np.ndarray:
        """Residuals (N, 2), pixels: across the epipolar line, and along it with the displacement by height compressed.

        The square of the latter is sigma^2 times twice the fall of the log-density from its peak.
        """
        return np.column_stack([self._essential.residuals(pairs)[:, 0], self._offsets(pairs).compressed])

    def jacobian(self, pairs: RayPairs) -> np.ndarray:
        """Derivative (N, 2, 8) of the residuals by a step; the direction of a line counts as fixed along the line."""
        found, by_plane = self._offsets(pairs), self.plane.jacobian(pairs)
        J = np.zeros((len(pairs), 2, by_plane.shape[2]))
        J[:, 0, :5] = self._essential.jacobian(pairs)[:, 0]
        J[:, 1] = np.einsum("kn,nkp->np", found.slope * found.direction, by_plane)
        return J

    def gradient(self, pairs: RayPairs, weights: np.ndarray) -> np.ndarray:
        """Half the derivative (8,) of the weighted sum of squared residuals by a step."""
        weighted = weights[:, None] * self.residuals(pairs)
        return np.einsum("nkp,nk->p", self.jacobian(pairs), weighted)

    def moved(self, step: np.ndarray) -> ReliefMotion:
        """The motion after a step (8,)."""
        return replace(self, plane=self.plane.moved(step))

    def relearned(self, pairs: RayPairs, right: np.ndarray, sigma: float) -> ReliefMotion:
        """One step of expectation maximisation of the shares; right: (N,), probabilities of the matches. sigma: new."""
        parts = self._offsets(pairs).densities
        counts = (parts / parts.sum(axis=0)) @ right + _START_SHARES
        return replace(self, sigma=sigma, shares=counts / counts.sum())

    def odds(self, pairs: RayPairs) -> np.ndarray:
        """Density (N,) of the offset along the line at its peak, over that of noise alone.

        As odds of a match they turn the density of the residuals, which are taken for noise, into that of the points.
        """
        return np.asarray(self.sigma * self._offsets(pairs).peak)

    def offset_densities(self, pairs: RayPairs) -> np.ndarray:
        """Densities (N,) of the offsets of right matches along their lines, 1 / pixel."""
        return np.asarray(self._offsets(pairs).densities.sum(axis=0) / np.sqrt(2.0 * np.pi))

    @cached_property
    def _essential(self) -> EssentialMotion:
        return EssentialMotion(self.rotation, self.translation, self.sigma)

    @kept_for_last
    def _offsets(self, pairs: RayPairs) -> _Offsets:
        transfer = Transfer.of(pairs, self.plane.homography)
        w00, w10, w11 = transfer.whitening
        # The error changes along (t_z x0 - t) with the inverse depth of a point.
        x, y = self.translation[2] * pairs.rows0[:2] - self.translation[:2, None]
        shift = np.array([w00 * x, w10 * x + w11 * y])
        length = np.maximum(np.sqrt(np.einsum("kn,kn->n", shift, shift)), 1e-12)
        direction = shift / length
        along = np.einsum("kn,kn->n", direction, transfer.residuals)
        rise = length * np.abs(self.plane.plane @ pairs.rows1)
        return _Offsets.of(direction, along, self.sigma**2 + (_HEIGHTS[:, None] * rise) ** 2, self.sigma, self.shares)


@dataclass(frozen=True, eq=False)
class _Offsets:
    """Offsets of N matches from their places on the plane, along the epipolar lines.

    direction: (2, N), of the lines among the residuals of the homography. densities: (K, N), of the offsets for each
    height, times sqrt(2 pi). peak: (N,), their sum at 0. compressed: (N,), pixels, with the density proportional to
    exp(-compressed^2 / (2 sigma^2)). slope: (N,), its derivative by the offset.
    """

    direction: np.ndarray
    densities: np.ndarray
    peak: np.ndarray
    compressed: np.ndarray
    slope: np.ndarray

    @classmethod
    def of(
        cls, direction: np.ndarray, along: np.ndarray, variances: np.ndarray, sigma: float, shares: np.ndarray
    ) -> _Offsets:
        """along: (N,), pixels. variances: (K, N), pixels^2, of the offsets for each height."""
        at_zero = shares[:, None] / np.sqrt(variances)
        densities = np.maximum(at_zero * np.exp(-0.5 * along**2 / variances), 1e-300)
        peak, total = at_zero.sum(axis=0), densities.sum(axis=0)
        compressed = np.sign(along) * sigma * np.sqrt(2.0 * np.maximum(np.log(peak / total), 0.0))
        near = np.abs(along) < _AT_ZERO * sigma
        slope = np.where(
            near,
            sigma * np.sqrt((at_zero / variances).sum(axis=0) / peak),
            sigma**2 * along * (densities / variances).sum(axis=0) / total / np.where(near, 1.0, compressed),
        )
        return cls(direction, densities, peak, compressed, slope)
