"""Read a height grid, such as a digital elevation model as GeoTIFF, into the local frame. Needs rasterio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from perception_common.errors import InputError
from yolc_ros.georeference.geodesy import LocalFrame
from yolc_ros.georeference.ground import GridGround

REACH_M = 5000.0  # around the origin: the grid is cut to what a drone sees, and is near enough to a plane in ENU
_SAMPLES = 15  # places along each side, by which the cells of the grid are related to the local frame
_LARGEST_MISFIT = 0.5  # cells, of that relation


def check_height_grid(path: Path) -> None:
    """Raise InputError where rasterio is missing, and for a file that is no height grid."""
    with _open(path):
        pass


def read_height_grid(path: Path, frame: LocalFrame, zero_height: float = 0.0) -> GridGround:
    """Return the ground around the origin of the local frame.

    zero_height: of the grid's zero above the ellipsoid, metres: the geoid's, for heights above sea level. The
    curvature of the earth is not applied: 0.3 m at 2 km. Raises InputError for a file that cannot be used.
    """
    with _open(path) as grid:
        from rasterio.errors import WindowError
        from rasterio.warp import transform as to_other
        from rasterio.windows import Window, from_bounds

        side = np.linspace(-REACH_M, REACH_M, _SAMPLES)
        corners = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
        geodetic = frame.to_geodetic(np.column_stack([corners, np.zeros(len(corners))]))
        x, y = to_other("EPSG:4326", grid.crs, geodetic[:, 1].tolist(), geodetic[:, 0].tolist())
        try:
            window = from_bounds(min(x), min(y), max(x), max(y), grid.transform).round_offsets().round_lengths()
            window = window.intersection(Window(0, 0, grid.width, grid.height))
        except WindowError as error:
            raise InputError(
                f"{path}: the height grid does not cover {frame.latitude:.5f}, {frame.longitude:.5f}"
            ) from error
        heights = grid.read(1, window=window, masked=True).astype(np.float64).filled(np.nan)
        inverse = np.array(~grid.window_transform(window)).reshape(3, 3)[:2]
    if min(heights.shape) < 2 or not np.isfinite(heights).any():
        raise InputError(f"{path}: the height grid is empty around {frame.latitude:.5f}, {frame.longitude:.5f}")
    cells = np.column_stack([x, y, np.ones(len(x))]) @ inverse.T - 0.5  # values are those of the centres of cells
    to_cell, misfit = _affine(corners, cells)
    if misfit > _LARGEST_MISFIT:
        raise InputError(
            f"{path}: the cells of the height grid are no regular grid around the flight (off by {misfit:.1f} cells): "
            "reproject it, for example to the UTM zone, by gdalwarp"
        )
    return GridGround(heights + zero_height - frame.height, to_cell)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open a grid that names its coordinate system. Raises InputError, also for what rasterio refuses in the block."""
    if not path.is_file():
        raise InputError(f"{path}: no such height grid; give a GeoTIFF in height_grid, or leave it empty")
    try:
        import rasterio
    except ImportError as error:
        raise InputError(
            "height grids need rasterio, which is not installed: pip install 'rasterio==1.4.4', or the optional group "
            "georeference of this package"
        ) from error
    try:
        with rasterio.open(path) as grid:
            if grid.crs is None:
                raise InputError(
                    f"{path}: the height grid names no coordinate system; add one, for example by gdal_edit"
                )
            yield grid
    except rasterio.errors.RasterioError as error:
        raise InputError(f"{path}: cannot be read as a height grid: {error}") from error


def _affine(places: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit cells (N, 2) = A (x, y, 1) to places (N, 2); return A (2, 3) and the largest misfit, cells."""
    design = np.insert(places, 2, 1.0, axis=1)
    solution = np.linalg.lstsq(design, cells, rcond=None)[0]
    return solution.T, float(np.abs(design @ solution - cells).max())
