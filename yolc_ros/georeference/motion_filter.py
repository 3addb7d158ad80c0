"""Filters of a place on the ground along a track: at rest, and with constant velocity.

The measured places z_k = x_k + J_k b + w_k share errors b that stay the same while an object is seen: their mean does
not converge to the truth. A Schmidt-Kalman filter (Schmidt 1966, "consider" states; Bar-Shalom et al., Estimation with
Applications to Tracking and Navigation, 2001) carries the covariance of its estimate with b without estimating b:
where the view changes, b averages out; where it does not, the covariance keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_CLIMB = 0.1  # vertical over horizontal velocity of what moves on the ground: slopes of up to 10 % (empirical)


@dataclass(frozen=True, eq=False)
class Estimate:
    """An estimated state with its error x~ = estimate - truth.

    state: (n,), the place (metres), for a moving object followed by the velocity (m/s). covariance: (n, n) of x~.
    shared: (n, 10), covariance of x~ with the constant errors, each in units of its standard deviation.
    """

    state: np.ndarray
    covariance: np.ndarray
    shared: np.ndarray


@dataclass(frozen=True, eq=False)
class MeasuredPlace:
    """A place on the ground with its errors.

    place: (3,), metres. errors: (3, 10), derivatives by errors in units of their standard deviation. noise: (3, 3),
    m^2, by the pixels.
    """

    place: np.ndarray
    errors: np.ndarray
    noise: np.ndarray


def begin(measured: MeasuredPlace, constant: np.ndarray, speed: float | None) -> Estimate:
    """Begin with one place.

    constant: (10,), shares of the errors that are constant. speed: m/s, standard deviation of each component of an
    unknown velocity; None: the object rests.
    """
    J = measured.errors
    size = 3 if speed is None else 6
    state, covariance, shared = np.zeros(size), np.zeros((size, size)), np.zeros((size, len(constant)))
    state[:3], covariance[:3, :3], shared[:3] = measured.place, J @ J.T + measured.noise, J * constant
    if speed is not None:
        covariance[3:, 3:] = speed**2 * np.diag([1.0, 1.0, _CLIMB**2])
    return Estimate(state, covariance, shared)


def predict(estimate: Estimate, seconds: float, acceleration: float) -> Estimate:
    """Predict a moving object: white acceleration, its spectral density the square of `acceleration`, m/s^1.5.

    One at rest stays as it is.
    """
    if len(estimate.state) == 3:
        return estimate
    F = np.eye(6)
    F[:3, 3:] = seconds * np.eye(3)
    axes = acceleration**2 * np.diag([1.0, 1.0, _CLIMB**2])
    Q = np.block([[seconds**3 / 3 * axes, seconds**2 / 2 * axes], [seconds**2 / 2 * axes, seconds * axes]])
    return Estimate(F @ estimate.state, F @ estimate.covariance @ F.T + Q, F @ estimate.shared)


def update(estimate: Estimate, measured: MeasuredPlace, constant: np.ndarray) -> tuple[Estimate, float]:
    """Return the estimate after one more place, and the log likelihood of that place."""
    J, P, C = measured.errors, estimate.covariance, estimate.shared
    crossed = C[:3] @ J.T
    S = P[:3, :3] - crossed - crossed.T + J @ J.T + measured.noise
    S = (S + S.T) / 2
    innovation = measured.place - estimate.state[:3]
    inverse = np.linalg.inv(S)
    K = (P[:, :3] - C @ J.T) @ inverse
    covariance = P - K @ S @ K.T
    after = Estimate(estimate.state + K @ innovation, (covariance + covariance.T) / 2, C + K @ (J * constant - C[:3]))
    likelihood = -0.5 * (innovation @ inverse @ innovation + np.log(np.linalg.det(S)))
    return after, float(likelihood)


def stopped(estimate: Estimate) -> Estimate:
    """Return the same place at rest."""
    return Estimate(estimate.state[:3], estimate.covariance[:3, :3], estimate.shared[:3])
