"""Names of classes, those of VisDrone in the order of its categories 1 to 10, and a colour for each class."""

from __future__ import annotations

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

_COLORS = (  # bright ones that are farthest from each other in CIELAB, at least 59 apart
    (0, 255, 0),
    (255, 204, 178),
    (140, 140, 255),
    (0, 234, 255),
    (255, 191, 0),
    (255, 64, 0),
    (255, 0, 234),
    (198, 255, 140),
    (0, 0, 255),
    (255, 64, 128),
)


def plain_name(name: str) -> str:
    """Return the name of a class without case, spaces and punctuation, to compare names of two sources."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def class_color(class_id: int) -> tuple[int, int, int]:
    """Colour (R, G, B), 0 to 255, of a class: bright, and different from those of the nine classes around it."""
    return _COLORS[class_id % len(_COLORS)]
