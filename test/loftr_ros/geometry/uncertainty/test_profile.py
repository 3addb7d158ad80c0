"""Covariances of curved valleys: against the spread of points on the floor of a valley, and never narrower."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from loftr_ros.geometry.uncertainty.profile import widened


@dataclass(frozen=True)
class Valley:
    """A cost whose floor bends: axis 1 follows the square of axis 0, and axis 2 that of axis 1, in deviations."""

    place: np.ndarray
    deviations: np.ndarray
    bend: float

    def residuals(self, pairs):
        x = self.place / self.deviations
        floor = np.array([0.0, self.bend * x[0] ** 2, self.bend * x[1] ** 2])
        return (x - floor)[:, None]

    def moved(self, step):
        return Valley(self.place + step, self.deviations, self.bend)


def refined(deviations, bend):
    motion = Valley(np.zeros(3), deviations, bend)
    return SimpleNamespace(motion=motion, weights=np.ones(3), noise=SimpleNamespace(sigma=1.0))


def test_a_straight_valley_keeps_its_covariance():
    deviations = np.array([0.05, 0.03, 0.01])
    covariance = np.diag(deviations**2)
    np.testing.assert_allclose(widened(None, refined(deviations, 0.0), covariance), covariance, rtol=1e-6)


def test_valleys_that_bend_into_each_other_only_widen_a_covariance():
    """Two valleys are followed, and the narrower one bends along the wider one."""
    deviations = np.array([0.03, 0.05, 0.01])
    covariance = np.diag(deviations**2)
    wider = widened(None, refined(deviations, 1.5), covariance)
    assert (np.linalg.eigvalsh(wider - covariance) > -1e-9).all()
    assert wider[1, 1] > 3 * covariance[1, 1]
