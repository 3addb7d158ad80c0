"""What kind of place a scene is: a few numbers drawn from the seed, from farmland to a city centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Style:
    """Character of a place; lengths in metres, shares from 0 to 1."""

    urbanity: float
    blocks_x: int
    blocks_y: int
    lanes_x: int
    lanes_y: int
    median: float
    kerb_parking: bool
    pavement: float
    bend: float
    height_limit: float
    trees: float
    traffic: float
    crowds: float
    sun_elevation_deg: float
    sun_azimuth_deg: float
    shadow_strength: float
    green_axis: int
    lane_classes: tuple[float, ...]


# Shares of car, van, truck, bus, tricycle, awning-tricycle in traffic: rarer classes more often than in a real city, so
# that they are learned.
_TRAFFIC_SHARES = np.array([0.58, 0.12, 0.1, 0.08, 0.06, 0.06])


def sample_style(rng: np.random.Generator, height_limit: float, urbanity: float | None) -> Style:
    """Draw a style; buildings stay below `height_limit` metres; `urbanity` (0 farmland to 1 centre) if not None."""
    u = float(rng.beta(1.3, 1.0)) if urbanity is None else urbanity
    rural = u < 0.25
    blocks = 1 if rural else 2 if u < 0.5 else 3
    main_lanes = 1 if u < 0.45 else int(rng.integers(1, 4))
    return Style(
        urbanity=u,
        blocks_x=blocks + int(not rural and rng.random() < 0.5),
        blocks_y=blocks + int(not rural and rng.random() < 0.3),
        lanes_x=main_lanes,
        lanes_y=1 if u < 0.6 else int(rng.integers(1, 3)),
        median=float(rng.uniform(2.0, 5.0)) if main_lanes >= 2 and rng.random() < 0.5 else 0.0,
        kerb_parking=u > 0.35 and rng.random() < 0.7,
        pavement=0.0 if rural else float(rng.uniform(1.8, 4.5)),
        bend=float(rng.uniform(4.0, 14.0)) if rural else 0.0,
        height_limit=height_limit,
        trees=float(rng.uniform(0.2, 1.0)),
        traffic=float(rng.uniform(0.25, 1.0)) * (0.3 + 0.7 * u),
        crowds=float(rng.uniform(0.2, 1.0)) * (0.15 + 0.85 * u),
        sun_elevation_deg=float(rng.uniform(28.0, 72.0)),
        sun_azimuth_deg=float(rng.uniform(0.0, 360.0)),
        shadow_strength=float(rng.uniform(0.35, 0.62)) if rng.random() < 0.7 else float(rng.uniform(0.06, 0.2)),
        green_axis=int(rng.integers(2)),
        lane_classes=tuple(float(share) for share in rng.dirichlet(_TRAFFIC_SHARES * 14.0)),
    )
