"""Finds the calibration that belongs to an image."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.stamps import stamp_ns


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
        self._cameras: OrderedDict[int, Camera] = OrderedDict()  # by stamp
        self._newest: OrderedDict[tuple[int, int], Camera] = OrderedDict()  # by width and height, the newest last
        self._problem = ""  # of the newest message that is no calibration

    def add(self, info: Any) -> None:
        """Store the calibration of a sensor_msgs/CameraInfo."""
        try:
            camera = Camera.from_camera_info(info)
        except InputError as error:
            with self._lock:
                self._problem = str(error)
            return
        with self._lock:
            _put(self._cameras, stamp_ns(info.header), camera, self._size)
            _put(self._newest, (camera.width, camera.height), camera, self._size)

    def camera(self, stamp_ns: int, width: int, height: int) -> Camera:
        """Return the camera of an image with this stamp and size (pixels).

        Raises InputError when no camera_info arrived, when none is a calibration and when none is for this size.
        """
        with self._lock:
            exact, newest = self._cameras.get(stamp_ns), self._newest.get((width, height))
            other, problem = next(reversed(self._newest.values()), None), self._problem
        if exact is not None and exact.matches_size(width, height):
            return exact
        if newest is not None:
            return newest
        if other is not None:
            raise InputError(
                f"camera_info on {self._topic} is for {other.width}x{other.height}, the image is {width}x{height}: "
                "do they belong together?"
            )
        if problem:
            raise InputError(f"camera_info on {self._topic} cannot be used: {problem}")
        raise InputError(f"no camera_info on {self._topic}: relative poses need the calibration of the camera")


def _put(cameras: OrderedDict[Any, Camera], key: Any, camera: Camera, size: int) -> None:
    """Make `camera` the newest of at most `size` cameras."""
    cameras[key] = camera
    cameras.move_to_end(key)
    if len(cameras) > size:
        cameras.popitem(last=False)
