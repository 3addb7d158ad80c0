"""The camera in the world at the time of an image, and how well it is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from yolc_ros.georeference.ground import Ground


@dataclass(frozen=True, eq=False)
class CameraState:
    """Pose of the optical frame in the local ENU frame, the ground below, and the errors of both.

    position: (3,), metres. rotation: (3, 3), world from optical. ground: what rays are met with. follows: the ground
    was measured from the camera (a range finder), so that an error of the position's height moves both. covariance:
    (8, 8), of the errors of `errors.py` without the footing. velocity: (3,), m/s. rates: (3,), rad/s, axes of the
    world. has_position: False: the position is that above (0, 0).
    """

    position: np.ndarray
    rotation: np.ndarray
    ground: Ground
    follows: bool
    covariance: np.ndarray
    velocity: np.ndarray
    rates: np.ndarray
    has_position: bool = True
