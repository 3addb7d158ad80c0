"""From pixels to places on the ground, with the derivatives by all errors; and back.

A pixel has the ray r in the optical frame and d = R r in the world. It meets the ground, a surface with normal n, at
X = p + s d. Small changes of p, d and of the ground's height g move the place by

    dX = M (dp + s dd) + d n_z / (n . d) dg,    M = I - d n^T / (n . d),

and a rotation error e in the optical frame is dd = R (e x r). Where the ground was measured from the camera,
g = p_z - h. An error of the time moves the camera by its velocity and turns it by its rates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np

from perception_common.cameras.camera import Camera
from yolc_ros.georeference.camera_state import CameraState
from yolc_ros.georeference.errors import ATTITUDE, ERRORS, FOOTING, POSITION, TIME, VERTICAL, square_root

GRAZING_SIGMAS = 8.0
"""A ray must meet the ground at an angle of so many of its standard deviations. The error of the distance then is an
eighth of it, and the derivatives describe it (empirical, by the benchmark on other seeds than its figures)."""
SMALLEST_ANGLE = np.radians(1.0)  # between ray and ground, for attitudes that claim to be perfect (empirical)
_PIXEL = 0.5  # step of the derivative of rays by pixels


class Status(IntEnum):
    """Whether an object has a position: the constants of GroundObject.msg."""

    LOCATED = 0
    ABOVE_HORIZON = 1
    ATTITUDE_UNKNOWN = 2
    GROUND_UNKNOWN = 3
    POSITION_UNKNOWN = 4


@dataclass(frozen=True, eq=False)
class GroundPoints:
    """N places on the ground; NaN where the status is neither LOCATED nor POSITION_UNKNOWN.

    places: (N, 3), metres, ENU. errors: (N, 3, 10), metres: derivatives by the errors of `errors.py`, each in units of
    its standard deviation. noise: (N, 3, 3), m^2: covariance by the noise of the pixels. status: (N,) of `Status`.
    reasons: N texts, empty for LOCATED.
    """

    places: np.ndarray
    errors: np.ndarray
    noise: np.ndarray
    status: np.ndarray
    reasons: tuple[str, ...]

    @property
    def covariances(self) -> np.ndarray:
        """Covariances (N, 3, 3), m^2."""
        return self.errors @ np.swapaxes(self.errors, 1, 2) + self.noise

    @property
    def located(self) -> np.ndarray:
        """Which (N,) have a place."""
        return np.isfinite(self.places[:, 0])

    @classmethod
    def nowhere(cls, count: int, status: Status, reason: str) -> GroundPoints:
        """Return `count` points without places, all for the same reason."""
        return cls(
            np.full((count, 3), np.nan),
            np.full((count, 3, ERRORS), np.nan),
            np.full((count, 3, 3), np.nan),
            np.full(count, status),
            (reason,) * count,
        )


def project(
    state: CameraState,
    camera: Camera,
    pixels: np.ndarray,
    *,
    noise_px: float,
    footing_px: np.ndarray,
    max_range: float,
) -> GroundPoints:
    """Return the places on the ground of pixels (N, 2) of the original image, centres at integers.

    noise_px: standard deviation of each coordinate, new in each image. footing_px: (N,), that of the rule where in a
    box an object stands. max_range: metres of horizontal distance, beyond which no place is given.
    """
    pixels = np.asarray(pixels, np.float64).reshape(-1, 2)
    R = state.rotation
    rays, by_pixel = _rays(camera, pixels)
    d = rays @ R.T
    factors, normals = state.ground.meet(state.position, d, max_range)
    places = state.position + factors[:, None] * d
    with np.errstate(divide="ignore", invalid="ignore"):
        towards = np.sum(normals * d, axis=1)[:, None]
        M = np.eye(3) - d[:, :, None] * normals[:, None] / towards[..., None]
        by_height = d / towards  # normals have z 1
        by_direction = factors[:, None, None] * (M @ R)
        J = np.zeros((len(pixels), 3, ERRORS))
        J[:, :, ATTITUDE] = -by_direction @ _skews(rays)
        J[:, :, POSITION] = M
        J[:, :, VERTICAL] = -by_height if state.follows else by_height
        if state.follows:
            J[:, :, POSITION.stop - 1] += by_height
        J[:, :, TIME] = J[:, :, POSITION] @ state.velocity + J[:, :, ATTITUDE] @ (R.T @ state.rates)
        if state.follows:
            J[:, :, TIME] += J[:, :, VERTICAL] * state.velocity[2]
        J[:, :, : FOOTING.start] = J[:, :, : FOOTING.start] @ square_root(state.covariance)
        by_pixel = by_direction @ by_pixel
    J[:, :, FOOTING] = by_pixel * np.asarray(footing_px, np.float64)[:, None, None]
    noise = by_pixel @ np.swapaxes(by_pixel, 1, 2) * noise_px**2
    status, reasons = _judge(state, d, normals, places, max_range)
    lost = status != Status.LOCATED
    for values in (places, J, noise):
        values[lost] = np.nan
    if not state.has_position:
        status = np.where(lost, status, Status.POSITION_UNKNOWN)
        reasons = tuple(reason or "no position of the vehicle" for reason in reasons)
    return GroundPoints(places, J, noise, status, reasons)


def errors_at(state: CameraState, camera: Camera, points: GroundPoints, places: np.ndarray, **how: Any) -> GroundPoints:
    """Return the points with errors and noise as at better known places (N, 3), NaN where there is none.

    A place that an error moved away from the camera claims a larger covariance than one that it moved near. A filter
    that weighs places by them is drawn to the camera; one that takes the covariance where the object is, is not. how:
    arguments of `project`.
    """
    expected = project(state, camera, to_pixels(state, camera, places), **how)
    better = expected.located & points.located
    return replace(
        points,
        errors=np.where(better[:, None, None], expected.errors, points.errors),
        noise=np.where(better[:, None, None], expected.noise, points.noise),
    )


def to_pixels(state: CameraState, camera: Camera, places: np.ndarray) -> np.ndarray:
    """Return the pixels (N, 2) of the original image that show places (N, 3); NaN behind the camera."""
    points = (np.asarray(places, np.float64) - state.position) @ state.rotation @ camera.rotation.T
    with np.errstate(divide="ignore", invalid="ignore"):
        points = np.where(points[:, 2:] > 0, points / points[:, 2:], np.nan)
    K = camera.rectified_matrix
    pixels: np.ndarray = np.full((len(points), 2), np.nan)
    seen = np.isfinite(points[:, 0])
    pixels[seen] = camera.distort(points[seen, :2] * K[[0, 1], [0, 1]] + K[:2, 2])
    return pixels


def _rays(camera: Camera, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rays (N, 3) with z 1 in the camera's own axes, and their derivatives (N, 3, 2) by the pixel's x and y."""
    steps = np.array([[0.0, 0.0], [_PIXEL, 0.0], [-_PIXEL, 0.0], [0.0, _PIXEL], [0.0, -_PIXEL]])
    rays = np.insert(camera.rays((pixels + steps[:, None]).reshape(-1, 2)), 2, 1.0, axis=1)
    rays = rays @ camera.rotation  # from the axes of the rectified camera to its own
    rays = (rays / rays[:, 2:]).reshape(5, len(pixels), 3)
    return rays[0], np.stack([rays[1] - rays[2], rays[3] - rays[4]], axis=-1) / (2 * _PIXEL)


