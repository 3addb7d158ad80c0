"""Finds the calibration that belongs to an image."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from perception_common.cameras.camera import Camera
from perception_common.cameras.plausibility import oddities
from perception_common.errors import InputError
from perception_common.stamps import stamp_ns


@dataclass(frozen=True, eq=False)
class _Calibration:
    """A usable message and its camera."""

    info: Any
    camera: Camera


class CameraInfoBuffer:
    """The calibrations of the last `size` camera_info messages by stamp; thread-safe.

    camera_info may arrive later than its image, but a calibration rarely changes. So the message with the image's stamp
    is used if it has arrived, else the newest one. Messages that are no calibration (drivers publish zeros until theirs
    is loaded) or are for another image size never hide a usable one.
    """

    def __init__(self, topic: str, size: int = 64):
        self._topic = topic
        self._size = size
        self._lock = threading.Lock()
        self._exact: OrderedDict[int, _Calibration] = OrderedDict()  # by stamp
        self._newest: OrderedDict[tuple[int, int], _Calibration] = OrderedDict()  # by size, the newest last
        self._problem = ""  # of the newest message that is no calibration

    def add(self, info: Any) -> None:
        """Store the calibration of a sensor_msgs/CameraInfo."""
        try:
            camera = Camera.from_camera_info(info)
        except (InputError, ValueError, TypeError, OverflowError) as error:
            with self._lock:
                self._problem = str(error)
            return
        calibration = _Calibration(info, camera)
        with self._lock:
            _put(self._exact, stamp_ns(info.header), calibration, self._size)
            _put(self._newest, (camera.width, camera.height), calibration, self._size)

    def camera(self, stamp_ns: int, width: int, height: int) -> Camera:
        """Return the camera of an image with this stamp and size (pixels).

        Raises InputError when no camera_info arrived, when none is a calibration and when none is for this size.
        """
        with self._lock:
            exact, newest = self._exact.get(stamp_ns), self._newest.get((width, height))
            other, problem = next(reversed(self._newest.values()), None), self._problem
        if exact is not None and exact.camera.matches_size(width, height):
            return exact.camera
        if newest is not None:
            return newest.camera
        if other is not None:
            is_binned = (other.info.width, other.info.height) == (width, height)
            raise InputError(
                f"camera_info on {self._topic} is for {other.camera.width}x{other.camera.height}, the image is "
                f"{width}x{height}: do they belong together?{' is the binning applied twice?' if is_binned else ''}"
            )
        if problem:
            raise InputError(f"camera_info on {self._topic} cannot be used: {problem}")
        raise InputError(f"no camera_info on {self._topic}: relative poses need the calibration of the camera")

    def oddities(self, stamp_ns: int, width: int, height: int, image_frame: str) -> str:
        """Return in one line what is odd about the calibration that `camera` returned; empty for nothing.

        image_frame: frame_id of the image; empty: unknown.
        """
        with self._lock:
            exact, used = self._exact.get(stamp_ns), self._newest.get((width, height))
            newest = next(reversed(self._newest.values()), None)
        if exact is not None and exact.camera.matches_size(width, height):
            used = exact
        found = [] if used is None else list(oddities(used.info, image_frame))
        if used is not None and newest is not None and not newest.camera.matches_size(width, height):
            found.append(
                f"the newest one is for {newest.camera.width}x{newest.camera.height}, the image is {width}x{height}: "
                "an earlier one is used; do two cameras publish it?"
            )
        return f"camera_info on {self._topic} is odd: {'; '.join(found)}" if found else ""


def _put(calibrations: OrderedDict[Any, _Calibration], key: Any, calibration: _Calibration, size: int) -> None:
    """Make `calibration` the newest of at most `size`."""
    calibrations[key] = calibration
    calibrations.move_to_end(key)
    if len(calibrations) > size:
        calibrations.popitem(last=False)
