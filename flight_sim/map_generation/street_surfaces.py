"""The surfaces of streets: pavements or gravel verges, kerbs, carriageways."""

from __future__ import annotations

from flight_sim.city_map.elements import Patch
from flight_sim.city_map.streets import Street
from flight_sim.map_generation.draft import MapDraft

_OVERHANG = 20.0  # metres by which bent streets are painted beyond the border of the scene
_KERB_WIDTH = 0.25  # metres


def paint_surfaces(draft: MapDraft, streets: tuple[Street, ...], side: float) -> None:
    """Paint all verges, then all kerbs, then all carriageways, so that crossings stay open."""
    for street in streets:
        _paint(draft, street, side, "pavement" if street.pavement > 0.0 else "gravel", street.outer_half_width)
    for street in streets:
        if street.pavement > 0.0:
            _paint(draft, street, side, "concrete", street.carriageway + _KERB_WIDTH)
    for street in streets:
        _paint(draft, street, side, street.surface, street.carriageway)


def _paint(draft: MapDraft, street: Street, side: float, material: str, half: float) -> None:
    for copy in street.periodic_copies(side):
        strip = copy.strip(side, half=half, start=-_OVERHANG, stop=side + _OVERHANG)
        draft.marks.append(Patch(material, strip))
