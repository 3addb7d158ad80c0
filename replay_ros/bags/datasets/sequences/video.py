"""Video files as sequences of frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from perception_common.errors import InputError
from replay_ros.bags.datasets.sequences.frames import DEFAULT_START_NS, MAX_RATE, BrokenFrame, Frame, regular_stamp
from replay_ros.bags.datasets.sequences.images import is_image

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")


@dataclass(frozen=True)
class Video:
    """A video file; iterating decodes one frame at a time.

    count: frames according to the container, of which fewer may be decodable: only for a progress bar. rate: Hz.
    start_ns: stamp of the first frame. timing: where the stamps come from, for the user.
    """

    path: Path
    count: int
    rate: float
    start_ns: int
    timing: str

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Frame | BrokenFrame]:
        capture = _open_capture(self.path)
        try:
            index = 0
            while True:
                grabbed, image = capture.read()
                if not grabbed:
                    break
                yield Frame(f"frame {index}", regular_stamp(self.start_ns, self.rate, index), _as_bgr(image))
                index += 1
        finally:
            capture.release()
        if index < self.count:
            stamp_ns = regular_stamp(self.start_ns, self.rate, index)
            reason = f"{self.path}: the video ends before this frame; its container promises {self.count} frames"
            yield BrokenFrame(f"frame {index}", stamp_ns, reason)


def open_video(path: Path, *, rate: float | None, start_ns: int | None) -> Video:
    """Open a video file; see `open_sequence`. Raises InputError."""
    capture = _open_capture(path)
    try:
        own_rate = float(capture.get(cv2.CAP_PROP_FPS))
        count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        readable = capture.read()[0]
    finally:
        capture.release()
    if not readable:
        raise InputError(f"{path}: no frame can be decoded; convert it with `ffmpeg -i {path.name} video.mp4`")
    if rate is None and not 0.0 < own_rate <= MAX_RATE:
        raise InputError(f"{path} does not state its frame rate; give one")
    used_rate = own_rate if rate is None else rate
    return Video(
        path=path,
        count=count,
        rate=used_rate,
        start_ns=DEFAULT_START_NS if start_ns is None else start_ns,
        timing=f"{used_rate:g} Hz",
    )


def _open_capture(path: Path) -> cv2.VideoCapture:
    if is_image(path):  # OpenCV would open it as the first of numbered images
        raise InputError(f"{path} is a single image; give its folder, or a video file")
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise InputError(
            f"{path}: not a video that OpenCV can read; give a folder of images or one of {', '.join(VIDEO_SUFFIXES)}"
        )
    return capture


def _as_bgr(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image
