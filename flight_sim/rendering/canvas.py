"""The buffers of a rendering while they are drawn into, and the view that they belong to."""

from __future__ import annotations

import math

import numpy as np

from flight_sim.camera import PinholeCamera, world_to_camera
from flight_sim.rendering.buffers import GROUND

FARTHEST_M = 450.0  # buildings, trees and objects are drawn up to this distance over ground
NEAR_M = 0.3  # depth of the near clipping plane


class Canvas:
    """The image, the face of each pixel, and the table of faces; face 0 is the ground."""

    def __init__(self, camera: PinholeCamera, pose: np.ndarray) -> None:
        self.camera = camera
        self.pose = pose
        self.rotation = pose[:3, :3].T
        self.centre = pose[:3, 3]
        self.inverse_K = np.linalg.inv(camera.matrix)
        self.image = np.empty((camera.height, camera.width, 3), np.uint8)
        self.faces = np.zeros((camera.height, camera.width), np.int32)
        self.planes: list[np.ndarray] = []
        self.owners: list[np.ndarray] = []
        self.face_count = 0
        self.add_faces(np.array([[0.0, 0.0, 1.0]]), np.zeros((1, 3)), np.array([GROUND]))

    def add_faces(self, normals: np.ndarray, points: np.ndarray, owners: np.ndarray) -> int:
        """Add faces with world normals (N, 3) through points (N, 3), of instances (N,); returns the first's index."""
        first = self.face_count
        distance = np.einsum("ij,ij->i", normals, points - self.centre)
        self.planes.append((normals @ self.pose[:3, :3] @ self.inverse_K) / distance[:, None])
        self.owners.append(np.asarray(owners, np.int32))
        self.face_count += len(normals)
        return first

    def sees(self, points: np.ndarray, radius: np.ndarray) -> np.ndarray:
        """(N,) bool: whether spheres around world points (N, 3) intersect the view frustum."""
        camera = self.camera
        x, y, z = world_to_camera(points, self.pose).T
        distance = np.hypot(points[:, 0] - self.centre[0], points[:, 1] - self.centre[1])
        inside = (z > NEAR_M - radius) & (distance < FARTHEST_M)
        borders = (
            (x, camera.fx, camera.cx + 0.5),
            (-x, camera.fx, camera.width - 0.5 - camera.cx),
            (y, camera.fy, camera.cy + 0.5),
            (-y, camera.fy, camera.height - 0.5 - camera.cy),
        )
        for offset, focal, reach in borders:
            inside &= focal * offset + reach * z > -radius * math.hypot(focal, reach)
        return inside
