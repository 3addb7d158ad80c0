"""The errors of the sensors that a position on the ground depends on.

The ten errors of an object in an image are e = (attitude 3, vertical 1, position 3, time 1, footing 2), true value =
measured value + e:

- attitude: rotation vector in the optical frame, radians, R_true = R_measured exp(e). A wrong mount and, for a camera
  that keeps its tilt, a wrong heading are constant in it;
- vertical: of the altitude above the ground, or of the height of the ground where that is known, metres;
- position: of the camera, east, north, up, metres;
- time: of the image behind its stamp, seconds;
- footing: of the rule where in a box an object stands, x and y, pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

ERRORS = 10
ATTITUDE, VERTICAL, POSITION, TIME, FOOTING = slice(0, 3), 3, slice(4, 7), 7, slice(8, 10)


@dataclass(frozen=True)
class ErrorModel:
    """Standard deviations where the messages of a sensor carry none.

    attitude: degrees, about each axis. altitude: share of the altitude. position: metres, each axis. time: seconds.
    pixel: of the sides of a box, pixels. constant_share: share of the variance of each error that stays the same while
    an object is seen (a wrong mount, a shift of the satellites' position); the rest is new in each image. The footing
    stays the same.
    """

    attitude: float = 1.0
    altitude: float = 0.02
    position: float = 1.5
    time: float = 0.02
    pixel: float = 2.0
    constant_share: float = 0.5

    def covariance(
        self, vertical: float, *, attitude: np.ndarray | None = None, position: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the covariance (8, 8) of the errors of an image: without the footing, which each object has.

        vertical: standard deviation, metres. attitude: (3, 3), rad^2, optical frame, position: (3, 3), m^2, as the
        messages tell; None: those of this model.
        """
        B = np.zeros((FOOTING.start, FOOTING.start))
        B[ATTITUDE, ATTITUDE] = math.radians(self.attitude) ** 2 * np.eye(3) if attitude is None else attitude
        B[VERTICAL, VERTICAL] = vertical**2
        B[POSITION, POSITION] = self.position**2 * np.eye(3) if position is None else position
        B[TIME, TIME] = self.time**2
        return B

    @property
    def constant_shares(self) -> np.ndarray:
        """Shares (10,) of the variance of each error that are constant."""
        shares = np.full(ERRORS, self.constant_share)
        shares[FOOTING] = 1.0
        return shares


def square_root(covariance: np.ndarray) -> np.ndarray:
    """Return L (n, n) with L L^T = covariance, symmetric; also of singular ones. L takes unit errors to errors."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
