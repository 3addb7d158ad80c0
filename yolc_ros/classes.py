"""Names of classes, those of VisDrone in the order of its categories 1 to 10, and a colour for each class."""

from __future__ import annotations

import colorsys

VISDRONE_CLASSES = (
    "pedestrian",
    "people",
    "bicycle",
    "car",
    "van",
    "truck",
    "tricycle",
    "awning-tricycle",
    "bus",
    "motor",
)

_GOLDEN_RATIO = 0.618034


def plain_name(name: str) -> str:
    """Return the name of a class without case, spaces and punctuation, to compare names of two sources."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def class_color(class_id: int) -> tuple[int, int, int]:
    """Colour (R, G, B), 0 to 255, of a class: bright, and different from those of the classes beside it in the list."""
    hue = (0.33 + class_id * _GOLDEN_RATIO) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)
