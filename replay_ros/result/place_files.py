"""Places of objects as files for maps: GeoJSON (RFC 7946) and KML (OGC 12-007r2)."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from perception_common.atomic_file import output_file
from perception_common.stamps import stamp_ns

_DIGITS = 8  # of degrees: a millimetre
_KML = "http://www.opengis.net/kml/2.2"


@dataclass(frozen=True, eq=False)
class PlacedObject:
    """An object over the images in which it was located; without a track, in one image.

    track_id: 0 without a track. stamps_ns: (K,). path: (K, 3), latitude, longitude (degrees), height above the
    ellipsoid (metres). covariance: (3, 3), of the last place, m^2, east, north, up. velocity: (3,), m/s; zeros at rest.
    """

    track_id: int
    class_name: str
    score: float
    stamps_ns: np.ndarray
    path: np.ndarray
    covariance: np.ndarray
    velocity: np.ndarray
    moving: bool
    observations: int

    @property
    def deviation_m(self) -> float:
        """Standard deviation along the longest axis over the ground, metres."""
        return math.sqrt(max(float(np.linalg.eigvalsh(self.covariance[:2, :2])[-1]), 0.0))


def placed_objects(messages: Iterable[Any]) -> list[PlacedObject]:
    """Return the objects of GroundObjectArray messages that have a latitude, by track, then those without a track."""
    tracks: dict[int, list[tuple[int, Any]]] = {}
    single: list[list[tuple[int, Any]]] = []
    for message in messages:
        for each in message.objects:
            if math.isfinite(each.latitude):
                seen = (stamp_ns(message.header), each)
                if each.track_id:
                    tracks.setdefault(int(each.track_id), []).append(seen)
                else:
                    single.append([seen])
    return [_placed(group) for group in (*(tracks[key] for key in sorted(tracks)), *single)]


def write_geojson(path: Path, objects: Sequence[PlacedObject]) -> None:
    """Write a point at the last place of each object, and a line along the path of those that move."""
    features = [_feature(each, "Point", _coordinates(each.path[-1])) for each in objects]
    features += [
        _feature(each, "LineString", [_coordinates(place) for place in each.path])
        for each in objects
        if each.moving and len(each.path) > 1
    ]
    with output_file(path) as unfinished:
        content = {"type": "FeatureCollection", "features": features}
        unfinished.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1), encoding="utf-8")


def write_kml(path: Path, objects: Sequence[PlacedObject]) -> None:
    """Write a placemark at the last place of each object, and a line along the path of those that move.

    Heights are left out: KML counts them from the sea, ours are above the ellipsoid. Objects lie on the ground.
    """
    ElementTree.register_namespace("", _KML)
    root = ElementTree.Element(f"{{{_KML}}}kml")
    document = _add(root, "Document")
    _add(document, "name", path.stem)
    for each in objects:
        mark = _add(document, "Placemark")
        _add(mark, "name", _name(each))
        _add(mark, "description", f"standard deviation {each.deviation_m:.1f} m, {each.observations} observations")
        _add(_add(mark, "TimeStamp"), "when", _time(each.stamps_ns[-1]))
        _add(_add(mark, "Point"), "coordinates", _kml_coordinates(each.path[-1:]))
        if each.moving and len(each.path) > 1:
            mark = _add(document, "Placemark")
            _add(mark, "name", f"path of {_name(each)}")
            line = _add(mark, "LineString")
            _add(line, "tessellate", "1")
            _add(line, "coordinates", _kml_coordinates(each.path))
    ElementTree.indent(root)
    with output_file(path) as unfinished:
        ElementTree.ElementTree(root).write(unfinished, encoding="utf-8", xml_declaration=True)


def _placed(seen: Sequence[tuple[int, Any]]) -> PlacedObject:
    _, last = seen[-1]
    velocity = last.velocity
    return PlacedObject(
        track_id=int(last.track_id),
        class_name=str(last.detection.class_name),
        score=float(last.detection.score),
        stamps_ns=np.array([stamp for stamp, _ in seen], np.int64),
        path=np.array([(each.latitude, each.longitude, each.height) for _, each in seen], np.float64),
        covariance=np.array(last.covariance, np.float64).reshape(3, 3),
        velocity=np.array([velocity.x, velocity.y, velocity.z], np.float64),
        moving=bool(last.moving),
        observations=int(last.observations),
    )


def _feature(each: PlacedObject, kind: str, coordinates: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": {
            "name": _name(each),
            "track_id": each.track_id or None,
            "class": each.class_name,
            "score": round(each.score, 3),
            "first": _time(each.stamps_ns[0]),
            "last": _time(each.stamps_ns[-1]),
            "observations": each.observations,
            "deviation_m": round(each.deviation_m, 3),
            "covariance_m2": [round(value, 4) for value in each.covariance.ravel().tolist()],
            "moving": each.moving,
            "velocity_mps": [round(value, 3) for value in each.velocity.tolist()],
        },
    }


def _coordinates(place: np.ndarray) -> list[float]:
    """Longitude, latitude, height, in the order of GeoJSON."""
    return [round(float(place[1]), _DIGITS), round(float(place[0]), _DIGITS), round(float(place[2]), 3)]


def _kml_coordinates(path: np.ndarray) -> str:
    return " ".join(f"{longitude:.{_DIGITS}f},{latitude:.{_DIGITS}f}" for latitude, longitude, _ in path.tolist())


def _name(each: PlacedObject) -> str:
    return f"{each.class_name} {each.track_id}" if each.track_id else each.class_name


def _time(stamp: int) -> str:
    return datetime.fromtimestamp(int(stamp) / 1e9, timezone.utc).isoformat(timespec="milliseconds")


def _add(parent: ElementTree.Element, name: str, text: str | None = None) -> ElementTree.Element:
    """Add an element; characters that XML does not allow are left out of its text."""
    element = ElementTree.SubElement(parent, f"{{{_KML}}}{name}")
    if text is not None:
        element.text = "".join(c for c in text if c >= " " or c in "\t\n")
    return element
