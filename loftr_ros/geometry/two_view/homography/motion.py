"""Motions that explain a homography: a pose and a plane, or a pure rotation.

Model: x0 ~ H x1 with H = R + t n' / d (docs/homography.md, sections 1 and 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.rays import RayPairs, kept_for_last
from loftr_ros.geometry.sphere import move_direction, tangent_basis
from loftr_ros.geometry.two_view.essential import ROTATION_GENERATORS
from loftr_ros.geometry.two_view.homography.sampson import (
    Transfer,
    homography_gradient,
    homography_jacobian,
)
from perception_common.geometry import so3_exp


@dataclass(frozen=True, eq=False)
class PlaneMotion:
    """A pose and a plane that explain a homography, H = rotation + translation plane'.

    rotation: (3, 3). translation: (3,) of length 1. plane: (3,) n / d in the newer camera, plane' p1 = 1, in units of
    the translation; its length is the baseline over the distance of the plane, 0 for a pure rotation.
    A step is (w, b, m), 8 numbers: rotation exp(w) rotation; translation moved by b in its tangent_basis; plane + m.
    """

    rotation: np.ndarray
    translation: np.ndarray
    plane: np.ndarray

    @property
    def homography(self) -> np.ndarray:
        """H (3, 3) with x0 ~ H x1."""
        return self.rotation + np.outer(self.translation, self.plane)

    def steps_of(self, other: PlaneMotion) -> np.ndarray:
        """Matrix (8, 8) from steps of another motion with the same homography to steps of this one."""
        return np.linalg.lstsq(self.tangents.reshape(8, 9).T, other.tangents.reshape(8, 9).T, rcond=None)[0]

    @property
    def tangents(self) -> np.ndarray:
        """Derivative (8, 3, 3) of the homography by a step."""
        shifts = tangent_basis(self.translation).T[:, :, None] * self.plane
        tilts = self.translation[:, None] * np.eye(3)[:, None]
        return np.concatenate([ROTATION_GENERATORS @ self.rotation, shifts, tilts])

    def residuals(self, pairs: RayPairs) -> np.ndarray:
        """Residuals (N, 2) of the homography, pixels."""
        return self._transfer(pairs).residuals.T

    def jacobian(self, pairs: RayPairs) -> np.ndarray:
        """Derivative (N, 2, 8) of the residuals by a step."""
        return homography_jacobian(pairs, self._transfer(pairs), self.tangents)

    def gradient(self, pairs: RayPairs, weights: np.ndarray) -> np.ndarray:
        """Half the derivative (8,) of the weighted sum of squared residuals by a step."""
        return homography_gradient(pairs, self._transfer(pairs), self.tangents, weights)

    def moved(self, step: np.ndarray) -> PlaneMotion:
        """The motion after a step (8,)."""
        return PlaneMotion(
            so3_exp(step[:3]) @ self.rotation, move_direction(self.translation, step[3:5]), self.plane + step[5:]
        )

    @kept_for_last
    def _transfer(self, pairs: RayPairs) -> Transfer:
        return Transfer.of(pairs, self.homography)


@dataclass(frozen=True, eq=False)
class RotationMotion:
    """A rotation (3, 3) without translation: H = rotation. A step is w (3,): exp(w) rotation."""

    rotation: np.ndarray

    def residuals(self, pairs: RayPairs) -> np.ndarray:
        """Residuals (N, 2) of the homography, pixels."""
        return self._transfer(pairs).residuals.T

    def jacobian(self, pairs: RayPairs) -> np.ndarray:
        """Derivative (N, 2, 3) of the residuals by a step."""
        return homography_jacobian(pairs, self._transfer(pairs), ROTATION_GENERATORS @ self.rotation)

    def gradient(self, pairs: RayPairs, weights: np.ndarray) -> np.ndarray:
        """Half the derivative (3,) of the weighted sum of squared residuals by a step."""
        return homography_gradient(pairs, self._transfer(pairs), ROTATION_GENERATORS @ self.rotation, weights)

    def moved(self, step: np.ndarray) -> RotationMotion:
        """The rotation after a step (3,)."""
        return RotationMotion(so3_exp(step) @ self.rotation)

    @kept_for_last
    def _transfer(self, pairs: RayPairs) -> Transfer:
        return Transfer.of(pairs, self.rotation)
