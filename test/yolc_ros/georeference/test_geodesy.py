"""The local frame against the radii of curvature of the ellipsoid."""

import builtins
import math

import numpy as np
import pytest

from perception_common.errors import InputError
from yolc_ros.georeference.geodesy import LocalFrame, check_geodesy

FRAME = LocalFrame(56.2, 10.2, 80.0)


def test_small_steps_are_those_of_the_radii_of_curvature():
    """Meridian radius M and transverse radius N of WGS 84 (Torge, Geodesy, 4.1)."""
    pytest.importorskip("pymap3d")
    a, e2, latitude = 6378137.0, 6.69437999014e-3, math.radians(56.2)
    w = math.sqrt(1 - e2 * math.sin(latitude) ** 2)
    M, N = a * (1 - e2) / w**3, a / w
    found = FRAME.to_geodetic(np.array([[0.0, 50.0, 0.0], [50.0, 0.0, 0.0], [0.0, 0.0, 7.0]]))
    north, east = math.degrees(50 / (M + 80)), math.degrees(50 / ((N + 80) * math.cos(latitude)))
    expected = np.array([[56.2 + north, 10.2, 80.0], [56.2, 10.2 + east, 80.0], [56.2, 10.2, 87.0]])
    np.testing.assert_allclose(found[:, :2], expected[:, :2], atol=1e-8)
    np.testing.assert_allclose(found[:, 2], expected[:, 2], atol=1e-3)


def test_places_go_to_degrees_and_back():
    pytest.importorskip("pymap3d")
    places = np.random.default_rng(0).uniform(-3000, 3000, (20, 3))
    np.testing.assert_allclose(FRAME.to_enu(*FRAME.to_geodetic(places).T), places, atol=1e-5)
    assert FRAME.to_geodetic(np.zeros((0, 3))).shape == (0, 3)


def test_a_missing_library_is_named(monkeypatch):
    known = builtins.__import__

    def without(name, *arguments, **options):
        if name == "pymap3d":
            raise ImportError(name)
        return known(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'pymap3d"):
        check_geodesy()
