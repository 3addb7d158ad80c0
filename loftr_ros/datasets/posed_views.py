"""Training pairs from two images with depth, intrinsics and poses."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from loftr_ros.datasets.photometric import PhotometricConfig, change_appearance
from loftr_ros.datasets.supervision import TrainingPair, depth_warp, true_matches


@dataclass(frozen=True)
class PosedView:
    """An image with depth, intrinsics and pose.

    image: (H, W) uint8 gray. depth: (H, W) metres along the optical axis, 0 or not finite where unknown. K: (3, 3)
    pixels, pixel centres at integers. T_camera_world: (4, 4), maps points of the world to the camera.
    """

    image: np.ndarray
    depth: np.ndarray
    K: np.ndarray
    T_camera_world: np.ndarray

    def fitted(self, width: int, height: int) -> PosedView:
        """Scale the view to cover width x height pixels, and crop the rest evenly on both sides."""
        rows, columns = self.image.shape
        scale = max(width / columns, height / rows)
        x = (columns - width / scale) / 2  # corner of the crop, pixels of this view
        y = (rows - height / scale) / 2
        A = np.array([[scale, 0, scale * (0.5 - x) - 0.5], [0, scale, scale * (0.5 - y) - 0.5], [0, 0, 1]])
        image = self.image
        if scale < 0.7:  # linear interpolation alone would alias
            image = cv2.GaussianBlur(image, (0, 0), 0.4 / scale)
        return PosedView(
            cv2.warpAffine(image, A[:2], (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
            cv2.warpAffine(self.depth.astype(np.float32), A[:2], (width, height), flags=cv2.INTER_NEAREST),
            A @ self.K,
            self.T_camera_world,
        )


def make_pair(
    view0: PosedView,
    view1: PosedView,
    stride: int,
    tolerance: float | None,
    photometric: PhotometricConfig,
    rng: np.random.Generator,
) -> TrainingPair:
    """Find the true matches of two views of one size, and augment their images.

    stride: of the coarse cells, pixels. tolerance: maximum relative difference of the depths in the two views; None:
    no comparison, as in the published training (see `depth_warp`).
    """
    T_1_0 = view1.T_camera_world @ np.linalg.inv(view0.T_camera_world)
    warp01 = depth_warp(view0.depth, view0.K, view1.depth, view1.K, T_1_0, tolerance)
    warp10 = depth_warp(view1.depth, view1.K, view0.depth, view0.K, np.linalg.inv(T_1_0), tolerance)
    height, width = view0.image.shape
    matches = true_matches(height, width, stride, warp01, warp10)
    images = [change_appearance(view.image, photometric, rng) for view in (view0, view1)]
    return TrainingPair(images[0], images[1], matches)
