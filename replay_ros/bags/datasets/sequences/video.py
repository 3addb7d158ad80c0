"""Video files as sequences of frames, with the times that their container states."""

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
_TRIES = 100  # frames that cannot be decoded in a row, after which the video ends; empirical
_PROBED = 10  # frames whose times tell whether the container states any, and whether they are regular
_LATEST_MS = 1e9  # milliseconds, 11 days: a later time is one that OpenCV makes of a missing one


@dataclass(frozen=True)
class Video:
    """A video file; iterating decodes one frame at a time.

    count: frames according to the container, which may be estimated: only for a progress bar. rate: Hz, of the frames.
    has_times: the stamps are the times of the container, and `rate` only tells when the video should end; else they are
    made up. start_ns: stamp of the first frame. timing: where the stamps come from, for the user. notes: what the user
    should know, one sentence each.

    The pixels are upright: OpenCV applies the rotation that the container states.
    """

    path: Path
    count: int
    rate: float
    has_times: bool
    start_ns: int
    timing: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Frame | BrokenFrame]:
        """Yield the frames; those that cannot be decoded are broken, and the others keep their times."""
        capture = _open_capture(self.path)
        rotation = int(capture.get(cv2.CAP_PROP_ORIENTATION_META))
        turned = f"rotation {rotation} degrees in the container" if rotation else ""
        index, stamp_ns = 0, self.start_ns - 1  # stamp_ns: of the frame before
        waiting: list[BrokenFrame] = []  # at the end of a video there is nothing to decode either
        try:
            while len(waiting) < _TRIES:
                name, before_ns = f"frame {index}", stamp_ns
                decoded, image = capture.read()
                if not decoded:
                    waiting.append(BrokenFrame(name, stamp_ns + 1, f"{self.path}, {name}: it cannot be decoded"))
                    index += 1
                    continue
                yield from waiting
                waiting.clear()
                index += 1
                stamp_ns = self._stamp(index - 1, capture)
                if stamp_ns <= before_ns:
                    reason = f"{self.path}, {name}: its time is not after that of the frame before"
                    stamp_ns = before_ns
                    yield BrokenFrame(name, before_ns, reason)
                    continue
                yield Frame(name, stamp_ns, _as_bgr(image), turned)
        finally:
            capture.release()
        yield from self._missing_end(index - len(waiting), stamp_ns)

    def _stamp(self, index: int, capture: cv2.VideoCapture) -> int:
        if not self.has_times:
            return regular_stamp(self.start_ns, self.rate, index)
        return self.start_ns + round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)

    def _missing_end(self, index: int, last_ns: int) -> Iterator[BrokenFrame]:
        """Yield a broken frame where the video ends before its container says.

        index, last_ns: number of frames, and stamp of the last one. Matroska states a duration and no number of frames.
        """
        end_ns = regular_stamp(self.start_ns, self.rate, self.count)
        if index < self.count and end_ns - last_ns > 1.5e9 / self.rate:
            last_s, end_s = ((stamp_ns - self.start_ns) / 1e9 for stamp_ns in (last_ns, end_ns))
            reason = f"{self.path}: the video ends with a frame at {last_s:.3f} s, its container says {end_s:.3f} s"
            yield BrokenFrame(f"frame {index}", last_ns + 1, reason)


def open_video(path: Path, *, rate: float | None, start_ns: int | None) -> Video:
    """Open a video file; see `open_sequence`. Raises InputError."""
    capture = _open_capture(path)
    try:
        own_rate = float(capture.get(cv2.CAP_PROP_FPS))
        count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        times = _first_times(capture)
    finally:
        capture.release()
    if not times:
        raise InputError(f"{path}: no frame can be decoded; convert it with `ffmpeg -i {path.name} video.mp4`")
    has_rate = 0.0 < own_rate <= MAX_RATE
    has_times = rate is None and _are_times(times)
    if rate is None and not has_rate and not has_times:
        raise InputError(f"{path} states neither times nor a frame rate; give one")
    used_rate = rate or (own_rate if has_rate else 1000 / float(np.diff(times).max(initial=100.0)))
    if has_times:
        timing = "times from the video"
    elif rate is not None:
        timing = f"times made up: {used_rate:g} Hz, as given"
    else:
        timing = f"times made up: {used_rate:g} Hz, the rate of the video, which states no times"
    return Video(
        path=path,
        count=count,
        rate=used_rate,
        has_times=has_times,
        start_ns=DEFAULT_START_NS if start_ns is None else start_ns,
        timing=timing,
    )


def _first_times(capture: cv2.VideoCapture) -> list[float]:
    """Return the times of the first frames that can be decoded, milliseconds."""
    times: list[float] = []
    for _ in range(_TRIES):
        if len(times) == _PROBED:
            break
        if capture.read()[0]:
            times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    return times


def _are_times(times: list[float]) -> bool:
    """Tell whether times are those of a video: from 0 on, and ascending. A single frame has no time of interest."""
    return all(0.0 <= time < _LATEST_MS for time in times) and all(np.diff(times) > 0)


def _open_capture(path: Path) -> cv2.VideoCapture:
    if is_image(path):  # OpenCV would open it as the first of numbered images
        raise InputError(f"{path} is a single image; give its folder, or a video file")
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise InputError(
            f"{path}: not a video that OpenCV can read; give a folder of images or one of {', '.join(VIDEO_SUFFIXES)}"
        )
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture


def _as_bgr(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image
