"""The map of the objects on the ground, next to the true ones where the bag has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from perception_common.errors import InputError
from replay_ros.report.content.plots import GroundMap, MappedObject
from replay_ros.report.reading.recording import RecordedReplay
from yolc_ros.georeference.geodesy import LocalFrame


def ground_map(recording: RecordedReplay) -> GroundMap | None:
    """Return the map; None where no object has a place."""
    tracks: dict[tuple[int, int, int], list[tuple[int, Any]]] = {}
    for position, message in sorted((recording.objects or {}).items()):
        for number, each in enumerate(message.objects):
            if np.isfinite(each.position.x):
                key = (int(each.track_id), 0, 0) if each.track_id else (0, position, number)
                tracks.setdefault(key, []).append((position, each))
    if not tracks:
        return None
    frame = next((found for found in map(_frame_of, (recording.objects or {}).values()) if found is not None), None)
    about = "East and north of the point below the camera: the position of the vehicle is unknown."
    if frame is not None:
        about = f"East and north of {frame.latitude:.6f}, {frame.longitude:.6f}."
    return GroundMap(
        about, tuple(_mapped(seen) for _, seen in sorted(tracks.items())), _true_places(recording.true_objects, frame)
    )


def _mapped(seen: list[tuple[int, Any]]) -> MappedObject:
    _, last = seen[-1]
    name = str(last.detection.class_name)
    return MappedObject(
        name=f"{name} {last.track_id}" if last.track_id else name,
        class_id=int(last.detection.class_id),
        class_name=name,
        path=np.array([(each.position.x, each.position.y) for _, each in seen], np.float64),
        frames=np.array([position for position, _ in seen], int),
        covariance=np.array(last.covariance, np.float64).reshape(3, 3)[:2, :2],
        moving=bool(last.moving),
    )


def _true_places(messages: Mapping[int, Any] | None, frame: LocalFrame | None) -> np.ndarray:
    """Return the places (M, 2) of the true objects in the local frame of the others; none without pymap3d."""
    places: list[np.ndarray] = []
    for message in (messages or {}).values():
        origin = _frame_of(message)
        if origin is None or frame is None or not message.objects:
            continue
        positions = [(each.position.x, each.position.y, each.position.z) for each in message.objects]
        try:
            places.append(frame.to_enu(*origin.to_geodetic(np.array(positions)).T)[:, :2])
        except InputError:
            return np.zeros((0, 2))
    return np.concatenate(places) if places else np.zeros((0, 2))


def _frame_of(message: Any) -> LocalFrame | None:
    origin = (float(message.origin_latitude), float(message.origin_longitude), float(message.origin_height))
    return LocalFrame(*origin) if np.isfinite(origin).all() else None
