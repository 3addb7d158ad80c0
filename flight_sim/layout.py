"""The map of a scene as vectors: streets, what lies on each lot, buildings, trees, and the places where people and
vehicles are.

The world is periodic in x and y with the scene's side. Streets lie along x and y, the first of each at 0, so that lots
never cross the border and streets go on into the next copy of the scene.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from flight_sim.style import Style

LANE_WIDTH = 3.3
PARKING_WIDTH = 2.3


@dataclass(frozen=True)
class Patch:
    """A polygon (N, 2) in metres filled with a ground material."""

    material: str
    polygon: np.ndarray


@dataclass(frozen=True)
class Stroke:
    """A painted line: points (N, 2) and width in metres, RGB colour, optional dash as (on, off) metres."""

    points: np.ndarray
    width: float
    colour: tuple[int, int, int]
    dash: tuple[float, float] | None = None


@dataclass(frozen=True)
class Building:
    """An upright box from `base` to `top` metres over a turned rectangle; `roof` is "flat" or "gable" (ridge `ridge` m
    above `top`).
    """

    x: float
    y: float
    yaw: float
    length: float
    width: float
    base: float
    top: float
    roof: str
    ridge: float
    wall: int
    cover: int
    parent: int = -1

    @property
    def height(self) -> float:
        """Highest point in metres."""
        return self.top + self.ridge


@dataclass(frozen=True)
class Tree:
    """A tree: where, its height and crown diameter in metres, its shape and its RGB colour."""

    x: float
    y: float
    height: float
    crown: float
    shape: int
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Slot:
    """A place for a standing vehicle (heading `yaw`), taken with probability `occupancy` by something of `kind`."""

    x: float
    y: float
    yaw: float
    kind: str
    occupancy: float


@dataclass(frozen=True)
class Gathering:
    """A rectangle (x0, y0, x1, y1) in metres with about `count` people in clusters; `seated` is the share that sits or
    lies.
    """

    area: tuple[float, float, float, float]
    count: float
    seated: float


@dataclass(frozen=True)
class Street:
    """A street along x (axis 0) or y (axis 1): centre line at `offset` plus a periodic bend, and its cross section in
    metres.
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
    def carriageway(self) -> float:
        """Half width from the centre line to the kerb."""
        return self.median / 2 + self.lanes * LANE_WIDTH + (PARKING_WIDTH if self.parking else 0.0)

    @property
    def half_width(self) -> float:
        """Half width with the pavement."""
        return self.carriageway + self.pavement

    def line(self, side: float, lateral: float, start: float, stop: float) -> np.ndarray:
        """Points (N, 2) parallel to the centre line, `lateral` metres to its left, from `start` to `stop` along the
        axis.
        """
        count = 2 if self.bend == 0.0 else max(int(abs(stop - start) / 4.0), 2)
        along = np.linspace(start, stop, count)
        wave = 2.0 * np.pi * along / side + self.phase
        slope = self.bend * 2.0 * np.pi / side * np.cos(wave)
        norm = np.hypot(1.0, slope)
        across = self.offset + self.bend * np.sin(wave) + lateral / norm
        along = along - lateral * slope / norm
        return np.stack([along, across] if self.axis == 0 else [across, along], axis=1)


@dataclass(frozen=True)
class CityMap:
    """Everything that a scene is made of, before it is painted and populated.

    `lots` and then `roads` are what is painted on the ground, in this order.
    """

    side: float
    streets: tuple[Street, ...]
    lots: tuple[Patch | Stroke, ...]
    roads: tuple[Patch | Stroke, ...]
    buildings: tuple[Building, ...]
    trees: tuple[Tree, ...]
    slots: tuple[Slot, ...]
    gatherings: tuple[Gathering, ...]


Rectangle = tuple[float, float, float, float]


