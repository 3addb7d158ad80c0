"""Who and what is where: traffic on lanes, queues at lights, parked vehicles, people in clusters; and where they are at
a given time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from flight_sim.city_map.elements import CityMap, Gathering
from flight_sim.city_map.place_style import PlaceStyle as Style
from flight_sim.city_map.streets import LANE_WIDTH, Street, free_stretches
from flight_sim.shapes import CLASS_NAMES, Paint, Shape, object_shapes

STANDING = -1


@dataclass(frozen=True)
class Path:
    """A line (N, 2) in metres that objects follow; it ends where it began, plus `advance` (2,), a whole number of scene
    sides.
    """

    points: np.ndarray
    travelled: np.ndarray
    advance: np.ndarray

    @property
    def length(self) -> float:
        """Metres from the beginning to the end."""
        return float(self.travelled[-1])

    def at(self, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 2) and headings (N,) in radians after `distance` (N,) metres, round and round."""
        laps = np.floor(distance / self.length)
        along = distance - laps * self.length
        position = np.stack([np.interp(along, self.travelled, self.points[:, k]) for k in (0, 1)], axis=1)
        segment = np.clip(np.searchsorted(self.travelled, along, side="right") - 1, 0, len(self.points) - 2)
        step = self.points[segment + 1] - self.points[segment]
        return position + laps[:, None] * self.advance, np.arctan2(step[:, 1], step[:, 0])


def path_along(points: np.ndarray, advance: tuple[float, float]) -> Path:
    """A path through points (N, 2)."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    return Path(points, np.concatenate([[0.0], np.cumsum(steps)]), np.array(advance))


@dataclass(frozen=True)
class Population:
    """N objects. Shapes are indices into `shapes`; `colours` (N, P, 3) RGB by Paint; `scale` (N,) times the shape's
    natural size.

    Objects with `path` STANDING stay at `position` (N, 2) with `yaw` (N,); the others are `start` (N,) metres along
    their path at time 0 and move at `speed` (N,) m/s. `class_ids` (N,) index CLASS_NAMES.
    """

    shapes: tuple[Shape, ...]
    paths: tuple[Path, ...]
    class_ids: np.ndarray
    shape: np.ndarray
    scale: np.ndarray
    colours: np.ndarray
    position: np.ndarray
    yaw: np.ndarray
    path: np.ndarray
    start: np.ndarray
    speed: np.ndarray

    def __len__(self) -> int:
        return len(self.class_ids)

    def at(self, stamp_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 2) in metres (not wrapped into the scene) and headings (N,) in radians at a time."""
        position, yaw = self.position.copy(), self.yaw.copy()
        for index, path in enumerate(self.paths):
            members = np.flatnonzero(self.path == index)
            if len(members):
                position[members], yaw[members] = path.at(self.start[members] + self.speed[members] * stamp_s)
        return position, yaw


@dataclass(frozen=True)
class _Being:
    name: str
    shape: int
    scale: float
    colours: np.ndarray
    x: float
    y: float
    yaw: float
    path: int
    start: float
    speed: float


_CAR_COLOURS = np.array(
    [
        *([(232, 232, 230)] * 2 + [(30, 31, 34), (44, 46, 50), (96, 98, 102), (168, 170, 174), (186, 188, 190)]),
        *[(150, 26, 26), (28, 52, 112), (40, 70, 60), (190, 170, 130), (206, 176, 40), (110, 40, 30), (60, 100, 150)],
    ],
    np.float64,
)
_CLOTHES = np.array(
    [
        *[(30, 32, 40), (60, 66, 90), (210, 208, 205), (150, 40, 44), (40, 80, 140), (200, 170, 60), (90, 120, 80)],
        *[(170, 120, 150), (120, 100, 80), (225, 120, 60), (70, 150, 160)],
    ],
    np.float64,
)
_BRIGHT = np.array(
    [
        *[(210, 40, 36), (30, 90, 180), (240, 240, 236), (30, 130, 80)],
        *[(230, 180, 40), (220, 110, 30), (90, 150, 200), (170, 40, 90)],
    ],
    np.float64,
)


