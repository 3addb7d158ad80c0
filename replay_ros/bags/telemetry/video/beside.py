"""The telemetry beside a video: which file it is, and what it says at the time of a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from perception_common.errors import InputError
from perception_common.geometry import so3_exp, so3_log
from replay_ros.bags.datasets.sequences.frames import BrokenFrame
from replay_ros.bags.datasets.sequences.video import Video
from replay_ros.bags.telemetry.flight import FrameTelemetry, describe, in_local_frame
from replay_ros.bags.telemetry.readings import Telemetry
from replay_ros.bags.telemetry.video.log_table import read_log_table
from replay_ros.bags.telemetry.video.subtitles import read_subtitles

SUFFIXES = (".srt", ".csv")
MIN_GAP_NS = 100_000_000  # between two readings that are kept: positions come ten times a second at most
MAX_GAP_NS = 2_000_000_000  # between two readings; the slowest subtitles come once a second


@dataclass(frozen=True, eq=False)
class StampedTelemetry:
    """Telemetry over time. stamps_ns: (N,) int64, ascending, of the bag. frames: N."""

    stamps_ns: np.ndarray
    frames: tuple[FrameTelemetry, ...]

    def at(self, name: str, stamp_ns: int) -> FrameTelemetry | None:
        """Return the telemetry at a stamp, interpolated over a gap of at most MAX_GAP_NS; else None.

        A frame behind the last reading has that reading, for as long.
        """
        after = int(np.searchsorted(self.stamps_ns, stamp_ns))
        if after < len(self.stamps_ns) and self.stamps_ns[after] == stamp_ns:
            return self.frames[after]
        if after == 0:
            return None
        gap = stamp_ns - int(self.stamps_ns[after - 1])
        if after == len(self.stamps_ns):
            return self.frames[-1] if gap <= MAX_GAP_NS else None
        span = int(self.stamps_ns[after] - self.stamps_ns[after - 1])
        if span > MAX_GAP_NS:
            return None
        return between(self.frames[after - 1], self.frames[after], gap / span)


@dataclass(frozen=True, eq=False)
class VideoTelemetry:
    """telemetry: over the time of the video. notes: what the user should know, one sentence each."""

    telemetry: StampedTelemetry
    notes: tuple[str, ...]


def find_beside(video: Path) -> Path | None:
    """Return the file of telemetry beside a video, DJI_0001.SRT beside DJI_0001.MP4; None: there is none."""
    for suffix in SUFFIXES:
        for name in (suffix, suffix.upper()):
            if (path := video.with_suffix(name)).is_file():
                return path
    return None


def read_beside(video: Video, *, has_camera: bool = False) -> VideoTelemetry | None:
    """Read the telemetry beside a video; None where there is no such file. Raises InputError for one that is no use.

    has_camera: a calibration is given, so that nothing is said of the lens.
    """
    path = find_beside(video.path)
    if path is None:
        return None
    if not video.has_times:
        raise InputError(f"{path.name} does not fit frames at a rate that was given or made up")
    readings = read_subtitles(path, _size(video)) if path.suffix.lower() == ".srt" else read_log_table(path)
    kept = thinned(readings)
    frames = in_local_frame({f"{time / 1e9:.3f} s": reading for time, reading in kept.items()})
    stamps = np.array([video.start_ns + time for time in kept], np.int64)
    named = dict(zip(frames, kept.values(), strict=True))
    notes = (
        f"telemetry of {path.name}: {len(frames)} of {len(readings)} readings, {MIN_GAP_NS / 1e9:g} s apart or more",
        *describe(named, has_camera=has_camera),
        "the yaw of the camera is not compared with the pictures of a video",
    )
    return VideoTelemetry(StampedTelemetry(stamps, tuple(frames.values())), notes)


def thinned(readings: Sequence[Telemetry]) -> dict[int, Telemetry]:
    """Return readings by their time, nanoseconds, ascending, each MIN_GAP_NS or more after the one before."""
    kept: dict[int, Telemetry] = {}
    last = -MIN_GAP_NS
    for reading in sorted(readings, key=lambda each: each.time_ns or 0):
        if reading.time_ns is not None and reading.time_ns - last >= MIN_GAP_NS:
            last = reading.time_ns
            kept[last] = reading
    return kept


def between(a: FrameTelemetry, b: FrameTelemetry, share: float) -> FrameTelemetry:
    """Return the telemetry at `share` (0 to 1) of the time from a to b; None in either is None."""
    position = None
    if a.position is not None and b.position is not None:
        latitude, longitude = (
            (1 - share) * getattr(a.position, name) + share * getattr(b.position, name)
            for name in ("latitude", "longitude")
        )
        position = replace(a.position, latitude=latitude, longitude=longitude)
        if a.position.altitude is not None and b.position.altitude is not None:
            position = replace(position, altitude=(1 - share) * a.position.altitude + share * b.position.altitude)
    rotation = None
    if a.rotation is not None and b.rotation is not None:
        rotation = a.rotation @ so3_exp(share * so3_log(a.rotation.T @ b.rotation))
    location = None if a.location is None or b.location is None else (1 - share) * a.location + share * b.location
    height = None if a.height is None or b.height is None else (1 - share) * a.height + share * b.height
    return replace(
        a,
        position=position,
        location=location,
        location_deviations=None if location is None else a.location_deviations,
        height=height,
        height_deviation=None if height is None else a.height_deviation,
        rotation=rotation,
        rotation_covariance=None if rotation is None else a.rotation_covariance,
    )


def _size(video: Video) -> tuple[int, int]:
    """Return width and height of the first frame that can be decoded, pixels; 16 by 9 where there is none."""
    for frame in video:
        if not isinstance(frame, BrokenFrame):
            return frame.image.shape[1], frame.image.shape[0]
    return 16, 9