@dataclass
class _Draft:
    """What the lots add to while the map is drawn."""

    rng: np.random.Generator
    style: Style
    green: np.ndarray
    marks: list[Patch | Stroke] = field(default_factory=list)
    buildings: list[Building] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    gatherings: list[Gathering] = field(default_factory=list)

    def fill(self, material: str, rectangle: Rectangle) -> None:
        self.marks.append(Patch(material, corners_of(rectangle)))

    def stroke(
        self,
        points: object,
        width: float,
        colour: tuple[int, int, int] = (225, 225, 220),
        dash: tuple[float, float] | None = None,
    ) -> None:
        self.marks.append(Stroke(np.asarray(points, np.float64), width, colour, dash))

    def tree(self, x: float, y: float, size: float = 1.0) -> None:
        rng = self.rng
        height = float(np.clip(rng.lognormal(math.log(6.5), 0.35), 3.0, 13.0)) * size
        colour = self.green * rng.uniform(0.7, 1.25) + rng.normal(0.0, 7.0, 3)
        if rng.random() < 0.04:
            colour = np.array([170.0, 120.0, 60.0]) * rng.uniform(0.8, 1.1)
        shape = int(rng.integers(0, 6)) if rng.random() < 0.5 else int(rng.integers(0, 4))
        height = min(height, self.style.height_limit)
        self.trees.append(
            Tree(x, y, height, height * float(rng.uniform(0.65, 1.05)), shape, (colour[0], colour[1], colour[2]))
        )

    def scatter_trees(self, rectangle: Rectangle, per_hectare: float, margin: float = 3.0) -> None:
        x0, y0, x1, y1 = shrunk(rectangle, margin)
        if x1 <= x0 or y1 <= y0:
            return
        count = self.rng.poisson(per_hectare * self.style.trees * (x1 - x0) * (y1 - y0) / 1e4)
        centres = self.rng.uniform((x0, y0), (x1, y1), (max(count // 6, 1), 2))
        for _ in range(count):
            near = centres[self.rng.integers(len(centres))] + self.rng.normal(0.0, 6.0, 2)
            point = near if self.rng.random() < 0.6 else self.rng.uniform((x0, y0), (x1, y1))
            x, y = np.clip(point, (x0, y0), (x1, y1))
            self.tree(float(x), float(y))

    def building(
        self,
        centre: tuple[float, float],
        size: tuple[float, float],
        height: float,
        roof: str,
        yaw: float = 0.0,
        wall: int | None = None,
    ) -> None:
        """A building with what stands on its flat roof; never higher than the style allows."""
        rng = self.rng
        height = min(height, self.style.height_limit)
        ridge = min(0.28 * size[1] * float(rng.uniform(0.8, 1.3)), 0.4 * height) if roof == "gable" else 0.0
        wall = int(rng.integers(0, 8)) if wall is None else wall
        cover = int(rng.integers(0, 6))
        index = len(self.buildings)
        self.buildings.append(Building(*centre, yaw, *size, 0.0, height - ridge, roof, ridge, wall, cover))
        if roof == "flat" and min(size) > 9.0:
            for _ in range(rng.integers(0, 4)):
                sx, sy = rng.uniform(1.5, 0.3 * size[0]), rng.uniform(1.5, 0.3 * size[1])
                dx, dy = rng.uniform(-0.3, 0.3) * size[0], rng.uniform(-0.3, 0.3) * size[1]
                x = centre[0] + dx * math.cos(yaw) - dy * math.sin(yaw)
                y = centre[1] + dx * math.sin(yaw) + dy * math.cos(yaw)
                top = height + float(rng.uniform(0.8, 2.8))
                self.buildings.append(Building(x, y, yaw, sx, sy, height, top, "flat", 0.0, wall, cover, index))


def corners_of(rectangle: Rectangle) -> np.ndarray:
    """(4, 2) corners of (x0, y0, x1, y1)."""
    x0, y0, x1, y1 = rectangle
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def shrunk(rectangle: Rectangle, margin: float) -> Rectangle:
    """The rectangle less a margin on each side."""
    x0, y0, x1, y1 = rectangle
    return (x0 + margin, y0 + margin, x1 - margin, y1 - margin)


def draw_map(rng: np.random.Generator, style: Style, side: float, built: bool = True) -> CityMap:
    """Draw the map of a place; with `built` False: only open ground with trees."""
    green = np.array([70.0, 100.0, 48.0]) * rng.uniform(0.75, 1.15) + rng.normal(0.0, 6.0, 3)
    draft = _Draft(rng, style, green)
    if not built:
        whole = (0.0, 0.0, side, side)
        draft.fill("grass", whole)
        draft.scatter_trees(whole, 20.0)
        return _finished(draft, side, (), len(draft.marks))
    streets = _streets(rng, style, side)
    for lot in _lots(rng, streets, side):
        _LAND_USES[_choose_use(rng, style, lot)](draft, lot)
    _clear_streets(draft, streets, side)
    painted = len(draft.marks)
    for draw in (_draw_verges, _draw_kerbs, _draw_carriageway):
        for street in streets:
            draw(draft, street, side)
    for street in streets:
        _draw_markings(draft, street, streets, side)
    return _finished(draft, side, streets, painted)


def _finished(draft: _Draft, side: float, streets: tuple[Street, ...], painted: int) -> CityMap:
    """The map; the first `painted` marks belong to the lots."""
    return CityMap(
        side,
        streets,
        tuple(draft.marks[:painted]),
        tuple(draft.marks[painted:]),
        tuple(draft.buildings),
        tuple(draft.trees),
        tuple(draft.slots),
        tuple(draft.gatherings),
    )


# Streets


def _streets(rng: np.random.Generator, style: Style, side: float) -> tuple[Street, ...]:
    streets = []
    for axis, count, lanes in ((0, style.blocks_y, style.lanes_x), (1, style.blocks_x, style.lanes_y)):
        for index in range(count):
            offset = 0.0 if index == 0 else side * (index + float(rng.uniform(-0.16, 0.16))) / count
            main = index == 0
            own_lanes = lanes if main else max(1, lanes - int(rng.integers(0, 2)))
            track = style.urbanity < 0.25 and axis != style.green_axis
            streets.append(
                Street(
                    axis,
                    offset,
                    1 if track else own_lanes,
                    style.median if own_lanes >= 2 else 0.0,
                    style.kerb_parking and not track,
                    style.pavement,
                    style.bend,
                    float(rng.uniform(0.0, 2.0 * np.pi)),
                    "gravel" if track else str(rng.choice(["asphalt", "asphalt", "old_asphalt"])),
                )
            )
    return tuple(streets)


def crossings(street: Street, streets: tuple[Street, ...], side: float) -> list[tuple[float, float]]:
    """Where other streets cross: (position along the axis, half width of the crossing street), ascending, within [0,
    side).
    """
    return sorted(
        ((other.offset + _bend_at(other, street.offset, side)) % side, other.carriageway)
        for other in streets
        if other.axis != street.axis
    )


def _bend_at(street: Street, along: float, side: float) -> float:
    return street.bend * math.sin(2.0 * math.pi * along / side + street.phase)


def free_stretches(street: Street, streets: tuple[Street, ...], side: float, gap: float) -> list[tuple[float, float]]:
    """Stretches (start, stop) between crossings, `gap` metres away from the crossing kerbs; stop may exceed `side`."""
    at = crossings(street, streets, side)
    if not at:
        return [(0.0, side)]
    ends = [*at[1:], (at[0][0] + side, at[0][1])]
    stretches = [(a + wa + gap, b - wb - gap) for (a, wa), (b, wb) in zip(at, ends, strict=True)]
    return [(a, b) for a, b in stretches if b > a]


def _copies(street: Street, side: float) -> tuple[Street, ...]:
    """The street and its periodic copy, if it lies at the border."""
    if street.offset - street.half_width - abs(street.bend) < 0.0:
        values = {**street.__dict__, "offset": street.offset + side}
        return (street, Street(**values))
    return (street,)


def _strip(street: Street, side: float, left: float, right: float, start: float, stop: float) -> np.ndarray:
    return np.concatenate([street.line(side, left, start, stop), street.line(side, right, start, stop)[::-1]])


def _draw_verges(draft: _Draft, street: Street, side: float) -> None:
    for copy in _copies(street, side):
        half = copy.half_width
        if copy.pavement > 0.0:
            draft.marks.append(Patch("pavement", _strip(copy, side, half, -half, -20.0, side + 20.0)))
        else:
            draft.marks.append(Patch("gravel", _strip(copy, side, half + 0.9, -half - 0.9, -20.0, side + 20.0)))


def _draw_kerbs(draft: _Draft, street: Street, side: float) -> None:
    for copy in _copies(street, side) if street.pavement > 0.0 else ():
        half = copy.carriageway + 0.25
        draft.marks.append(Patch("concrete", _strip(copy, side, half, -half, -20.0, side + 20.0)))


def _draw_carriageway(draft: _Draft, street: Street, side: float) -> None:
    for copy in _copies(street, side):
        half = copy.carriageway
        draft.marks.append(Patch(copy.surface, _strip(copy, side, half, -half, -20.0, side + 20.0)))


def _draw_markings(draft: _Draft, street: Street, streets: tuple[Street, ...], side: float) -> None:
    if street.surface == "gravel":
        return
    rng = draft.rng
    white = (222, 222, 216)
    middle = (214, 180, 70) if rng.random() < 0.35 else white
    zebra = street.pavement > 0.0
    gap = street.pavement + (6.0 if zebra else 1.0)
    for copy in _copies(street, side):
        for start, stop in free_stretches(copy, streets, side, gap):
            spans = [(start, stop)] if stop <= side else [(start, stop), (start - side, stop - side)]
            for a, b in spans:
                _mark_stretch(draft, copy, side, a, b, white, middle, zebra)


def _mark_stretch(
    draft: _Draft,
    street: Street,
    side: float,
    a: float,
    b: float,
    white: tuple[int, int, int],
    middle: tuple[int, int, int],
    zebra: bool,
) -> None:
    kerb = street.median / 2 + street.lanes * LANE_WIDTH
    if street.median > 0.0:
        draft.marks.append(Patch("concrete", _strip(street, side, street.median / 2, -street.median / 2, a, b)))
        inner = street.median / 2 - 0.25
        draft.marks.append(Patch("lawn", _strip(street, side, inner, -inner, a + 0.3, b - 0.3)))
    elif street.lanes >= 2:
        for lateral in (-0.12, 0.12):
            draft.stroke(street.line(side, lateral, a, b), 0.12, middle)
    else:
        draft.stroke(street.line(side, 0.0, a, b), 0.14, middle, (3.0, 4.5))
    for sign in (-1.0, 1.0):
        for lane in range(1, street.lanes):
            draft.stroke(
                street.line(side, sign * (street.median / 2 + lane * LANE_WIDTH), a, b), 0.15, white, (4.0, 6.0)
            )
        dash = (0.6, 0.6) if street.parking else None
        draft.stroke(street.line(side, sign * (kerb - 0.12), a, b), 0.13, white, dash)
        # Traffic drives on the right: an axis-0 street's right-hand lanes lie at negative lateral and run towards +x.
        lanes = sorted((sign * street.median / 2, sign * kerb))
        stop_at = b if (sign < 0) == (street.axis == 0) else a
        if zebra:
            draft.stroke(
                np.array([_at(street, side, stop_at, lanes[0] + 0.2), _at(street, side, stop_at, lanes[1] - 0.2)]),
                0.4,
                white,
            )
    if zebra:
        for end, outward in ((a, -1.0), (b, 1.0)):
            for lateral in np.arange(-street.carriageway + 0.5, street.carriageway - 0.3, 1.0).tolist():
                bar = [_at(street, side, end + outward * 1.2, lateral), _at(street, side, end + outward * 4.4, lateral)]
                draft.stroke(np.array(bar), 0.5, white)
    if street.parking:
        outer = street.carriageway
        for sign in (-1.0, 1.0):
            forward = 0.0 if (sign < 0) == (street.axis == 0) else math.pi
            occupancy = draft.rng.uniform(0.3, 0.95)
            for s in np.arange(a + 9.0, b - 9.0, 6.0).tolist():
                ends = [_at(street, side, s, sign * (kerb - 0.1)), _at(street, side, s, sign * outer)]
                draft.stroke(np.array(ends), 0.1, white)
                if 0.0 <= s + 3.0 < side and street.offset < side - 1e-6:
                    x, y = _at(street, side, s + 3.0, sign * (kerb + PARKING_WIDTH / 2))
                    yaw = forward + (math.pi / 2 if street.axis == 1 else 0.0)
                    draft.slots.append(Slot(float(x), float(y), yaw, "kerb", occupancy))
    if street.offset > side - 1e-6:
        return
    _plant_street_trees(draft, street, side, a, b)


def _plant_street_trees(draft: _Draft, street: Street, side: float, a: float, b: float) -> None:
    rng = draft.rng
    laterals = []
    if street.median > 1.5 and rng.random() < 0.6:
        laterals.append(0.0)
    if street.pavement > 2.4 and rng.random() < draft.style.trees:
        laterals += [street.carriageway + 0.8, -street.carriageway - 0.8]
    spacing = rng.uniform(7.0, 14.0)
    for lateral in laterals:
        for s in np.arange(a + 3.0, b - 3.0, spacing).tolist():
            if 0.0 <= s < side and rng.random() < 0.85:
                x, y = _at(street, side, s, lateral)
                draft.tree(float(x), float(y), 0.75)


def _at(street: Street, side: float, along: float, lateral: float) -> np.ndarray:
    return street.line(side, lateral, along, along + 1e-3)[0]


def _clear_streets(draft: _Draft, streets: tuple[Street, ...], side: float) -> None:
    """Take away what lots have put where a bent street runs."""

    def is_free(x: float, y: float, radius: float) -> bool:
        for street in streets:
            along, across = (x, y) if street.axis == 0 else (y, x)
            away = (across - street.offset - _bend_at(street, along, side) + side / 2) % side - side / 2
            if street.bend > 0.0 and abs(away) < street.half_width + 1.0 + radius:
                return False
        return True

    if any(street.bend > 0.0 for street in streets):
        draft.buildings = [
            b for b in draft.buildings if b.parent < 0 and is_free(b.x, b.y, 0.5 * max(b.length, b.width))
        ]
        draft.trees = [tree for tree in draft.trees if is_free(tree.x, tree.y, 0.3 * tree.crown)]
        draft.slots = [slot for slot in draft.slots if is_free(slot.x, slot.y, 2.5)]


# Lots


def _lots(rng: np.random.Generator, streets: tuple[Street, ...], side: float) -> list[Rectangle]:
    """The rectangles between streets, large ones divided."""
    bounds = []
    for axis in (1, 0):
        along = sorted((s.offset, s.half_width + 0.9 * (s.pavement == 0.0)) for s in streets if s.axis == axis)
        starts = [offset + half for offset, half in along]
        stops = [offset - half for offset, half in along[1:]] + [side - along[0][1]]
        bounds.append(list(zip(starts, stops, strict=True)))
    lots = []
    for x0, x1 in bounds[0]:
        for y0, y1 in bounds[1]:
            lots += _divided(rng, (x0, y0, x1, y1))
    return lots


def _divided(rng: np.random.Generator, lot: Rectangle) -> list[Rectangle]:
    x0, y0, x1, y1 = lot
    width, height = x1 - x0, y1 - y0
    if max(width, height) < 75.0 or (max(width, height) < 120.0 and rng.random() < 0.3):
        return [lot]
    cut = rng.uniform(0.35, 0.65)
    if width > height:
        middle = x0 + cut * width
        return _divided(rng, (x0, y0, middle, y1)) + _divided(rng, (middle, y0, x1, y1))
    middle = y0 + cut * height
    return _divided(rng, (x0, y0, x1, middle)) + _divided(rng, (x0, middle, x1, y1))


def _choose_use(rng: np.random.Generator, style: Style, lot: Rectangle) -> str:
    u = style.urbanity
    weights = {
        "field": max(0.0, 0.7 - 2.0 * u) * 3.0,
        "meadow": max(0.05, 0.5 - u),
        "houses": 1.4 * math.exp(-(((u - 0.42) / 0.22) ** 2)),
        "perimeter": 1.6 * u**2,
        "towers": max(0.0, u - 0.3),
        "car_park": 0.05 + 0.5 * u,
        "square": max(0.0, u - 0.15) * 0.65,
        "market": 0.05 + 0.3 * u,
        "park": 0.15 + 0.25 * u,
        "industry": 0.55 * math.exp(-(((u - 0.55) / 0.2) ** 2)),
        "water": 0.1,
        "sports": 0.12,
    }
    if min(lot[2] - lot[0], lot[3] - lot[1]) < 28.0:
        weights["perimeter"] = weights["towers"] = weights["industry"] = 0.0
    chances = np.array(list(weights.values()))
    return list(weights)[int(rng.choice(len(chances), p=chances / chances.sum()))]


def _field(draft: _Draft, lot: Rectangle) -> None:
    rng = draft.rng
    draft.fill("grass", lot)
    inner = shrunk(lot, float(rng.uniform(1.0, 3.0)))
    draft.fill(str(rng.choice([f"rows_{k}" for k in range(6)] + ["soil", "mown"])), inner)
    colour = tuple(int(v) for v in rng.uniform(0.8, 1.1) * np.array([138, 120, 92]))
    for lateral in (0.0, 1.8):
        x = lot[0] + 0.6 + lateral
        draft.stroke([(x, lot[1]), (x, lot[3])], 0.5, (colour[0], colour[1], colour[2]))
    for _ in range(rng.poisson(5 * draft.style.trees)):
        draft.tree(lot[2] - 1.5, float(rng.uniform(lot[1], lot[3])))


def _meadow(draft: _Draft, lot: Rectangle) -> None:
    draft.fill("grass", lot)
    _winding_path(draft, lot, 1.6, (150, 130, 100))
    draft.scatter_trees(lot, float(draft.rng.choice([15.0, 60.0, 160.0])))


def _winding_path(draft: _Draft, lot: Rectangle, width: float, colour: tuple[int, int, int]) -> None:
    rng = draft.rng
    x0, y0, x1, y1 = lot
    t = np.linspace(0.0, 1.0, 40)
    wave = 0.12 * np.sin(2 * np.pi * t * rng.uniform(0.6, 1.6) + rng.uniform(0, 6.28))
    ends = rng.uniform(0.25, 0.75, 2)
    across = np.clip(ends[0] * (1 - t) + ends[1] * t + wave, 0.06, 0.94)
    points = (
        np.stack([x0 + t * (x1 - x0), y0 + across * (y1 - y0)], axis=1)
        if rng.random() < 0.5
        else np.stack([x0 + across * (x1 - x0), y0 + t * (y1 - y0)], axis=1)
    )
    draft.stroke(points, width, colour)


def _houses(draft: _Draft, lot: Rectangle) -> None:
    rng = draft.rng
    draft.fill("lawn", lot)
    x0, y0, x1, y1 = shrunk(lot, 1.0)
    columns, rows = max(int((x1 - x0) / rng.uniform(17, 24)), 1), max(int((y1 - y0) / rng.uniform(22, 32)), 1)
    dx, dy = (x1 - x0) / columns, (y1 - y0) / rows
    wall = int(rng.integers(0, 8))
    for column in range(columns):
        for row in range(rows):
            plot = (x0 + column * dx, y0 + row * dy, x0 + (column + 1) * dx, y0 + (row + 1) * dy)
            cx, cy = (plot[0] + plot[2]) / 2, (plot[1] + plot[3]) / 2
            draft.stroke(
                [*corners_of(plot), corners_of(plot)[0]], 0.25, (112, 98, 78) if rng.random() < 0.6 else (74, 92, 54)
            )
            if rng.random() < 0.4:
                draft.fill(str(rng.choice(["grass", "mown", "gravel", "soil"])), shrunk(plot, 0.6))
            if dx < 13.5 or dy < 12.0:
                continue
            length, width = rng.uniform(8.0, min(13.0, dx - 5.0)), rng.uniform(7.0, 9.5)
            yaw = float(rng.choice([0.0, math.pi / 2])) if dx > 16.0 else 0.0
            hx, hy = cx + rng.uniform(-1.0, 1.0), cy + rng.uniform(-2.0, 2.0)
            side = 1.0 if row % 2 else -1.0
            drive = (plot[0] + 0.8, min(hy, hy + side * dy / 2), plot[0] + 3.6, max(hy, hy + side * dy / 2))
            draft.fill(str(rng.choice(["pavement", "bricks", "gravel", "concrete"])), drive)
            draft.slots.append(Slot(plot[0] + 2.2, hy + side * (dy / 2 - 4.0), side * math.pi / 2, "home", 0.65))
            roof = "gable" if rng.random() < 0.85 else "flat"
            draft.building(
                (hx + 1.5, hy),
                (length, width),
                float(rng.uniform(4.5, 8.5)),
                roof,
                yaw,
                wall if rng.random() < 0.5 else None,
            )
            if rng.random() < 0.12:
                pool = (cx, plot[1] + 1.5, cx + 6.0, plot[1] + 4.5)
                draft.fill("concrete", (pool[0] - 0.8, pool[1] - 0.8, pool[2] + 0.8, pool[3] + 0.8))
                draft.stroke(
                    [(pool[0], (pool[1] + pool[3]) / 2), (pool[2], (pool[1] + pool[3]) / 2)], 3.0, (70, 160, 190)
                )
            for _ in range(rng.poisson(2.2 * draft.style.trees)):
                corner = corners_of(shrunk(plot, 2.2))[rng.integers(4)] + rng.normal(0.0, 0.8, 2)
                draft.tree(float(corner[0]), float(corner[1]), 0.7)
            if rng.random() < 0.15:
                draft.gatherings.append(Gathering(shrunk(plot, 2.0), 3.0, 0.5))


def _perimeter(draft: _Draft, lot: Rectangle) -> None:
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
                height = 3.2 * float(storeys + rng.integers(-1, 2)) + 0.6
                draft.building(centre, (chunk, depth), height, roof if rng.random() < 0.85 else "flat", yaw)
            position += chunk
    court = shrunk(lot, depth + 3.0)
    if court[2] - court[0] > 12.0 and court[3] - court[1] > 12.0:
        if rng.random() < 0.5:
            draft.fill("lawn", court)
            draft.scatter_trees(court, 120.0)
        else:
            _bays(draft, court, float(rng.uniform(0.3, 0.9)), "car")


def _towers(draft: _Draft, lot: Rectangle) -> None:
    rng = draft.rng
    draft.fill("lawn", lot)
    for _ in range(2):
        _winding_path(draft, lot, 2.0, (176, 170, 160))
    x0, y0, x1, y1 = lot
    columns, rows = max(int((x1 - x0) / 42.0), 1), max(int((y1 - y0) / 38.0), 1)
    dx, dy = (x1 - x0) / columns, (y1 - y0) / rows
    turn = float(rng.choice([0.0, math.pi / 2, rng.uniform(-0.4, 0.4)]))
    for column in range(columns):
        for row in range(rows):
            cx, cy = x0 + (column + 0.5) * dx, y0 + (row + 0.5) * dy
            apron = (cx - 0.42 * dx, cy - 0.44 * dy, cx + 0.42 * dx, cy - 0.44 * dy + 6.0)
            if dy > 30.0 and rng.random() < 0.7:
                draft.fill("old_asphalt", apron)
                for x in np.arange(apron[0] + 1.3, apron[2] - 1.3, 2.6).tolist():
                    draft.stroke([(x - 1.3, apron[1] + 0.3), (x - 1.3, apron[1] + 5.0)], 0.1)
                    draft.slots.append(
                        Slot(float(x), apron[1] + 2.7, float(rng.choice([-1, 1])) * math.pi / 2, "car", 0.6)
                    )
            if rng.random() < 0.85:
                size = (float(rng.uniform(14, min(24.0, 0.55 * min(dx, dy) + 6.0))), float(rng.uniform(11, 15)))
                draft.building((cx, cy + 4.0), size, 3.2 * float(rng.integers(5, 16)), "flat", turn)
    draft.scatter_trees(lot, 50.0)
    draft.gatherings.append(Gathering(shrunk(lot, 3.0), 10.0 * draft.style.crowds, 0.3))


def _bays(draft: _Draft, area: Rectangle, occupancy: float, kind: str) -> None:
    """Rows of parking bays with aisles."""
    x0, y0, x1, y1 = area
    draft.fill("asphalt" if draft.rng.random() < 0.5 else "old_asphalt", area)
    length, bay = (5.0, 2.6) if kind != "truck" else (13.0, 4.2)
    y = y0 + 0.5
    while y + 2 * length + 6.0 <= y1:
        for offset, yaw in ((0.0, math.pi / 2), (length + 6.0, -math.pi / 2)):
            row = y + offset
            draft.stroke([(x0 + 1.0, row), (x0 + 1.0 + bay * int((x1 - x0 - 2) / bay), row)], 0.12)
            for index in range(int((x1 - x0 - 2) / bay) + 1):
                x = x0 + 1.0 + bay * index
                draft.stroke([(x, row), (x, row + length)], 0.12)
                if x + bay < x1 - 0.9:
                    heading = yaw if draft.rng.random() < 0.7 else -yaw
                    draft.slots.append(Slot(x + bay / 2, row + length / 2, heading, kind, occupancy))
        y += 2 * length + 6.5


def _car_park(draft: _Draft, lot: Rectangle) -> None:
    rng = draft.rng
    draft.fill("lawn", lot)
    _bays(draft, shrunk(lot, 2.5), float(rng.uniform(0.25, 0.95)), "car")
    for x in np.arange(lot[0] + 3.0, lot[2] - 3.0, 11.0).tolist():
        if rng.random() < draft.style.trees:
            draft.tree(float(x), lot[1] + 1.2, 0.6)
    draft.gatherings.append(Gathering(shrunk(lot, 4.0), 6.0 * draft.style.crowds, 0.0))


def _square(draft: _Draft, lot: Rectangle) -> None:
    rng = draft.rng
    draft.fill(str(rng.choice(["square", "bricks", "square", "pavement"])), lot)
    band = tuple(int(v) for v in rng.uniform(90, 200) * np.array([1.0, 0.95, 0.9]))
    for x in np.arange(lot[0] + 5.0, lot[2], float(rng.uniform(6, 12))).tolist():
        draft.stroke([(x, lot[1]), (x, lot[3])], 0.4, (band[0], band[1], band[2]))
    cx, cy = (lot[0] + lot[2]) / 2, (lot[1] + lot[3]) / 2
    if rng.random() < 0.6:
        radius = float(rng.uniform(3.0, 7.0))
        angle = np.arange(24) * 2 * np.pi / 24
        ring = np.stack([cx + radius * np.cos(angle), cy + radius * np.sin(angle)], axis=1)
        draft.marks.append(Patch("concrete", (ring - [cx, cy]) * 1.18 + [cx, cy]))
        draft.marks.append(Patch("water" if rng.random() < 0.6 else "lawn", ring))
    for x in np.arange(lot[0] + 4.0, lot[2] - 3.0, float(rng.uniform(8, 13))).tolist():
        for y in (lot[1] + 3.0, lot[3] - 3.0):
            if rng.random() < draft.style.trees:
                draft.marks.append(Patch("soil", corners_of((x - 0.8, y - 0.8, x + 0.8, y + 0.8))))
                draft.tree(float(x), y, 0.6)
    area = (lot[2] - lot[0]) * (lot[3] - lot[1])
    draft.gatherings.append(Gathering(shrunk(lot, 4.0), area / 45.0 * draft.style.crowds, 0.25))


def _market(draft: _Draft, lot: Rectangle) -> None:
    rng = draft.rng
    draft.fill(str(rng.choice(["concrete", "pavement", "old_asphalt"])), lot)
    for y in np.arange(lot[1] + 5.0, lot[3] - 4.0, 10.0).tolist():
        for x in np.arange(lot[0] + 5.0, lot[2] - 4.0, 4.2).tolist():
            if rng.random() < 0.6:
                draft.building((float(x), float(y)), (3.4, 2.6), 2.7, "gable", 0.0, 8)
            elif rng.random() < 0.5:
                draft.slots.append(
                    Slot(float(x), float(y), float(rng.choice([0.0, math.pi / 2, math.pi])), "cart", 0.85)
                )
        for x in np.arange(lot[0] + 4.0, lot[2] - 3.0, 4.0).tolist():
            draft.slots.append(Slot(float(x), float(y) + 3.2, float(rng.uniform(-3, 3)), "cart", 0.25))
        draft.gatherings.append(
            Gathering((lot[0] + 3, y + 2.4, lot[2] - 3, y + 8.0), (lot[2] - lot[0]) * 0.6 * draft.style.crowds, 0.12)
        )


def _park(draft: _Draft, lot: Rectangle) -> None:
    rng = draft.rng
    draft.fill(str(rng.choice(["lawn", "mown", "grass"])), lot)
    for _ in range(int(rng.integers(1, 4))):
        _winding_path(
            draft, lot, float(rng.uniform(1.8, 3.0)), (186, 172, 148) if rng.random() < 0.6 else (140, 136, 132)
        )
    cx, cy = (lot[0] + lot[2]) / 2, (lot[1] + lot[3]) / 2
    if rng.random() < 0.35:
        _pond(draft, (cx, cy), 0.25 * min(lot[2] - lot[0], lot[3] - lot[1]))
    draft.scatter_trees(lot, float(rng.uniform(40.0, 130.0)))
    draft.gatherings.append(Gathering(shrunk(lot, 4.0), 35.0 * draft.style.crowds + 3.0, 0.55))


def _pond(draft: _Draft, centre: tuple[float, float], radius: float) -> None:
    rng = draft.rng
    angle = np.arange(48) * 2 * np.pi / 48
    reach = radius * (1.0 + 0.15 * np.sin(2 * angle + rng.uniform(0, 6)) + 0.1 * np.sin(3 * angle + rng.uniform(0, 6)))
    ring = np.stack([reach * np.cos(angle), 0.8 * reach * np.sin(angle)], axis=1)
    draft.marks.append(Patch("sand" if rng.random() < 0.5 else "soil", ring * 1.07 + centre))
    draft.marks.append(Patch("water", ring + centre))


def _industry(draft: _Draft, lot: Rectangle) -> None:
    rng = draft.rng
    draft.fill("concrete" if rng.random() < 0.5 else "old_asphalt", lot)
    x0, y0, x1, y1 = shrunk(lot, 3.0)
    split = y0 + 0.5 * (y1 - y0)
    count = max(int((x1 - x0) / 24.0), 1)
    step = (x1 - x0) / count
    height = float(rng.uniform(6.0, 11.0))
    for index in range(count):
        centre = (x0 + (index + 0.5) * step, split + 0.25 * (y1 - y0))
        draft.building(centre, (step - 0.05, 0.5 * (y1 - y0) - 1.0), height, "flat", 0.0, 9)
    if split - y0 > 30.0:
        _bays(draft, (x0, y0, x1, split - 2.0), float(rng.uniform(0.3, 0.8)), "truck")
    for x in np.arange(x0 + 2.0, x1 - 6.0, 7.0).tolist():
        if split - y0 <= 30.0 and rng.random() < 0.5:
            draft.slots.append(Slot(float(x), y0 + 8.0, math.pi / 2, "truck", 0.8))
        elif rng.random() < 0.45:
            draft.building((float(x), split - 5.0), (6.1, 2.44), 2.6 * float(rng.integers(1, 3)), "flat", 0.0, 9)
    draft.gatherings.append(Gathering((x0, y0, x1, split - 2.0), 5.0 * draft.style.crowds, 0.1))


def _water_lot(draft: _Draft, lot: Rectangle) -> None:
    draft.fill("sand" if draft.rng.random() < 0.4 else "grass", lot)
    _pond(draft, ((lot[0] + lot[2]) / 2, (lot[1] + lot[3]) / 2), 0.4 * min(lot[2] - lot[0], lot[3] - lot[1]))
    x0, y0, x1, _ = lot
    draft.gatherings.append(Gathering((x0 + 2, y0 + 1, x1 - 2, y0 + 6), 15.0 * draft.style.crowds, 0.7))
    for x in np.arange(x0 + 3.0, x1 - 3.0, 9.0).tolist():
        if draft.rng.random() < draft.style.trees:
            draft.tree(float(x), y0 + 3.0)


def _sports(draft: _Draft, lot: Rectangle) -> None:
    rng = draft.rng
    draft.fill("grass", lot)
    x0, y0, x1, y1 = shrunk(lot, 5.0)
    draft.fill(str(rng.choice(["mown", "court"])), (x0, y0, x1, y1))
    a, b, c, d = shrunk((x0, y0, x1, y1), 2.0)
    cx, cy = (a + c) / 2, (b + d) / 2
    box = corners_of((a, b, c, d))
    draft.stroke([*box, box[0]], 0.14)
    draft.stroke([(cx, b), (cx, d)], 0.14)
    angle = np.linspace(0, 2 * np.pi, 40)
    radius = min(c - a, d - b) * 0.14
    draft.stroke(np.stack([cx + radius * np.cos(angle), cy + radius * np.sin(angle)], axis=1), 0.14)
    for x, sign in ((a, 1.0), (c, -1.0)):
        goal = [
            (x, cy - 2 * radius),
            (x + sign * 1.5 * radius, cy - 2 * radius),
            (x + sign * 1.5 * radius, cy + 2 * radius),
            (x, cy + 2 * radius),
        ]
        draft.stroke(goal, 0.14)
    draft.gatherings.append(Gathering((a, b, c, d), 14.0, 0.05))
    draft.scatter_trees((x0 - 4, y0 - 4, x1 + 4, y0 - 1), 200.0, 0.5)


_LAND_USES = {
    "field": _field,
    "meadow": _meadow,
    "houses": _houses,
    "perimeter": _perimeter,
    "towers": _towers,
    "car_park": _car_park,
    "square": _square,
    "market": _market,
    "park": _park,
    "industry": _industry,
    "water": _water_lot,
    "sports": _sports,
}