def _judge(
    state: CameraState, d: np.ndarray, normals: np.ndarray, places: np.ndarray, max_range: float
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the status (N,) of each ray, and in words why it has no place; empty where it has one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths = np.linalg.norm(normals, axis=1) * np.linalg.norm(d, axis=1)
        angles = np.arcsin(np.clip(-np.sum(normals * d, axis=1) / lengths, -1.0, 1.0))
        axes = (_skews(normals) @ d[..., None])[..., 0] @ state.rotation  # a rotation about it raises or lowers the ray
        axes /= np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), 1e-12)
        sigmas = np.sqrt(np.sum((axes @ state.covariance[ATTITUDE, ATTITUDE]) * axes, axis=1))
        distances = np.linalg.norm(places[:, :2] - state.position[:2], axis=1)
    found = []
    for ray, place, angle, sigma, distance in zip(d, places, angles, sigmas, distances, strict=True):
        status, reason = Status.ABOVE_HORIZON, ""
        if not np.isfinite(ray).all():
            reason = "the distortion of the camera has no inverse at this pixel"
        elif np.isnan(place).any() and ray[2] >= 0:
            reason = "the ray points above the horizon"
        elif np.isnan(place).any():
            status, reason = Status.GROUND_UNKNOWN, f"the ray meets no known ground within {max_range:g} m"
        elif angle < max(GRAZING_SIGMAS * sigma, SMALLEST_ANGLE):
            between = f"{np.degrees(angle):.1f} degrees, uncertain by {np.degrees(sigma):.1f}"
            reason = f"the ray grazes the ground: the angle between them is {between}"
        elif distance > max_range:
            reason = f"the ray meets the ground {distance:.0f} m away, beyond {max_range:g} m"
        else:
            status = Status.LOCATED
        found.append((status, reason))
    return np.array([status for status, _ in found], int), tuple(reason for _, reason in found)


def _skews(d: np.ndarray) -> np.ndarray:
    """Return the matrices (N, 3, 3) with skews(d) @ u = d x u."""
    matrices = np.zeros((len(d), 3, 3))
    matrices[:, 2, 1], matrices[:, 0, 2], matrices[:, 1, 0] = d.T
    return matrices - np.swapaxes(matrices, 1, 2)
