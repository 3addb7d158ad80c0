"""Lots where people live: houses with gardens, closed perimeter blocks, and towers."""

from __future__ import annotations

import math

import numpy as np

from flight_sim.city_map.elements import FACADES, Rectangle, corners_of, shrunk
from flight_sim.map_generation.draft import MapDraft
from flight_sim.map_generation.green import add_winding_path
from flight_sim.map_generation.parking_bays import add_parking_bays

_STOREY = 3.2  # metres, as in the facade textures


def fill_houses(draft: MapDraft, lot: Rectangle) -> None:
    """Plots in rows, each with a house where there is room; half of the houses share a facade."""
    rng = draft.rng
    draft.fill("lawn", lot)
    x0, y0, x1, y1 = shrunk(lot, 1.0)
    columns, rows = max(int((x1 - x0) / rng.uniform(17, 24)), 1), max(int((y1 - y0) / rng.uniform(22, 32)), 1)
    dx, dy = (x1 - x0) / columns, (y1 - y0) / rows
    wall = int(rng.integers(0, FACADES))
    for column in range(columns):
        for row in range(rows):
            plot = (x0 + column * dx, y0 + row * dy, x0 + (column + 1) * dx, y0 + (row + 1) * dy)
            _fence_plot(draft, plot)
            if dx >= 13.5 and dy >= 12.0:
                _build_house(draft, plot, (dx, dy), wall, street_side=1.0 if row % 2 else -1.0)
                _furnish_garden(draft, plot)


def _fence_plot(draft: MapDraft, plot: Rectangle) -> None:
    """Surround a plot with a fence or a hedge, and vary its ground."""
    rng = draft.rng
    corners = corners_of(plot)
    draft.stroke([*corners, corners[0]], 0.25, (112, 98, 78) if rng.random() < 0.6 else (74, 92, 54))
    if rng.random() < 0.4:
        draft.fill(str(rng.choice(["grass", "mown", "gravel", "soil"])), shrunk(plot, 0.6))


def _build_house(draft: MapDraft, plot: Rectangle, size: tuple[float, float], wall: int, street_side: float) -> None:
    """A house with its drive; `size` is that of the plot, `street_side` the sign of y towards the street."""
    rng = draft.rng
    dx, dy = size
    cx, cy = (plot[0] + plot[2]) / 2, (plot[1] + plot[3]) / 2
    length, width = rng.uniform(8.0, min(13.0, dx - 5.0)), rng.uniform(7.0, 9.5)
    yaw = float(rng.choice([0.0, math.pi / 2])) if dx > 16.0 else 0.0
    x, y = cx + rng.uniform(-1.0, 1.0), cy + rng.uniform(-2.0, 2.0)
    low, high = sorted((y, y + street_side * dy / 2))
    drive = (plot[0] + 0.8, low, plot[0] + 3.6, high)
    draft.fill(str(rng.choice(["pavement", "bricks", "gravel", "concrete"])), drive)
    draft.add_slot(plot[0] + 2.2, y + street_side * (dy / 2 - 4.0), street_side * math.pi / 2, "home", 0.65)
    roof = "gable" if rng.random() < 0.85 else "flat"
    height = float(rng.uniform(4.5, 8.5))
    draft.add_building((x + 1.5, y), (length, width), height, roof, yaw, wall if rng.random() < 0.5 else None)


def _furnish_garden(draft: MapDraft, plot: Rectangle) -> None:
    """Add a pool, trees and people to some of the gardens."""
    rng = draft.rng
    if rng.random() < 0.12:
        cx = (plot[0] + plot[2]) / 2
        pool = (cx, plot[1] + 1.5, cx + 6.0, plot[1] + 4.5)
        draft.fill("concrete", shrunk(pool, -0.8))
        middle = (pool[1] + pool[3]) / 2
        draft.stroke([(pool[0], middle), (pool[2], middle)], 3.0, (70, 160, 190))
    for _ in range(rng.poisson(2.2 * draft.style.trees)):
        corner = corners_of(shrunk(plot, 2.2))[rng.integers(4)] + rng.normal(0.0, 0.8, 2)
        draft.add_tree(float(corner[0]), float(corner[1]), size=0.7)
    if rng.random() < 0.15:
        draft.add_gathering(shrunk(plot, 2.0), 3.0, seated=0.5)


