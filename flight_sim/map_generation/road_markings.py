"""What is painted and planted on the stretches of streets between crossings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from flight_sim.city_map.elements import Patch
from flight_sim.city_map.streets import PARKING_WIDTH, Street, free_stretches
from flight_sim.map_generation.draft import MapDraft

_WHITE = (222, 222, 216)
_YELLOW = (214, 180, 70)
_PARKING_BAY_LENGTH = 6.0  # metres along the kerb


@dataclass(frozen=True)
class _Stretch:
    """A street from `start` to `stop` metres along its axis, in a scene of period `side`."""

    street: Street
    side: float
    start: float
    stop: float

    def line(self, lateral: float) -> np.ndarray:
        """Points (N, 2) along the stretch."""
        return self.street.line(self.side, lateral=lateral, start=self.start, stop=self.stop)

    def strip(self, half: float, inset: float = 0.0) -> np.ndarray:
        """Outline (N, 2) of a strip around the centre line that ends `inset` metres before both ends."""
        return self.street.strip(self.side, half=half, start=self.start + inset, stop=self.stop - inset)

    def point(self, along: float, lateral: float) -> np.ndarray:
        """A point (2,) at `along` metres on the street's axis."""
        return self.street.point(self.side, lateral=lateral, along=along)

    @property
    def is_copy(self) -> bool:
        """Whether this is the periodic copy of a street; only the original gets objects, which repeat by themselves."""
        return self.street.offset > self.side - 1e-6


def mark_street(draft: MapDraft, street: Street, streets: tuple[Street, ...], side: float) -> None:
    """Paint the markings of a street, add its kerb parking and its trees; gravel tracks have none of them."""
    if street.surface == "gravel":
        return
    middle_colour = _YELLOW if draft.rng.random() < 0.35 else _WHITE
    has_zebra = street.pavement > 0.0
    gap = street.pavement + (6.0 if has_zebra else 1.0)
    for copy in street.periodic_copies(side):
        for start, stop in free_stretches(copy, streets, side, gap):
            spans = [(start, stop)] if stop <= side else [(start, stop), (start - side, stop - side)]
            for first, last in spans:
                _mark_stretch(draft, _Stretch(copy, side, first, last), middle_colour, has_zebra)


def _mark_stretch(draft: MapDraft, stretch: _Stretch, middle_colour: tuple[int, int, int], has_zebra: bool) -> None:
    _mark_middle(draft, stretch, middle_colour)
    for sign in (-1.0, 1.0):
        _mark_lanes(draft, stretch, sign)
        if has_zebra:
            _mark_stop_line(draft, stretch, sign)
    if has_zebra:
        _mark_zebras(draft, stretch)
    if stretch.street.parking:
        for sign in (-1.0, 1.0):
            _mark_parking(draft, stretch, sign)
    if not stretch.is_copy:
        _plant_trees(draft, stretch)


def _mark_middle(draft: MapDraft, stretch: _Stretch, colour: tuple[int, int, int]) -> None:
    """Paint a median with grass, a double line between several lanes, or a dashed line."""
    street = stretch.street
    if street.median > 0.0:
        draft.marks.append(Patch("concrete", stretch.strip(street.median / 2)))
        draft.marks.append(Patch("lawn", stretch.strip(street.median / 2 - 0.25, inset=0.3)))
    elif street.lanes >= 2:
        for lateral in (-0.12, 0.12):
            draft.stroke(stretch.line(lateral), 0.12, colour)
    else:
        draft.stroke(stretch.line(0.0), 0.14, colour, dash=(3.0, 4.5))


def _mark_lanes(draft: MapDraft, stretch: _Stretch, sign: float) -> None:
    """Paint the lines between the lanes of one direction, and the edge line."""
    street = stretch.street
    for lane in range(1, street.lanes):
        draft.stroke(stretch.line(sign * street.lane_edge(lane)), 0.15, _WHITE, dash=(4.0, 6.0))
    dash = (0.6, 0.6) if street.parking else None
    draft.stroke(stretch.line(sign * (street.lanes_edge - 0.12)), 0.13, _WHITE, dash)


def _mark_stop_line(draft: MapDraft, stretch: _Stretch, sign: float) -> None:
    street = stretch.street
    inner, outer = sorted((sign * street.median / 2, sign * street.lanes_edge))
    along = stretch.stop if street.drives_forward(sign) else stretch.start
    draft.stroke([stretch.point(along, inner + 0.2), stretch.point(along, outer - 0.2)], 0.4, _WHITE)


def _mark_zebras(draft: MapDraft, stretch: _Stretch) -> None:
    """Paint a pedestrian crossing beyond both ends."""
    half = stretch.street.carriageway
    for end, outward in ((stretch.start, -1.0), (stretch.stop, 1.0)):
        for lateral in np.arange(-half + 0.5, half - 0.3, 1.0).tolist():
            bar = [stretch.point(end + outward * distance, lateral) for distance in (1.2, 4.4)]
            draft.stroke(bar, 0.5, _WHITE)


def _mark_parking(draft: MapDraft, stretch: _Stretch, sign: float) -> None:
    """Paint the bays along one kerb, and add their slots."""
    street, side = stretch.street, stretch.side
    edge = street.lanes_edge
    yaw = (0.0 if street.drives_forward(sign) else math.pi) + (math.pi / 2 if street.axis == 1 else 0.0)
    occupancy = draft.rng.uniform(0.3, 0.95)
    for along in np.arange(stretch.start + 9.0, stretch.stop - 9.0, _PARKING_BAY_LENGTH).tolist():
        ends = [stretch.point(along, sign * (edge - 0.1)), stretch.point(along, sign * street.carriageway)]
        draft.stroke(ends, 0.1, _WHITE)
        middle = along + _PARKING_BAY_LENGTH / 2
        if 0.0 <= middle < side and not stretch.is_copy:
            x, y = stretch.point(middle, sign * (edge + PARKING_WIDTH / 2))
            draft.add_slot(x, y, yaw, "kerb", occupancy)


def _plant_trees(draft: MapDraft, stretch: _Stretch) -> None:
    """Plant rows of trees on a wide median and on wide pavements."""
    rng, street = draft.rng, stretch.street
    laterals = []
    if street.median > 1.5 and rng.random() < 0.6:
        laterals.append(0.0)
    if street.pavement > 2.4 and rng.random() < draft.style.trees:
        laterals += [street.carriageway + 0.8, -street.carriageway - 0.8]
    spacing = rng.uniform(7.0, 14.0)
    for lateral in laterals:
        for along in np.arange(stretch.start + 3.0, stretch.stop - 3.0, spacing).tolist():
            if 0.0 <= along < stretch.side and rng.random() < 0.85:
                x, y = stretch.point(along, lateral)
                draft.add_tree(float(x), float(y), size=0.75)
