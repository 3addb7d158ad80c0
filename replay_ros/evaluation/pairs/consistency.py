"""Whether the covariances of the estimated poses fit their errors, with a truth that has errors itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from loftr_ros.geometry.scale.result import ScaleSource
from perception_common.geometry import inverse
from replay_ros.evaluation.motion.edges import PoseEdge
from replay_ros.evaluation.motion.pose_accuracy import ELLIPSOID, observed_error
from replay_ros.evaluation.pairs.estimators import PoseEstimate
from replay_ros.evaluation.pairs.metrics import PairErrors


@dataclass(frozen=True)
class TruthDeviation:
    """Standard deviations of a true relative pose.

    degrees: of each component of its rotation, and of the direction of its translation. length: of each component of
    its translation, in the unit of T_ab; it adds to that of the direction.
    """

    degrees: float = 0.0
    length: float = 0.0


EXACT = TruthDeviation()


@dataclass(frozen=True)
class PairConsistency:
    """Squared errors in units of the covariances (NEES) over their degrees of freedom, expected 1.

    pairs: number with a NEES. mean: the sum over the sum of the degrees of freedom. inside_95: share of the pairs
    inside their 95 % ellipsoid. by_geometry: the mean of each class.
    """

    pairs: int
    mean: float
    median: float
    inside_95: float
    by_geometry: dict[str, float]

    @property
    def sentence(self) -> str:
        """The figures in words."""
        each = ", ".join(f"{name} {value:.2f}" for name, value in self.by_geometry.items())
        inside = f"{100 * self.inside_95:.0f} % inside the 95 % ellipsoid"
        return f"NEES {self.mean:.2f} per degree of freedom (expected 1), median {self.median:.2f}; {inside}; {each}"


def normalised_error(found: PoseEstimate, T_ab: np.ndarray, truth: TruthDeviation = EXACT) -> tuple[float | None, int]:
    """Return the NEES of an estimate and its degrees of freedom; None and 0 without a covariance.

    T_ab: (4, 4), true. The variance of the truth is added to that of the estimate, as their errors are independent.
    """
    if found.T_ab is None or found.covariance is None:
        return None, 0
    true = inverse(T_ab)
    edge = PoseEdge(0, 1, inverse(found.T_ab), found.covariance, found.geometry, ScaleSource.UNKNOWN)
    observed = observed_error(edge, true)
    if observed is None:
        return None, 0
    error, covariance = observed
    variance = np.full(len(error), np.radians(truth.degrees) ** 2)
    if truth.length:
        variance[:-3] += (truth.length / np.linalg.norm(true[:3, 3])) ** 2
    return float(error @ np.linalg.solve(covariance + np.diag(variance), error)), len(error)


def consistency_of_pairs(errors: Sequence[PairErrors]) -> PairConsistency | None:
    """Summarise the pairs that have a NEES; None without any."""
    tested = [each for each in errors if each.nees is not None]
    if not tested:
        return None
    nees, dof = (np.array([getattr(each, name) for each in tested], np.float64) for name in ("nees", "dof"))
    geometry = np.array([each.geometry for each in tested])
    classes = {str(name): geometry == name for name in np.unique(geometry)}
    return PairConsistency(
        pairs=len(tested),
        mean=float(nees.sum() / dof.sum()),
        median=float(np.median(nees / dof)),
        inside_95=float(np.mean(nees <= chi2.ppf(ELLIPSOID, dof))),
        by_geometry={name: float(nees[chosen].sum() / dof[chosen].sum()) for name, chosen in classes.items()},
    )