class _Crowd:
    """Collects objects while a scene is populated."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        shapes = object_shapes()
        self.shapes: list[Shape] = []
        self.variants: dict[str, list[int]] = {}
        for name, variants in shapes.items():
            self.variants[name] = list(range(len(self.shapes), len(self.shapes) + len(variants)))
            self.shapes += variants
        self.beings: list[_Being] = []
        self.paths: list[Path] = []

    def add(
        self, kind: str, x: float, y: float, yaw: float, path: int = STANDING, start: float = 0.0, speed: float = 0.0
    ) -> None:
        """Put an object of a class, or a rider ("rider-motor") or a resting person ("sitting", "lying")."""
        rng = self.rng
        name = kind if kind in CLASS_NAMES else "people"
        if kind == "pedestrian" and rng.random() < 0.03:
            kind = "umbrella"
        shape = int(rng.choice(self.variants[kind]))
        person = name in ("pedestrian", "people")
        scale = float(np.clip(rng.normal(1.0, 0.07), 0.8, 1.15)) if person else float(rng.uniform(0.95, 1.06))
        if person and rng.random() < 0.07:
            scale *= 0.72
        self.beings.append(_Being(name, shape, scale, _colours(rng, name), x, y, yaw, path, start, speed))

    def add_path(self, points: np.ndarray, advance: tuple[float, float]) -> int:
        self.paths.append(path_along(points, advance))
        return len(self.paths) - 1

    def length_of(self, kind: str) -> float:
        return max(float(self.shapes[k].size[0]) for k in self.variants[kind])


def _colours(rng: np.random.Generator, name: str) -> np.ndarray:
    """(P, 3) RGB for every Paint."""
    colours = np.zeros((len(Paint), 3))
    body = _CAR_COLOURS[rng.integers(len(_CAR_COLOURS))]
    second = np.array([225.0, 225.0, 222.0])
    if name in ("truck", "bus", "tricycle", "awning-tricycle", "motor", "bicycle", "pedestrian"):
        bright = _BRIGHT[rng.integers(len(_BRIGHT))]
        second = (
            bright
            if name not in ("truck", "bus") or rng.random() < 0.5
            else np.array([222.0, 222.0, 218.0]) * rng.uniform(0.75, 1.05)
        )
        if name in ("truck", "bus", "tricycle", "awning-tricycle") or rng.random() < 0.4:
            body = bright if rng.random() < 0.6 else np.array([228.0, 228.0, 224.0])
        if name == "tricycle":
            second = np.array([130.0, 112.0, 84.0]) * rng.uniform(0.5, 1.6)
    elif name == "van":
        body = np.array([232.0, 232.0, 230.0]) if rng.random() < 0.55 else body
        second = body * 0.9
    skin = np.array([226.0, 186.0, 156.0]) * rng.uniform(0.45, 1.05)
    colours[Paint.BODY], colours[Paint.SECOND] = body, second
    colours[Paint.GLASS] = np.array([38.0, 46.0, 54.0]) * rng.uniform(0.7, 1.5)
    colours[Paint.DARK], colours[Paint.METAL] = 30.0, rng.uniform(110.0, 190.0)
    colours[Paint.FRONT_LIGHT], colours[Paint.REAR_LIGHT] = [246, 240, 210], [190, 30, 26]
    colours[Paint.SKIN] = skin
    colours[Paint.HAIR] = np.array([[34, 28, 24], [34, 28, 24], [92, 66, 44], [190, 186, 180], [206, 60, 50]])[
        rng.integers(5)
    ]
    colours[Paint.SHIRT] = _CLOTHES[rng.integers(len(_CLOTHES))] * rng.uniform(0.8, 1.2)
    colours[Paint.TROUSERS] = _CLOTHES[rng.choice([0, 0, 1, 1, 2, 8])] * rng.uniform(0.7, 1.2)
    return np.clip(colours + rng.normal(0.0, 4.0, colours.shape), 6.0, 250.0)


def populate(rng: np.random.Generator, city: CityMap, style: Style) -> Population:
    """Fill the streets, bays and squares of a map."""
    crowd = _Crowd(rng)
    for street in city.streets:
        _drive(crowd, street, city, style)
        _walk(crowd, street, city, style)
    _park(crowd, city)
    for gathering in city.gatherings:
        _gather(crowd, gathering)
    return _packed(crowd)


_LANE_KINDS = ("car", "van", "truck", "bus", "tricycle", "awning-tricycle")


def _put_vehicle(
    crowd: _Crowd,
    kind: str,
    x: float,
    y: float,
    yaw: float,
    path: int = STANDING,
    start: float = 0.0,
    speed: float = 0.0,
) -> None:
    """A vehicle in use: two-wheelers and open tricycles have their riders."""
    crowd.add(kind, x, y, yaw, path, start, speed)
    if kind in ("bicycle", "motor", "tricycle"):
        crowd.add(f"rider-{kind}", x, y, yaw, path, start, speed)


def _lane_path(crowd: _Crowd, street: Street, side: float, lateral: float, forward: bool) -> int:
    points = street.line(side, lateral=lateral, start=0.0, stop=side)
    gap = (side, 0.0) if street.axis == 0 else (0.0, side)
    if street.bend > 0.0:
        points[-1] = points[0] + gap
    return crowd.add_path(points if forward else points[::-1], gap if forward else (-gap[0], -gap[1]))


def _directions(street: Street) -> list[tuple[float, bool]]:
    """Sign of the lateral offset and whether that side drives towards growing coordinates: right-hand traffic."""
    return [(-1.0, street.axis == 0), (1.0, street.axis == 1)]


def _drive(crowd: _Crowd, street: Street, city: CityMap, style: Style) -> None:
    """Moving traffic where the lights are green; elsewhere queues at the stop lines."""
    rng, side = crowd.rng, city.side
    moving = street.axis == style.green_axis
    for sign, forward in _directions(street):
        for lane in range(street.lanes):
            lateral = sign * (street.median / 2 + (lane + 0.5) * LANE_WIDTH)
            path = _lane_path(crowd, street, side, lateral, forward)
            if moving:
                _stream(crowd, path, style, float(rng.uniform(5.0, 15.0)))
            else:
                for a, b in free_stretches(street, city.streets, side, street.pavement + 7.0):
                    _queue(crowd, street, side, lateral, forward, (a, b), style)
        _two_wheelers(crowd, street, city, style, sign, forward, moving)


def _stream(crowd: _Crowd, path: int, style: Style, speed: float) -> None:
    """Vehicles of one lane at one speed, in platoons."""
    rng = crowd.rng
    length = crowd.paths[path].length
    mean_gap = 9.0 / max(style.traffic, 0.08)
    s = float(rng.uniform(0.0, 20.0))
    first = s
    while True:
        kind = _LANE_KINDS[rng.choice(len(_LANE_KINDS), p=style.lane_class_shares)]
        space = crowd.length_of(kind)
        if s + space + 6.0 > length + first - 8.0:
            break
        _put_vehicle(crowd, kind, 0.0, 0.0, 0.0, path, s + space / 2, speed)
        s += space + 4.0 + float(rng.exponential(mean_gap * (0.5 if rng.random() < 0.6 else 3.0)))


def _queue(
    crowd: _Crowd,
    street: Street,
    side: float,
    lateral: float,
    forward: bool,
    stretch: tuple[float, float],
    style: Style,
) -> None:
    """Vehicles that wait at the end of a stretch."""
    rng = crowd.rng
    start, stop = stretch
    s = 0.5
    for _ in range(rng.poisson(7.0 * style.traffic)):
        kind = _LANE_KINDS[rng.choice(len(_LANE_KINDS), p=style.lane_class_shares)]
        space = crowd.length_of(kind)
        if s + space > stop - start - 4.0:
            break
        along = stop - s - space / 2 if forward else start + s + space / 2
        point = street.line(side, lateral=lateral + float(rng.normal(0.0, 0.12)), start=along, stop=along + 0.5)
        yaw = math.atan2(*(point[1] - point[0])[::-1]) + (0.0 if forward else math.pi)
        _put_vehicle(
            crowd, kind, float(point[0, 0] % side), float(point[0, 1] % side), yaw + float(rng.normal(0.0, 0.015))
        )
        s += space + float(rng.uniform(1.0, 3.5))


def _two_wheelers(
    crowd: _Crowd, street: Street, city: CityMap, style: Style, sign: float, forward: bool, moving: bool
) -> None:
    """Bicycles and motors near the kerb, and parked ones in rows on the pavement."""
    rng, side = crowd.rng, city.side
    kerb = street.median / 2 + street.lanes * LANE_WIDTH
    if moving:
        path = _lane_path(crowd, street, side, sign * (kerb - 0.2), forward)
        speed = float(rng.uniform(3.5, 7.0))
        s = float(rng.uniform(0.0, 20.0))
        while s < crowd.paths[path].length - 6.0:
            _put_vehicle(crowd, "bicycle" if rng.random() < 0.4 else "motor", 0.0, 0.0, 0.0, path, s, speed)
            s += 2.6 + float(rng.exponential(22.0 / max(style.traffic, 0.1)))
    if street.pavement < 1.7:
        return
    for a, b in free_stretches(street, city.streets, side, street.pavement + 9.0):
        if rng.random() > 0.3 + 0.5 * style.crowds or b - a < 25.0:
            continue
        s = float(rng.uniform(a, b - 20.0))
        kind = "bicycle" if rng.random() < 0.5 else "motor"
        for _ in range(int(rng.integers(3, 16))):
            point = street.line(side, lateral=sign * (street.carriageway + 1.1), start=s, stop=s + 0.5)[0]
            slant = (math.pi / 2 if street.axis == 0 else 0.0) + float(rng.normal(0.25, 0.12))
            if rng.random() < 0.85:
                crowd.add(
                    kind, float(point[0] % side), float(point[1] % side), slant + math.pi * float(rng.random() < 0.1)
                )
            s += float(rng.uniform(0.6, 0.9))
            if s > b:
                break


def _walk(crowd: _Crowd, street: Street, city: CityMap, style: Style) -> None:
    """People on both pavements: walking in groups along the green streets, standing at corners and stops elsewhere."""
    rng, side = crowd.rng, city.side
    if street.pavement < 1.0:
        return
    moving = street.axis == style.green_axis
    for sign in (-1.0, 1.0):
        lateral = sign * (street.carriageway + 0.55 * street.pavement)
        groups = rng.poisson(side / 16.0 * style.crowds)
        paths = []
        for forward in (True, False):
            for pace in (1.0, 1.4):
                offset = sign * rng.uniform(-0.3, 0.3) * street.pavement
                paths.append(
                    (_lane_path(crowd, street, side, lateral + offset, forward), pace * float(rng.uniform(0.9, 1.1)))
                )
        for _ in range(groups if moving else 0):
            path, speed = paths[rng.integers(len(paths))]
            s = float(rng.uniform(0.0, side))
            for _ in range(1 + rng.geometric(0.5)):
                crowd.add("pedestrian", 0.0, 0.0, 0.0, path, s, speed)
                s += float(rng.uniform(0.5, 1.4))
        for a, b in [] if moving else free_stretches(street, city.streets, side, street.pavement + 1.0):
            for _ in range(rng.poisson(0.03 * (b - a) * style.crowds + 0.5)):
                s = float(rng.choice([a, b, rng.uniform(a, b)]))
                for _ in range(1 + rng.geometric(0.35)):
                    along = s + float(rng.normal(0.0, 1.3))
                    point = street.line(
                        side,
                        lateral=lateral + float(rng.normal(0.0, 0.2 * street.pavement)),
                        start=along,
                        stop=along + 0.5,
                    )[0]
                    crowd.add(
                        "pedestrian",
                        float(point[0] % side),
                        float(point[1] % side),
                        float(rng.uniform(-math.pi, math.pi)),
                    )


def _park(crowd: _Crowd, city: CityMap) -> None:
    rng = crowd.rng
    mixes = {
        "kerb": (("car", "van", "truck", "tricycle", "awning-tricycle"), (0.78, 0.12, 0.02, 0.04, 0.04)),
        "home": (("car", "van"), (0.88, 0.12)),
        "car": (("car", "van"), (0.9, 0.1)),
        "truck": (("truck", "van", "bus", "car"), (0.6, 0.12, 0.2, 0.08)),
        "cart": (("tricycle", "awning-tricycle", "motor", "bicycle"), (0.32, 0.38, 0.18, 0.12)),
    }
    for slot in city.slots:
        if rng.random() < slot.occupancy:
            kinds, shares = mixes[slot.kind]
            x, y = rng.normal((slot.x, slot.y), 0.12)
            crowd.add(str(rng.choice(kinds, p=shares)), float(x), float(y), slot.yaw + float(rng.normal(0.0, 0.03)))


def _gather(crowd: _Crowd, gathering: Gathering) -> None:
    """Clusters of people: most stand in groups that face each other, some stroll in circles, some sit or lie."""
    rng = crowd.rng
    x0, y0, x1, y1 = gathering.area
    if x1 <= x0 or y1 <= y0:
        return
    left = int(min(rng.poisson(gathering.count), 260))
    while left > 0:
        centre = rng.uniform((x0, y0), (x1, y1))
        count = min(left, 1 + int(rng.geometric(0.25)))
        left -= count
        resting = rng.random() < gathering.seated
        strolling = not resting and rng.random() < 0.4
        path = STANDING
        if strolling:
            angle = np.arange(25) * 2 * np.pi / 24 * rng.choice([-1.0, 1.0])
            radius = min(rng.uniform(2.0, 9.0), 0.5 * (x1 - x0), 0.5 * (y1 - y0))
            middle = np.clip(centre, (x0 + radius, y0 + radius), (x1 - radius, y1 - radius))
            path = crowd.add_path(middle + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), (0.0, 0.0))
        spread = 0.5 + 0.28 * math.sqrt(count)
        speed = float(rng.uniform(0.8, 1.4))
        for k in range(count):
            x, y = np.clip(centre + rng.normal(0.0, spread, 2), (x0, y0), (x1, y1))
            if strolling:
                crowd.add("pedestrian", float(x), float(y), 0.0, path, 0.8 * k + float(rng.uniform(0, 0.5)), speed)
            else:
                yaw = math.atan2(centre[1] - y, centre[0] - x) + float(rng.normal(0.0, 0.5))
                kind = str(rng.choice(["sitting", "sitting", "lying"])) if resting else "pedestrian"
                crowd.add(kind, float(x), float(y), yaw)


def _packed(crowd: _Crowd) -> Population:
    beings = crowd.beings
    return Population(
        tuple(crowd.shapes),
        tuple(crowd.paths),
        np.array([CLASS_NAMES.index(b.name) for b in beings], np.int64),
        np.array([b.shape for b in beings], np.int64),
        np.array([b.scale for b in beings], np.float64),
        np.array([b.colours for b in beings], np.float64).reshape(-1, len(Paint), 3),
        np.array([(b.x, b.y) for b in beings], np.float64).reshape(-1, 2),
        np.array([b.yaw for b in beings], np.float64),
        np.array([b.path for b in beings], np.int64),
        np.array([b.start for b in beings], np.float64),
        np.array([b.speed for b in beings], np.float64),
    )
