"""Objects on the ground: from the boxes of one image, filtered along their tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perception_common.cameras.camera import Camera
from yolc_ros.georeference.camera_state import CameraState
from yolc_ros.georeference.contact import contact_points
from yolc_ros.georeference.geodesy import LocalFrame
from yolc_ros.georeference.ground_tracks import GroundTracks
from yolc_ros.georeference.projection import GroundPoints, errors_at, project
from yolc_ros.georeference.sensors import GeoreferenceSettings

_BORDER_PX = 2.0  # a box that ends so near the border of the image is cut off by it
_CUT_FOOTING = 0.5  # standard deviation of the place in such a box, as a share of its diagonal (empirical)


@dataclass(frozen=True, eq=False)
class GroundObjects:
    """Where N objects of one image stand; see GroundObject.msg. NaN where there is no place.

    ids: (N,), 0: no track. status: (N,) of `Status`. reasons: N texts. places: (N, 3), metres, ENU. covariances:
    (N, 3, 3), m^2. geodetic: (N, 3), latitude, longitude (degrees), height (metres). observations: (N,). moving: (N,)
    bool. velocities: (N, 3), m/s, and their covariances (N, 3, 3). frame: None before the first position.
    """

    ids: np.ndarray
    status: np.ndarray
    reasons: tuple[str, ...]
    places: np.ndarray
    covariances: np.ndarray
    geodetic: np.ndarray
    observations: np.ndarray
    moving: np.ndarray
    velocities: np.ndarray
    velocity_covariances: np.ndarray
    frame: LocalFrame | None


def locate(
    state: CameraState,
    camera: Camera,
    boxes: np.ndarray,
    class_names: Sequence[str],
    ids: Sequence[int],
    *,
    tracks: GroundTracks,
    stamp_ns: int,
    settings: GeoreferenceSettings,
) -> tuple[GroundPoints, GroundTracks]:
    """Return the places of boxes (N, 4), x0 y0 x1 y1 as in Detections, of this image, and the tracks after it."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    pixels, footing_px = contact_points(camera, state.rotation, boxes - 0.5, class_names)  # to centres at integers
    low, high = boxes[:, :2] <= _BORDER_PX, boxes[:, 2:] >= np.array([camera.width, camera.height]) - _BORDER_PX
    is_cut = (low | high).any(axis=1)
    diagonals = np.linalg.norm(boxes[:, 2:] - boxes[:, :2], axis=1)
    footing_px = np.where(is_cut, np.maximum(footing_px, _CUT_FOOTING * diagonals), footing_px)
    noise_px, max_range = settings.errors.pixel, settings.max_range
    points = project(state, camera, pixels, noise_px=noise_px, footing_px=footing_px, max_range=max_range)
    if not state.has_position:
        return points, tracks  # places of different images do not belong together
    predicted = tracks.predicted(stamp_ns, ids)
    known = errors_at(state, camera, points, predicted, noise_px=noise_px, footing_px=footing_px, max_range=max_range)
    return points, tracks.with_image(stamp_ns, ids, known)


def ground_objects(
    points: GroundPoints, ids: Sequence[int], tracks: GroundTracks, frame: LocalFrame | None, *, filtered: bool
) -> GroundObjects:
    """Put the places of an image together, those of tracks filtered if `filtered`."""
    count = len(points.places)
    places, covariances = points.places.copy(), points.covariances
    observations = points.located.astype(int)
    moving: np.ndarray = np.zeros(count, bool)
    velocities, velocity_covariances = np.zeros((count, 3)), np.zeros((count, 3, 3))
    for k, key in enumerate(ids):
        track = tracks.tracks.get(key) if filtered and points.located[k] else None
        if track is None:
            continue
        places[k], covariances[k] = track.place
        velocities[k], velocity_covariances[k] = track.velocity
        moving[k], observations[k] = track.is_moving, track.observations
    geodetic: np.ndarray = np.full((count, 3), np.nan)
    if frame is not None and filtered:
        geodetic[points.located] = frame.to_geodetic(places[points.located])
    return GroundObjects(
        ids=np.asarray(ids, int),
        status=points.status,
        reasons=points.reasons,
        places=places,
        covariances=covariances,
        geodetic=geodetic,
        observations=observations,
        moving=moving,
        velocities=velocities,
        velocity_covariances=velocity_covariances,
        frame=frame,
    )