def fill_perimeter_block(draft: MapDraft, lot: Rectangle) -> None:
    """Buildings wall to wall along the border of the lot, around a court with trees or cars."""
    rng = draft.rng
    draft.fill(str(rng.choice(["concrete", "pavement", "old_asphalt"])), lot)
    depth = float(rng.uniform(10.0, 14.0))
    storeys = rng.integers(3, 7)
    roof = str(rng.choice(["flat", "gable"]))
    x0, y0, x1, y1 = shrunk(lot, 0.8)
    sides = [
        ((x0, y0 + depth / 2), (x1, y0 + depth / 2), 0.0),
        ((x0, y1 - depth / 2), (x1, y1 - depth / 2), 0.0),
        ((x0 + depth / 2, y0 + depth), (x0 + depth / 2, y1 - depth), math.pi / 2),
        ((x1 - depth / 2, y0 + depth), (x1 - depth / 2, y1 - depth), math.pi / 2),
    ]
    for begin, end, yaw in sides:
        length = math.dist(begin, end)
        position = 0.0
        while position < length - 7.0:
            chunk = min(float(rng.uniform(9.0, 18.0)), length - position)
            if length - position - chunk < 7.0:
                chunk = length - position
            if rng.random() < 0.92:
                t = (position + chunk / 2) / length
                centre = (begin[0] + t * (end[0] - begin[0]), begin[1] + t * (end[1] - begin[1]))
                height = _STOREY * float(storeys + rng.integers(-1, 2)) + 0.6
                draft.add_building(centre, (chunk, depth), height, roof if rng.random() < 0.85 else "flat", yaw)
            position += chunk
    court = shrunk(lot, depth + 3.0)
    if court[2] - court[0] > 12.0 and court[3] - court[1] > 12.0:
        if rng.random() < 0.5:
            draft.fill("lawn", court)
            draft.scatter_trees(court, 120.0)
        else:
            add_parking_bays(draft, court, float(rng.uniform(0.3, 0.9)), "car")


def fill_towers(draft: MapDraft, lot: Rectangle) -> None:
    """Towers on a lawn with paths and parking aprons."""
    rng = draft.rng
    draft.fill("lawn", lot)
    for _ in range(2):
        add_winding_path(draft, lot, 2.0, (176, 170, 160))
    x0, y0, x1, y1 = lot
    columns, rows = max(int((x1 - x0) / 42.0), 1), max(int((y1 - y0) / 38.0), 1)
    dx, dy = (x1 - x0) / columns, (y1 - y0) / rows
    yaw = float(rng.choice([0.0, math.pi / 2, rng.uniform(-0.4, 0.4)]))
    for column in range(columns):
        for row in range(rows):
            cx, cy = x0 + (column + 0.5) * dx, y0 + (row + 0.5) * dy
            if dy > 30.0 and rng.random() < 0.7:
                _add_apron(draft, (cx - 0.42 * dx, cy - 0.44 * dy, cx + 0.42 * dx, cy - 0.44 * dy + 6.0))
            if rng.random() < 0.85:
                size = (float(rng.uniform(14, min(24.0, 0.55 * min(dx, dy) + 6.0))), float(rng.uniform(11, 15)))
                draft.add_building((cx, cy + 4.0), size, _STOREY * float(rng.integers(5, 16)), "flat", yaw)
    draft.scatter_trees(lot, 50.0)
    draft.add_gathering(shrunk(lot, 3.0), 10.0 * draft.style.crowds, seated=0.3)


def _add_apron(draft: MapDraft, apron: Rectangle) -> None:
    """A row of parking bays across a strip of asphalt."""
    x0, y0, x1, _ = apron
    draft.fill("old_asphalt", apron)
    for x in np.arange(x0 + 1.3, x1 - 1.3, 2.6).tolist():
        draft.stroke([(x - 1.3, y0 + 0.3), (x - 1.3, y0 + 5.0)], 0.1)
        draft.add_slot(x, y0 + 2.7, float(draft.rng.choice([-1, 1])) * math.pi / 2, "car", 0.6)
