"""Rays that meet planes and grids of heights."""

import sys

import numpy as np
import pytest

from perception_common.errors import InputError
from yolc_ros.georeference.geodesy import LocalFrame
from yolc_ros.georeference.ground import FlatGround, GridGround
from yolc_ros.georeference.height_grid import check_height_grid, read_height_grid

TO_CELL = np.array([[0.1, 0.0, 20.0], [0.0, -0.1, 20.0]])  # cells of 10 m; row 0 in the north
RAYS = np.array([[0.3, 0.1, -1.0], [1.0, -0.5, -0.4], [0.0, 0.0, -2.0]])


def grid_of(function):
    rows, columns = np.mgrid[0:41, 0:41]
    return GridGround(function((columns - 20) * 10.0, (20 - rows) * 10.0), TO_CELL)


def test_a_level_grid_is_a_plane():
    origin = np.array([5.0, -7.0, 60.0])
    flat, normals = FlatGround(12.0).meet(origin, RAYS, 1e3)
    found, grid_normals = grid_of(lambda x, y: np.full_like(x, 12.0)).meet(origin, RAYS, 1e3)
    np.testing.assert_allclose(found, flat, rtol=1e-6)
    np.testing.assert_allclose(grid_normals, normals, atol=1e-9)


def test_a_sloped_grid_meets_rays_where_the_plane_does():
    """Plane z = 5 + 0.2 x - 0.1 y in closed form: s = (z0 + 0.2 x0 - 0.1 y0 + 5 - pz) / (dz - 0.2 dx + 0.1 dy)."""
    origin = np.array([3.0, 4.0, 50.0])
    factors, normals = grid_of(lambda x, y: 5 + 0.2 * x - 0.1 * y).meet(origin, RAYS, 1e3)
    expected = (5 + 0.2 * 3 - 0.1 * 4 - 50) / (RAYS[:, 2] - 0.2 * RAYS[:, 0] + 0.1 * RAYS[:, 1])
    np.testing.assert_allclose(factors, expected, rtol=1e-5)
    np.testing.assert_allclose(normals, [[-0.2, 0.1, 1.0]] * 3, atol=1e-6)


def test_the_first_slope_that_a_ray_meets_counts():
    ground = grid_of(lambda x, y: np.where(np.abs(x - 60) < 5, 30.0, 0.0))  # a wall across the ray
    factors, _ = ground.meet(np.array([0.0, 0.0, 40.0]), np.array([[1.0, 0.0, -0.25]]), 1e3)
    assert 50 < factors[0] < 61


def test_rays_that_leave_the_grid_or_go_up_meet_nothing():
    ground = grid_of(lambda x, y: np.zeros_like(x))
    rays = np.array([[1.0, 0.0, -0.01], [0.0, 0.0, 1.0]])
    assert np.isnan(ground.meet(np.array([0.0, 0.0, 40.0]), rays, 1e4)[0]).all()
    assert np.isnan(ground.height_at(np.array([[1e3, 0.0]])))


def test_planes_meet_only_rays_that_go_to_them():
    rays = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    factors, _ = FlatGround(2.0).meet(np.array([0.0, 0.0, 10.0]), rays, 1e3)
    np.testing.assert_array_equal(factors, [8.0, np.nan, np.nan])


def test_a_geotiff_becomes_a_grid_of_the_local_frame(tmp_path):
    """Heights that rise by latitude alone, so the height at a place is known by its latitude."""
    pytest.importorskip("pymap3d")
    rasterio = pytest.importorskip("rasterio")
    path, frame = tmp_path / "heights.tif", LocalFrame(56.2, 10.2, 80.0)
    step, size = 0.0002, 600
    latitudes = 56.2 + step * (size / 2 - 0.5 - np.arange(size))
    heights = np.tile(40 + 1000 * (latitudes[:, None] - 56.2), (1, size)).astype(np.float32)
    transform = rasterio.transform.from_origin(10.2 - step * size / 2, 56.2 + step * size / 2, step, step)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=size,
        height=size,
        count=1,
        dtype="float32",
        crs="EPSG:4326",
        transform=transform,
    ) as file:
        file.write(heights, 1)
    ground = read_height_grid(path, frame, zero_height=35.0)
    places = np.array([[0.0, 0.0, 0.0], [300.0, 900.0, 0.0], [-700.0, -400.0, 0.0]])
    expected = 40 + 1000 * (frame.to_geodetic(places)[:, 0] - 56.2) + 35.0 - 80.0
    np.testing.assert_allclose(ground.height_at(places), expected, atol=0.05)
    with pytest.raises(InputError, match=r"does not cover|empty"):
        read_height_grid(path, LocalFrame(10.0, 10.0, 0.0))


def test_a_file_that_is_no_height_grid_is_named(tmp_path):
    path = tmp_path / "heights.tif"
    with pytest.raises(InputError, match="no such height grid"):
        check_height_grid(path)
    pytest.importorskip("pymap3d")
    pytest.importorskip("rasterio")
    path.write_text("no picture")
    with pytest.raises(InputError, match="cannot be read"):
        check_height_grid(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_height_grid(path, LocalFrame(56.2, 10.2, 80.0))


def test_without_rasterio_the_remedy_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    path = tmp_path / "heights.tif"
    path.touch()
    with pytest.raises(InputError, match=r"pip install 'rasterio"):
        check_height_grid(path)
