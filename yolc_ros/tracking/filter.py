"""A Kalman filter of constant velocity for many objects at once, in pixels of the newest image.

The state of an object is (x, y, vx, vy): its centre, pixels, and its velocity over the ground as the image shows it,
pixels/s. The motion of the camera is taken out by the homography from the image before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from yolc_ros.tracking.covariances import determinants, inverses

# In sizes of an object (the root of its area), so that they hold at every altitude. A car of 4.5 m x 1.8 m has the size
# 2.8 m: 5 sizes/s are 14 m/s, and 2 sizes/s^2 are twice what a hard braking car needs; pedestrians turn on the spot.
_FIRST_SPEED = 5.0  # standard deviation, sizes/s
_SLOW_SPEED = 1.0  # the same of objects that stand or walk, sizes/s (empirical)
_ACCELERATION = 2.0  # standard deviation, sizes/s^2
_BOX_ERROR = 0.05  # standard deviation of the centre of a detected box, sizes (empirical)
_PIXEL_ERROR = 1.5  # the same of small boxes, pixels (empirical)
_CAMERA_ERROR = 1.0  # of the homography from image to image, pixels (empirical)


@dataclass(frozen=True, eq=False)
class Motion:
    """State of N objects. mean: (N, 4), x, y in pixels, vx, vy in pixels/s. covariance: (N, 4, 4)."""

    mean: np.ndarray
    covariance: np.ndarray

    def __len__(self) -> int:
        return len(self.mean)

    def select(self, index: np.ndarray) -> Motion:
        """Select by a mask (N,) bool or by indices (M,) int."""
        return Motion(self.mean[index], self.covariance[index])


def first_motion(centres: np.ndarray, sizes: np.ndarray) -> Motion:
    """Begin with centres (N, 2) of boxes and unknown velocities. sizes: (N,), root of the area, pixels."""
    covariance = np.zeros((len(centres), 4, 4))
    covariance[:, [0, 1], [0, 1]] = _box_variance(sizes)[:, None]
    covariance[:, [2, 3], [2, 3]] = (_FIRST_SPEED * sizes[:, None]) ** 2
    return Motion(np.column_stack([centres, np.zeros_like(centres)]), covariance)


def concatenate(first: Motion, second: Motion) -> Motion:
    """Put two sets of objects behind each other."""
    return Motion(
        np.concatenate([first.mean, second.mean]),
        np.concatenate([first.covariance, second.covariance]),
    )


def move_camera(motion: Motion, homography: np.ndarray) -> tuple[Motion, np.ndarray]:
    """Carry the states to the next image; also returns by which factor sizes change, (N,).

    homography: (3, 3), from pixels of the image before to pixels of this one, for the ground. Velocities and
    covariances are carried by its derivative at the object.
    """
    x, y = motion.mean[:, 0], motion.mean[:, 1]
    u, v, w = homography @ np.stack([x, y, np.ones_like(x)])
    position = np.stack([u, v], axis=1) / w[:, None]
    # d(u / w) = (du - (u / w) dw) / w
    J = (homography[None, :2, :2] - position[:, :, None] * homography[None, 2:, :2]) / w[:, None, None]
    whole = np.zeros((len(motion), 4, 4))
    whole[:, :2, :2] = whole[:, 2:, 2:] = J
    velocity = np.einsum("nij,nj->ni", J, motion.mean[:, 2:])
    covariance = whole @ motion.covariance @ whole.transpose(0, 2, 1)
    covariance[:, [0, 1], [0, 1]] += _CAMERA_ERROR**2
    return Motion(np.column_stack([position, velocity]), covariance), np.sqrt(np.abs(determinants(J)))


def blur_position(motion: Motion, deviation: float) -> Motion:
    """Add an error to the positions, of a camera whose motion is unknown. deviation: standard deviation, pixels."""
    covariance = motion.covariance.copy()
    covariance[:, [0, 1], [0, 1]] += deviation**2
    return Motion(motion.mean, covariance)


def predict(motion: Motion, sizes: np.ndarray, seconds: float) -> Motion:
    """Let the objects move on. sizes: (N,), pixels."""
    step = np.eye(4)
    step[[0, 1], [2, 3]] = seconds
    # White acceleration that is constant over the step.
    push = np.array([[seconds**2 / 2, 0, seconds, 0], [0, seconds**2 / 2, 0, seconds]])
    noise = (_ACCELERATION * sizes[:, None, None]) ** 2 * (push.T @ push)
    return Motion(motion.mean @ step.T, step @ motion.covariance @ step.T + noise)


def innovation_covariance(motion: Motion, sizes: np.ndarray) -> np.ndarray:
    """Covariance (N, 2, 2) of a detected centre around the predicted one. sizes: (N,), pixels."""
    S = motion.covariance[:, :2, :2].copy()
    S[:, [0, 1], [0, 1]] += _box_variance(sizes)[:, None]
    return S


def slow_innovation_covariance(motion: Motion, sizes: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """As `innovation_covariance` of objects that are rather slow, detected once so far. seconds: (N,), since then.

    What the accelerations since have added to the variance of the velocity, at most (a t)^2 in t seconds, has moved the
    objects by less than t times as much, so it is not taken off.
    """
    S = innovation_covariance(motion, sizes)
    first_velocity = motion.covariance[:, 2:, 2:].copy()
    first_velocity[:, [0, 1], [0, 1]] -= (_ACCELERATION * sizes * seconds)[:, None] ** 2
    spared = 1.0 - (_SLOW_SPEED / _FIRST_SPEED) ** 2
    return S - spared * seconds[:, None, None] ** 2 * first_velocity


def correct(motion: Motion, centres: np.ndarray, sizes: np.ndarray) -> Motion:
    """Correct the states by the detected centres (N, 2) of boxes with sizes (N,), pixels."""
    S = innovation_covariance(motion, sizes)
    gain = motion.covariance[:, :, :2] @ inverses(S)
    mean = motion.mean + np.einsum("nij,nj->ni", gain, centres - motion.mean[:, :2])
    covariance = motion.covariance - gain @ S @ gain.transpose(0, 2, 1)
    return Motion(mean, (covariance + covariance.transpose(0, 2, 1)) / 2)


def _box_variance(sizes: np.ndarray) -> np.ndarray:
    return (_BOX_ERROR * sizes) ** 2 + _PIXEL_ERROR**2
