"""Finds the calibration that belongs to an image."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from perception_common.cameras.camera import Camera
from perception_common.cameras.plausibility import oddities
from perception_common.errors import InputError
from perception_common.stamps import stamp_ns


class CameraInfoBuffer:
    """The last `size` camera_info messages by stamp; thread-safe.

    camera_info may arrive later than its image, but a calibration rarely changes. So the message with the image's stamp
    is used if it has arrived, else the newest one.
    """

    def __init__(self, topic: str, size: int = 64):
        self._topic = topic
        self._size = size
        self._lock = threading.Lock()
        self._infos: OrderedDict[int, Any] = OrderedDict()

    def add(self, info: Any) -> None:
        """Store a sensor_msgs/CameraInfo."""
        with self._lock:
            self._infos[stamp_ns(info.header)] = info
            while len(self._infos) > self._size:
                self._infos.popitem(last=False)

    def camera(self, stamp_ns: int, width: int, height: int) -> Camera:
        """Return the camera of an image with this stamp and size (pixels).

        Raises InputError when no camera_info arrived, when it is not a calibration or when its size differs.
        """
        info = self._info(stamp_ns)
        if info is None:
            raise InputError(f"no camera_info on {self._topic}: relative poses need the calibration of the camera")
        try:
            camera = Camera.from_camera_info(info)
        except (InputError, ValueError, TypeError, OverflowError) as error:
            raise InputError(f"camera_info on {self._topic} cannot be used: {error}") from error
        if not camera.matches_size(width, height):
            binned = "; is the binning applied twice?" if (info.width, info.height) == (width, height) else ""
            raise InputError(
                f"camera_info on {self._topic} is for {camera.width}x{camera.height}, the image is {width}x{height}: "
                f"do they belong together?{binned}"
            )
        return camera

    def oddities(self, stamp_ns: int, image_frame: str) -> str:
        """Return in one line what is odd about the calibration that `camera` returned; empty for nothing.

        image_frame: frame_id of the image; empty: unknown.
        """
        info = self._info(stamp_ns)
        found = () if info is None else oddities(info, image_frame)
        return f"camera_info on {self._topic} is odd: {'; '.join(found)}" if found else ""

    def _info(self, stamp_ns: int) -> Any | None:
        with self._lock:
            return self._infos.get(stamp_ns) or next(reversed(self._infos.values()), None)
