"""How much of the ground two keyframes have in common, as their poses and the uncertainty between them tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loftr_ros.loops.places import Place
from perception_common.geometry import so3_exp_each

SAMPLES = 32  # of the uncertain pose (empirical)
_GRID = 7  # points of the image in each direction (empirical)
_NORMAL = np.random.default_rng(0).normal(size=(SAMPLES, 6))  # the same for every pair, so that results repeat
_NORMAL = np.concatenate([np.zeros((1, 6)), _NORMAL[1:]])


def seen_point(place: Place) -> np.ndarray:
    """Return the point (3,) of the map on the optical axis at the depth of the scene, which must be known."""
    assert place.depth is not None
    return place.T_map_camera[:3, 3] + place.depth * place.T_map_camera[:3, 2]


def seen_radius(place: Place) -> float:
    """Return how far from `seen_point` the image reaches at the depth of the scene, in units of the map."""
    assert place.camera is not None
    assert place.depth is not None
    K = place.camera.rectified_matrix
    return place.depth * float(np.hypot(place.camera.width / K[0, 0], place.camera.height / K[1, 1])) / 2


def common_ground(
    older: Sequence[Place], newer: Place, T_older_newer: np.ndarray, covariances: np.ndarray
) -> np.ndarray:
    """Return the share of the newer image that each of N older ones sees, for SAMPLES draws of its pose, (N, SAMPLES).

    T_older_newer, covariances: (N, 4, 4) and (N, 6, 6) in ROS order, axes of the older cameras. The first draw is the
    pose itself. The scene is taken as a plane across the optical axis of the newer camera at its depth. Distortion is
    left out. All places must have a camera and a depth.
    """
    assert newer.camera is not None
    assert newer.depth is not None
    cameras = [place.camera for place in older if place.camera is not None]
    assert len(cameras) == len(older)
    values, vectors = np.linalg.eigh((covariances + covariances.transpose(0, 2, 1)) / 2)
    errors = _NORMAL * np.sqrt(np.maximum(values, 0.0))[:, None] @ vectors.transpose(0, 2, 1)
    u, v = np.meshgrid(
        *((np.arange(_GRID) + 0.5) / _GRID * side - 0.5 for side in (newer.camera.width, newer.camera.height))
    )
    rays = np.column_stack([u.ravel(), v.ravel(), np.ones(u.size)]) @ np.linalg.inv(newer.camera.rectified_matrix).T
    points = newer.depth * rays @ T_older_newer[:, :3, :3].transpose(0, 2, 1)
    turns = so3_exp_each(errors[..., 3:].reshape(-1, 3)).reshape(*errors.shape[:2], 3, 3)
    shifts = T_older_newer[:, None, None, :3, 3] + errors[:, :, None, :3]
    moved = points[:, None] @ turns.transpose(0, 1, 3, 2) + shifts
    K = np.stack([camera.rectified_matrix for camera in cameras])
    size = np.array([(camera.width, camera.height) for camera in cameras])[:, None, None]
    pixels = moved @ K[:, None].transpose(0, 1, 3, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        xy = pixels[..., :2] / pixels[..., 2:]
    inside = (moved[..., 2] > 0) & (xy >= -0.5).all(axis=-1) & (xy < size - 0.5).all(axis=-1)
    return inside.mean(axis=-1)
