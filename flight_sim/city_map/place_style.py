"""The character of a scene, from farmland to city centre: a few numbers drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LANE_CLASSES = ("car", "van", "truck", "bus", "tricycle", "awning-tricycle")
# Mean shares of LANE_CLASSES in traffic. Rare classes are over-represented so that a detector learns them.
_MEAN_SHARES = np.array([0.58, 0.12, 0.1, 0.08, 0.06, 0.06])
_SHARES_CONCENTRATION = 14.0  # of the Dirichlet distribution around the mean shares; empirical
_RURAL_BELOW = 0.25  # urbanity under which streets are tracks without pavement; empirical


@dataclass(frozen=True)
class PlaceStyle:
    """Character of a place; lengths in metres, shares from 0 to 1.

    `blocks_x`, `blocks_y`: number of blocks along x and y; `lanes_x`, `lanes_y`: lanes for each direction of the main
    street along x and y; `median`, `pavement`: widths; `bend`: amplitude by which streets swing to the side; `trees`,
    `traffic`, `crowds`: densities, as shares of the largest; `shadow_strength`: share of light that comes directly from
    the sun; `green_axis`: axis of the streets with green traffic lights; `lane_class_shares`: shares of LANE_CLASSES.
    """

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
    lane_class_shares: tuple[float, ...]

    @property
    def is_rural(self) -> bool:
        """Whether the place is farmland."""
        return self.urbanity < _RURAL_BELOW


def sample_style(rng: np.random.Generator, height_limit: float, urbanity: float | None) -> PlaceStyle:
    """Draw a style.

    `height_limit`: largest height of buildings and trees in metres; `urbanity`: 0 farmland to 1 city centre, None to
    draw it.
    """
    u = float(rng.beta(1.3, 1.0)) if urbanity is None else urbanity
    rural = u < _RURAL_BELOW
    blocks = 1 if rural else 2 if u < 0.5 else 3
    main_lanes = 1 if u < 0.45 else int(rng.integers(1, 4))
    return PlaceStyle(
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
        lane_class_shares=tuple(float(share) for share in rng.dirichlet(_MEAN_SHARES * _SHARES_CONCENTRATION)),
    )
