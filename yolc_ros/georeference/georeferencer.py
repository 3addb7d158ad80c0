"""Georeferencing of a stream of images: sensors in, objects on the ground out. The node and the replay use it alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from yolc_ros.georeference.geodesy import check_geodesy
from yolc_ros.georeference.ground_tracks import GroundTracks, TrackSettings
from yolc_ros.georeference.height_grid import check_height_grid
from yolc_ros.georeference.objects import GroundObjects, ground_objects, locate
from yolc_ros.georeference.projection import GroundPoints, Status
from yolc_ros.georeference.sensors import GeoreferenceSettings, PlaceSensors, UnlocatedError


def check_georeferencing(settings: GeoreferenceSettings) -> None:
    """Raise InputError where a package is missing, and for a height grid that cannot be read."""
    check_geodesy()
    if settings.height_grid is not None:
        check_height_grid(settings.height_grid)


class Georeferencer:
    """Locates the objects of images in order; call `check_georeferencing` first.

    problem: why the last image has no places, in words; empty where it has.
    """

    def __init__(self, sensors: PlaceSensors):
        self.problem = ""
        self._sensors = sensors
        self._tracks = _no_tracks(sensors.place_settings)

    def forget(self) -> None:
        """Forget the tracks, as where stamps jump back."""
        self._tracks = _no_tracks(self._sensors.place_settings)

    def locate(
        self,
        stamp_ns: int,
        frame_id: str,
        camera: Callable[[], Camera],
        boxes: np.ndarray,
        class_names: Sequence[str],
        ids: Sequence[int] | None = None,
    ) -> GroundObjects:
        """Locate the boxes (N, 4) of an image, x0 y0 x1 y1, pixels as in Detections.

        frame_id: of the image. camera: returns its calibration, or raises InputError. ids: of the tracks; None: there
        are none, each box stands for itself.
        """
        ids = [0] * len(boxes) if ids is None else ids
        settings, self.problem, filtered = self._sensors.place_settings, "", False
        try:
            state = self._sensors.state(stamp_ns, frame_id)
            tracks = replace(self._tracks, settings=TrackSettings(settings.errors.constant_shares))
            points, self._tracks = locate(
                state, camera(), boxes, class_names, ids, tracks=tracks, stamp_ns=stamp_ns, settings=settings
            )
            filtered = state.has_position
            self.problem = "" if filtered else "no position of the vehicle: places are from the point below the camera"
        except UnlocatedError as refused:
            self.problem = str(refused)
            points = GroundPoints.nowhere(len(boxes), refused.status, self.problem)
        except InputError as error:  # no calibration, or no height grid
            self.problem = str(error)
            points = GroundPoints.nowhere(len(boxes), Status.GROUND_UNKNOWN, self.problem)
        return ground_objects(points, ids, self._tracks, self._sensors.frame, filtered=filtered)


def _no_tracks(settings: GeoreferenceSettings) -> GroundTracks:
    return GroundTracks(TrackSettings(settings.errors.constant_shares))
