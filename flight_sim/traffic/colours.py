"""Random colours of objects."""

from __future__ import annotations

import numpy as np

from flight_sim.meshes.mesh import Paint

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
_TROUSERS = (0, 0, 1, 1, 2, 8)  # of _CLOTHES: mostly dark
_BRIGHT = np.array(
    [
        *[(210, 40, 36), (30, 90, 180), (240, 240, 236), (30, 130, 80)],
        *[(230, 180, 40), (220, 110, 30), (90, 150, 200), (170, 40, 90)],
    ],
    np.float64,
)
_HAIR = np.array([[34, 28, 24], [34, 28, 24], [92, 66, 44], [190, 186, 180], [206, 60, 50]])
_LARGE = ("truck", "bus")
_OFTEN_BRIGHT = ("truck", "bus", "tricycle", "awning-tricycle")
_HAS_SECOND_COLOUR = (*_OFTEN_BRIGHT, "motor", "bicycle", "pedestrian")


def sample_colours(rng: np.random.Generator, class_name: str) -> np.ndarray:
    """(P, 3) RGB for every Paint of an object."""
    colours = np.zeros((len(Paint), 3))
    body, second = _body_colours(rng, class_name)
    skin = np.array([226.0, 186.0, 156.0]) * rng.uniform(0.45, 1.05)
    colours[Paint.BODY], colours[Paint.SECOND] = body, second
    colours[Paint.GLASS] = np.array([38.0, 46.0, 54.0]) * rng.uniform(0.7, 1.5)
    colours[Paint.DARK], colours[Paint.METAL] = 30.0, rng.uniform(110.0, 190.0)
    colours[Paint.FRONT_LIGHT], colours[Paint.REAR_LIGHT] = [246, 240, 210], [190, 30, 26]
    colours[Paint.SKIN] = skin
    colours[Paint.HAIR] = _HAIR[rng.integers(len(_HAIR))]
    colours[Paint.SHIRT] = _CLOTHES[rng.integers(len(_CLOTHES))] * rng.uniform(0.8, 1.2)
    colours[Paint.TROUSERS] = _CLOTHES[rng.choice(_TROUSERS)] * rng.uniform(0.7, 1.2)
    return np.clip(colours + rng.normal(0.0, 4.0, colours.shape), 6.0, 250.0)


def _body_colours(rng: np.random.Generator, class_name: str) -> tuple[np.ndarray, np.ndarray]:
    """The main and the second colour (3,) of a vehicle's body."""
    body = _CAR_COLOURS[rng.integers(len(_CAR_COLOURS))]
    second = np.array([225.0, 225.0, 222.0])
    if class_name in _HAS_SECOND_COLOUR:
        second = bright = _BRIGHT[rng.integers(len(_BRIGHT))]
        if class_name in _LARGE and rng.random() >= 0.5:
            second = np.array([222.0, 222.0, 218.0]) * rng.uniform(0.75, 1.05)
        if class_name in _OFTEN_BRIGHT or rng.random() < 0.4:
            body = bright if rng.random() < 0.6 else np.array([228.0, 228.0, 224.0])
        if class_name == "tricycle":
            second = np.array([130.0, 112.0, 84.0]) * rng.uniform(0.5, 1.6)
    elif class_name == "van":
        body = np.array([232.0, 232.0, 230.0]) if rng.random() < 0.55 else body
        second = body * 0.9
    return body, second
