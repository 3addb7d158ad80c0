"""The local frame: east, north, up (ENU) about an origin on the WGS 84 ellipsoid. The geodesy is pymap3d's."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from perception_common.errors import InputError


@dataclass(frozen=True)
class LocalFrame:
    """An ENU frame, metres. latitude, longitude: of its origin, degrees. height: of it above the ellipsoid, metres."""

    latitude: float
    longitude: float
    height: float

    def to_enu(
        self, latitude: np.ndarray | float, longitude: np.ndarray | float, height: np.ndarray | float
    ) -> np.ndarray:
        """Return places (..., 3), metres, of latitudes and longitudes, degrees, and heights, metres, each (...,)."""
        geodesy = _pymap3d()
        return np.stack(
            geodesy.geodetic2enu(latitude, longitude, height, self.latitude, self.longitude, self.height), axis=-1
        )

    def to_geodetic(self, places: np.ndarray) -> np.ndarray:
        """Return latitude, longitude (degrees) and height (metres), (N, 3), of places (N, 3), metres."""
        geodesy = _pymap3d()
        places = np.asarray(places, np.float64).reshape(-1, 3)
        if not len(places):
            return places
        return np.stack(geodesy.enu2geodetic(*places.T, self.latitude, self.longitude, self.height), axis=-1)


def check_geodesy() -> None:
    """Raise InputError where pymap3d is missing."""
    _pymap3d()


def _pymap3d() -> ModuleType:
    try:
        import pymap3d
    except ImportError as error:
        raise InputError(
            "positions on the ground need pymap3d, which is not installed: pip install 'pymap3d==3.2.0', or the "
            "optional group georeference of this package"
        ) from error
    return pymap3d
