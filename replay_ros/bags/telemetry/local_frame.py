"""Positions on the ellipsoid in a local frame: east, north and up of an origin (WGS 84)."""

from __future__ import annotations

import math

import numpy as np

# WGS 84 (NIMA TR8350.2, 3rd edition, table 3.1): semi-major axis in metres, and flattening.
SEMI_MAJOR_AXIS, FLATTENING = 6_378_137.0, 1 / 298.257223563
_ECCENTRICITY_2 = FLATTENING * (2.0 - FLATTENING)


def ecef(latitude: float, longitude: float, height: float) -> np.ndarray:
    """Return the earth-centred position (3,), metres, of degrees and a height above the ellipsoid in metres."""
    phi, lam = math.radians(latitude), math.radians(longitude)
    normal = SEMI_MAJOR_AXIS / math.sqrt(1.0 - _ECCENTRICITY_2 * math.sin(phi) ** 2)
    across = (normal + height) * math.cos(phi)
    along = (normal * (1.0 - _ECCENTRICITY_2) + height) * math.sin(phi)
    return np.array([across * math.cos(lam), across * math.sin(lam), along])


def east_north(latitude: float, longitude: float, origin: tuple[float, float]) -> tuple[float, float]:
    """Return metres to the east and north of an origin (latitude, longitude in degrees), both on the ellipsoid."""
    phi, lam = math.radians(origin[0]), math.radians(origin[1])
    offset = ecef(latitude, longitude, 0.0) - ecef(*origin, 0.0)
    east = np.array([-math.sin(lam), math.cos(lam), 0.0])
    north = np.array([-math.sin(phi) * math.cos(lam), -math.sin(phi) * math.sin(lam), math.cos(phi)])
    return float(east @ offset), float(north @ offset)
