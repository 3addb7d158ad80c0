"""Streets along x and y: their cross section, where they cross, and the stretches between crossings.

The world is periodic in x and y with the scene's side. The first street of each axis lies at 0, so lots never cross the
border of the scene, and streets continue into its next copy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

LANE_WIDTH = 3.3  # metres; typical of urban streets
PARKING_WIDTH = 2.3  # metres; a bay beside the kerb
_VERGE_WIDTH = 0.9  # metres; of gravel, beside streets without pavement


@dataclass(frozen=True)
class Street:
    """A street along x (axis 0) or y (axis 1), with right-hand traffic; lengths in metres.

    The centre line is at `offset` plus a periodic bend: a sine of amplitude `bend` and phase `phase` radians, with the
    period of the scene. `lanes` counts those of each direction; `median` and `pavement` are widths, 0 for none.
    """

    axis: int
    offset: float
    lanes: int
    median: float
    parking: bool
    pavement: float
    bend: float
    phase: float
    surface: str

    @property
    def lanes_edge(self) -> float:
        """Distance from the centre line to the outer edge of the outermost lane."""
        return self.lane_edge(self.lanes)

    @property
    def carriageway(self) -> float:
        """Half width from the centre line to the kerb."""
        return self.lanes_edge + (PARKING_WIDTH if self.parking else 0.0)

    @property
    def half_width(self) -> float:
        """Half width with the pavement."""
        return self.carriageway + self.pavement

    @property
    def outer_half_width(self) -> float:
        """Half width with the pavement, or with the verge of a street without pavement."""
        return self.half_width + (0.0 if self.pavement > 0.0 else _VERGE_WIDTH)

    def lane_edge(self, lane: int) -> float:
        """Distance from the centre line to the inner edge of a lane, counted from 0 at the centre line."""
        return self.median / 2 + lane * LANE_WIDTH

    def lane_centre(self, lane: int) -> float:
        """Distance from the centre line to the middle of a lane, counted from 0 at the centre line."""
        return self.median / 2 + (lane + 0.5) * LANE_WIDTH

    def drives_forward(self, sign: float) -> bool:
        """Whether traffic on the side of laterals of this sign (1: left of the axis) runs along the axis."""
        return (sign < 0) == (self.axis == 0)

    def bend_at(self, along: float, side: float) -> float:
        """Offset of the centre line by the bend at a position along the axis."""
        return self.bend * math.sin(2.0 * math.pi * along / side + self.phase)

    def line(self, side: float, *, lateral: float, start: float, stop: float) -> np.ndarray:
        """Points (N, 2) of a line parallel to the centre line in a scene of period `side`.

        `lateral`: metres to the left of the centre line; `start`, `stop`: positions along the axis.
        """
        count = 2 if self.bend == 0.0 else max(int(abs(stop - start) / 4.0), 2)
        along = np.linspace(start, stop, count)
        wave = 2.0 * np.pi * along / side + self.phase
        slope = self.bend * 2.0 * np.pi / side * np.cos(wave)
        norm = np.hypot(1.0, slope)
        across = self.offset + self.bend * np.sin(wave) + lateral / norm
        along = along - lateral * slope / norm
        return np.stack([along, across] if self.axis == 0 else [across, along], axis=1)

    def point(self, side: float, *, lateral: float, along: float) -> np.ndarray:
        """The point (2,) at a position along the axis, `lateral` metres to the left of the centre line."""
        return self.line(side, lateral=lateral, start=along, stop=along + 1e-3)[0]

    def strip(self, side: float, *, half: float, start: float, stop: float) -> np.ndarray:
        """Outline (N, 2) of a strip of half width `half` around the centre line."""
        left, right = (self.line(side, lateral=lateral, start=start, stop=stop) for lateral in (half, -half))
        return np.concatenate([left, right[::-1]])

    def periodic_copies(self, side: float) -> tuple[Street, ...]:
        """The street, and its copy at the opposite border if it reaches over the border at 0."""
        if self.offset - self.half_width - abs(self.bend) < 0.0:
            return (self, replace(self, offset=self.offset + side))
        return (self,)


def crossings(street: Street, streets: tuple[Street, ...], side: float) -> list[tuple[float, float]]:
    """Where other streets cross: (position on the axis in [0, side), half width of the crossing street), ascending."""
    return sorted(
        ((other.offset + other.bend_at(street.offset, side)) % side, other.carriageway)
        for other in streets
        if other.axis != street.axis
    )


def free_stretches(street: Street, streets: tuple[Street, ...], side: float, gap: float) -> list[tuple[float, float]]:
    """Stretches (start, stop) between crossings, `gap` metres away from the crossing kerbs; stop may exceed `side`."""
    at = crossings(street, streets, side)
    if not at:
        return [(0.0, side)]
    ends = [*at[1:], (at[0][0] + side, at[0][1])]
    stretches = [(a + wa + gap, b - wb - gap) for (a, wa), (b, wb) in zip(at, ends, strict=True)]
    return [(a, b) for a, b in stretches if b > a]
