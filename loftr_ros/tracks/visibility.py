"""Which cameras see a point, by geometry: what a track could have, beside what it has. Occlusion is left out."""

from __future__ import annotations

import numpy as np

from loftr_ros.geometry.multiview import camera_points
from perception_common.cameras.camera import Camera
from perception_common.geometry import inverse

_MARGIN = 1e-6  # of rays, for rounding at the border


def visible_in(X: np.ndarray, T_world_camera: np.ndarray, camera: Camera) -> np.ndarray:
    """Whether a camera sees homogeneous world points (M, 4), (M,) bool: in front of it and inside its image."""
    seen = camera_points(X, np.broadcast_to(inverse(T_world_camera), (len(X), 1, 4, 4)))[:, 0]
    depth = np.where(seen[:, 2] > 0, seen[:, 2], np.nan)
    rays = seen[:, :2] / depth[:, None]
    low, high = _field_of_view(camera)  # beyond it, polynomials of a distortion may fold back into the image
    inside = ((rays >= low) & (rays <= high)).all(axis=1)
    pixels = np.full((len(X), 2), np.inf)
    pixels[inside] = project(rays[inside], camera)
    return np.all((pixels >= -0.5) & (pixels <= np.array([camera.width, camera.height]) - 0.5), axis=1)


def project(rays: np.ndarray, camera: Camera) -> np.ndarray:
    """Project rays x/z, y/z (N, 2) in the rectified camera's axes to pixels (N, 2) of the original image."""
    K = camera.rectified_matrix
    return camera.distort(rays @ K[:2, :2].T + K[:2, 2])


def _field_of_view(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest rays x/z, y/z (2,) of the corners and of the middles of the sides."""
    x, y = np.meshgrid(np.linspace(-0.5, camera.width - 0.5, 3), np.linspace(-0.5, camera.height - 0.5, 3))
    rays = camera.rays(np.column_stack([x.ravel(), y.ravel()]))
    rays = rays[np.isfinite(rays).all(axis=1)]
    return rays.min(axis=0, initial=np.inf) - _MARGIN, rays.max(axis=0, initial=-np.inf) + _MARGIN
