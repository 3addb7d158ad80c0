"""What rendering produces: the image, the face of each pixel, and the objects in view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GROUND, BUILDING, TREE = 0, -1, -2  # instances of pixels that show no object


@dataclass(frozen=True)
class RenderedObjects:
    """The M objects of the population in a rendering.

    `objects` (M,): indices into the population; `ids` (M,) int32: instances; `vertices`: world points (V, 3) of each;
    `whole_px` (M,): pixels that each would have if no other object, tree or building were in front of it; `position`
    (M, 2) metres; `yaw` (M,) radians.
    """

    objects: np.ndarray
    ids: np.ndarray
    vertices: tuple[np.ndarray, ...]
    whole_px: np.ndarray
    position: np.ndarray
    yaw: np.ndarray


@dataclass(frozen=True)
class RenderBuffers:
    """The view of a pinhole camera: `image` (H, W, 3) uint8 RGB and `faces` (H, W) int32, the face of each pixel.

    `planes` (F, 3) float64: the inverse depth of a face, which is affine in the pixel, is planes @ (u, v, 1); `owners`
    (F,) int32: the instance of each face (GROUND, BUILDING, TREE or an object's id). Face 0 is the ground; it is the
    sky where its inverse depth is not positive.
    """

    image: np.ndarray
    faces: np.ndarray
    planes: np.ndarray
    owners: np.ndarray
    drawn: RenderedObjects
