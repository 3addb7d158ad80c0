"""Quarter turns of images, points, cells and cameras: exact, without interpolation.

`turns` counts quarter turns counter-clockwise, as `np.rot90` does; any integer, only its value modulo 4 matters. Sizes
are (width, height) of the image before it was turned, and pixel centres are at integers.
"""

from __future__ import annotations

import numpy as np

from perception_common.errors import InputError

TURNS = (0, 1, 2, 3)
_SKEW_FAULT = "a camera matrix with skew cannot be turned: rectify the image first"


def turn_image(image: np.ndarray, turns: int) -> np.ndarray:
    """Return the image (H, W) turned by `np.rot90`, contiguous; the image itself where nothing is turned."""
    # numpy takes a side of one pixel for contiguous whatever its stride, but torch refuses negative strides.
    return np.rot90(image, turns).copy() if turns % 4 else image


def turned_size(size: tuple[int, int], turns: int) -> tuple[int, int]:
    """Return (width, height) of the turned image."""
    return size if turns % 2 == 0 else (size[1], size[0])


def turn_points(points: np.ndarray, turns: int, size: tuple[int, int]) -> np.ndarray:
    """Map pixels (N, 2) of an image to those of the turned image, in their dtype."""
    turns %= 4
    if turns == 0:
        return points
    x, y = points[:, 0], points[:, 1]
    last_x, last_y = size[0] - 1, size[1] - 1
    if turns == 1:
        return np.stack([y, last_x - x], axis=1)
    if turns == 2:
        return np.stack([last_x - x, last_y - y], axis=1)
    return np.stack([last_y - y, x], axis=1)


def turn_points_back(points: np.ndarray, turns: int, size: tuple[int, int]) -> np.ndarray:
    """Map pixels (N, 2) of the turned image back to the image before it; size: of that image."""
    return turn_points(points, -turns, turned_size(size, turns))


def turn_cells_back(
    cells: np.ndarray, turns: int, grid: tuple[int, int], columns_turned: int, columns: int
) -> np.ndarray:
    """Map cells (N,) of the turned image's grid, row-major, to the cells of the image before it.

    grid: (columns, rows) that the image before the turn covers. columns_turned, columns: length of a row of both grids;
    padding makes it longer than what the image covers.
    """
    if turns % 4 == 0:
        return cells
    places = np.stack([cells % columns_turned, cells // columns_turned], axis=1)
    x, y = turn_points_back(places, turns, grid).T
    return y * columns + x


def turn_rotation(turns: int) -> np.ndarray:
    """Return the rotation (3, 3) that maps points of the camera to those of the camera whose image is turned."""
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[turns % 4]
    return np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]], np.float64)


def turn_matrix(turns: int, size: tuple[int, int]) -> np.ndarray:
    """Return the matrix (3, 3) from homogeneous pixels of an image to those of the turned image."""
    matrix = turn_rotation(turns)
    matrix[:2, 2] = turn_points(np.zeros((1, 2)), turns, size)[0]
    return matrix


def turn_camera_matrix(K: np.ndarray, turns: int, size: tuple[int, int]) -> np.ndarray:
    """Return K (3, 3) of the turned image. Raises InputError where K has skew."""
    if turns % 4 and K[0, 1] != 0:
        raise InputError(_SKEW_FAULT)
    return turn_matrix(turns, size) @ K @ turn_rotation(turns).T
