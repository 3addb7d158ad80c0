"""Lots without buildings: fields, meadows, parks, lakes and sports grounds."""

from __future__ import annotations

import numpy as np

from flight_sim.city_map.elements import Patch, Rectangle, colour_of, corners_of, shrunk
from flight_sim.map_generation.draft import MapDraft


def fill_field(draft: MapDraft, lot: Rectangle) -> None:
    """A field with crops, the tracks of a tractor, and trees at one side."""
    rng = draft.rng
    x0, y0, x1, y1 = lot
    draft.fill("grass", lot)
    inner = shrunk(lot, float(rng.uniform(1.0, 3.0)))
    draft.fill(str(rng.choice([f"rows_{k}" for k in range(6)] + ["soil", "mown"])), inner)
    colour = colour_of(rng.uniform(0.8, 1.1) * np.array([138, 120, 92]))
    for lateral in (0.0, 1.8):
        x = x0 + 0.6 + lateral
        draft.stroke([(x, y0), (x, y1)], 0.5, colour)
    for _ in range(rng.poisson(5 * draft.style.trees)):
        draft.add_tree(x1 - 1.5, float(rng.uniform(y0, y1)))


def fill_meadow(draft: MapDraft, lot: Rectangle) -> None:
    """Grass with a path and few or many trees."""
    draft.fill("grass", lot)
    add_winding_path(draft, lot, 1.6, (150, 130, 100))
    draft.scatter_trees(lot, float(draft.rng.choice([15.0, 60.0, 160.0])))


def fill_park(draft: MapDraft, lot: Rectangle) -> None:
    """Lawn with paths, trees, people, and now and then a pond."""
    rng = draft.rng
    x0, y0, x1, y1 = lot
    draft.fill(str(rng.choice(["lawn", "mown", "grass"])), lot)
    for _ in range(int(rng.integers(1, 4))):
        width = float(rng.uniform(1.8, 3.0))
        add_winding_path(draft, lot, width, (186, 172, 148) if rng.random() < 0.6 else (140, 136, 132))
    if rng.random() < 0.35:
        _add_pond(draft, ((x0 + x1) / 2, (y0 + y1) / 2), 0.25 * min(x1 - x0, y1 - y0))
    draft.scatter_trees(lot, float(rng.uniform(40.0, 130.0)))
    draft.add_gathering(shrunk(lot, 4.0), 35.0 * draft.style.crowds + 3.0, seated=0.55)


def fill_lake(draft: MapDraft, lot: Rectangle) -> None:
    """A large pond with people and trees along one shore."""
    x0, y0, x1, y1 = lot
    draft.fill("sand" if draft.rng.random() < 0.4 else "grass", lot)
    _add_pond(draft, ((x0 + x1) / 2, (y0 + y1) / 2), 0.4 * min(x1 - x0, y1 - y0))
    draft.add_gathering((x0 + 2, y0 + 1, x1 - 2, y0 + 6), 15.0 * draft.style.crowds, seated=0.7)
    for x in np.arange(x0 + 3.0, x1 - 3.0, 9.0).tolist():
        if draft.rng.random() < draft.style.trees:
            draft.add_tree(float(x), y0 + 3.0)


def fill_sports_ground(draft: MapDraft, lot: Rectangle) -> None:
    """A pitch with its lines, players and a row of trees."""
    draft.fill("grass", lot)
    x0, y0, x1, y1 = shrunk(lot, 5.0)
    draft.fill(str(draft.rng.choice(["mown", "court"])), (x0, y0, x1, y1))
    pitch = shrunk((x0, y0, x1, y1), 2.0)
    _mark_pitch(draft, pitch)
    draft.add_gathering(pitch, 14.0, seated=0.05)
    draft.scatter_trees((x0 - 4, y0 - 4, x1 + 4, y0 - 1), 200.0, margin=0.5)


def _mark_pitch(draft: MapDraft, pitch: Rectangle) -> None:
    """Paint the border, the halfway line, the centre circle and both goal areas."""
    x0, y0, x1, y1 = pitch
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    border = corners_of(pitch)
    draft.stroke([*border, border[0]], 0.14)
    draft.stroke([(cx, y0), (cx, y1)], 0.14)
    angle = np.linspace(0, 2 * np.pi, 40)
    radius = min(x1 - x0, y1 - y0) * 0.14
    draft.stroke(np.stack([cx + radius * np.cos(angle), cy + radius * np.sin(angle)], axis=1), 0.14)
    for x, sign in ((x0, 1.0), (x1, -1.0)):
        front = x + sign * 1.5 * radius
        low, high = cy - 2 * radius, cy + 2 * radius
        draft.stroke([(x, low), (front, low), (front, high), (x, high)], 0.14)


def add_winding_path(draft: MapDraft, lot: Rectangle, width: float, colour: tuple[int, int, int]) -> None:
    """A path of a width in metres that winds through a lot along x or y."""
    rng = draft.rng
    x0, y0, x1, y1 = lot
    t = np.linspace(0.0, 1.0, 40)
    wave = 0.12 * np.sin(2 * np.pi * t * rng.uniform(0.6, 1.6) + rng.uniform(0, 6.28))
    ends = rng.uniform(0.25, 0.75, 2)
    across = np.clip(ends[0] * (1 - t) + ends[1] * t + wave, 0.06, 0.94)
    u, v = (t, across) if rng.random() < 0.5 else (across, t)
    draft.stroke(np.stack([x0 + u * (x1 - x0), y0 + v * (y1 - y0)], axis=1), width, colour)


def _add_pond(draft: MapDraft, centre: tuple[float, float], radius: float) -> None:
    """Water with a lumpy outline and a bare shore."""
    rng = draft.rng
    angle = np.arange(48) * 2 * np.pi / 48
    reach = radius * (1.0 + 0.15 * np.sin(2 * angle + rng.uniform(0, 6)) + 0.1 * np.sin(3 * angle + rng.uniform(0, 6)))
    ring = np.stack([reach * np.cos(angle), 0.8 * reach * np.sin(angle)], axis=1)
    draft.marks.append(Patch("sand" if rng.random() < 0.5 else "soil", ring * 1.07 + centre))
    draft.marks.append(Patch("water", ring + centre))
