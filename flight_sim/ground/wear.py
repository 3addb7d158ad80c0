"""Irregular details that give a matcher landmarks: wear of the streets, litter everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from flight_sim.city_map.elements import CityMap
from flight_sim.city_map.streets import Street
from flight_sim.subpixel import SUBPIXEL_BITS, fixed_point, window_around

_METRES_PER_MARK = 3.0  # of street length for each mark, besides wheel tracks
_WHEEL_TRACK = 0.8  # metres from the middle of a lane
_LITTER_SINGLE = 1500
_LITTER_GROUPS, _LITTER_IN_GROUP = 300, 8
_LITTER_RADIUS = 0.22  # metres, median


@dataclass(frozen=True)
class _WearMark:
    """A polyline (N, 2) and its width in metres along which the street's brightness changes by a factor."""

    points: np.ndarray
    width: float
    factor: float


def wear_streets(rng: np.random.Generator, raster: np.ndarray, city: CityMap, metres_per_pixel: float) -> None:
    """Draw wheel tracks, cracks, repairs and manhole covers on the streets."""
    marks = [mark for street in city.streets for mark in _street_marks(rng, street, city.side)]
    size = raster.shape[0]
    for mark in marks:
        pixels = mark.points / metres_per_pixel - 0.5
        margin = int(mark.width / metres_per_pixel) + 2
        window = window_around(pixels, size, size, before=margin, after=margin)
        if window is None:
            continue
        part = window.of(raster)
        mask = np.zeros(part.shape[:2], np.uint8)
        thickness = max(round(mark.width / metres_per_pixel), 1)
        line = fixed_point(pixels - window.origin)
        cv2.polylines(mask, [line], False, 255, thickness, cv2.LINE_8, SUBPIXEL_BITS)
        cv2.copyTo(cv2.convertScaleAbs(part, alpha=float(mark.factor)), mask, part)


def _street_marks(rng: np.random.Generator, street: Street, side: float) -> list[_WearMark]:
    """Wheel tracks on each lane, then random cracks, repairs and covers."""
    marks = []
    for sign in (-1.0, 1.0):
        for lane in range(street.lanes):
            for track in (-_WHEEL_TRACK, _WHEEL_TRACK):
                lateral = sign * (street.lane_centre(lane) + track)
                marks.append(_WearMark(street.line(side, lateral=lateral, start=0.0, stop=side), 0.55, 0.94))
    half = street.carriageway
    for _ in range(int(side / _METRES_PER_MARK)):
        along, lateral = rng.uniform(0.0, side), rng.uniform(-half, half)
        kind = rng.random()
        if kind < 0.4:
            start = street.point(side, lateral=lateral, along=along)
            crack = start + np.cumsum(rng.normal(0.0, 0.6, (8, 2)) + rng.normal(0.0, 0.5, 2), axis=0)
            marks.append(_WearMark(crack, 0.09, 0.72))
        elif kind < 0.7:
            repair = street.line(side, lateral=lateral, start=along, stop=along + rng.uniform(0.6, 7.0))
            marks.append(_WearMark(repair, rng.uniform(0.4, 1.8), rng.choice([0.8, 0.88, 1.12])))
        else:
            cover = street.line(side, lateral=lateral, start=along, stop=along + 0.65)
            marks.append(_WearMark(cover, 0.65, rng.choice([0.62, 0.75])))
    return marks


def scatter_litter(rng: np.random.Generator, raster: np.ndarray, metres_per_pixel: float) -> None:
    """Draw small spots everywhere, single and in groups: stains, leaves, stones, shrubs."""
    size = raster.shape[0]
    centres = rng.uniform(0.0, size, (_LITTER_GROUPS, 2))
    single = rng.uniform(0.0, size, (_LITTER_SINGLE, 2))
    grouped = (centres[:, None] + rng.normal(0, 25, (_LITTER_GROUPS, _LITTER_IN_GROUP, 2))).reshape(-1, 2)
    places = np.concatenate([single, grouped])
    count = len(places)
    radii = np.minimum(np.exp(rng.normal(math.log(_LITTER_RADIUS), 0.55, count)), 0.7) / metres_per_pixel
    factors = rng.choice([0.5, 0.68, 0.8, 1.25, 1.5], count, p=[0.2, 0.3, 0.25, 0.15, 0.1])
    tints = factors[:, None] * (1.0 + rng.normal(0.0, 0.06, (count, 3)))
    angles = np.sort(rng.uniform(0.0, 2.0 * np.pi, (count, 7)), axis=1)
    flattening = rng.uniform(0.4, 1.0, (count, 1))
    rings = radii[:, None, None] * np.stack([np.cos(angles), flattening * np.sin(angles)], axis=2)
    for place, ring, tint in zip(places, rings, tints, strict=True):
        x, y = np.clip(place, 0, size - 1).astype(int)
        colour = np.clip(raster[y, x] * tint, 0, 255).tolist()
        cv2.fillConvexPoly(raster, fixed_point(place + ring), colour, cv2.LINE_AA, SUBPIXEL_BITS)
