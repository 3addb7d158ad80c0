"""A recording on disk, independent of its format: cameras, depth, IMU samples and ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from perception_common.errors import InputError
from perception_common.images.pictures.files import read_depth
from perception_common.tum import Trajectory
from replay_ros.bags.datasets.calibration import Calibration
from replay_ros.bags.datasets.ground_truth import StampedPoses
from replay_ros.bags.datasets.sequences.images import ImageFolder
from replay_ros.bags.datasets.sequences.video import Video

IDENTITY = np.eye(4)


@dataclass(frozen=True)
class FrameTiming:
    """Timing of a source without stamps. rate: Hz. start_ns: first stamp, nanoseconds. None: not given."""

    rate: float | None = None
    start_ns: int | None = None


@dataclass(frozen=True, eq=False)
class CameraStream:
    """One camera of a recording.

    name: that of its folder. calibration: None where the recording has none. is_gray: its images have one channel.
    T_base_optical: (4, 4) float64, pose of the optical frame in the base frame of the recording.
    """

    name: str
    sequence: ImageFolder | Video
    calibration: Calibration | None = None
    is_gray: bool = False
    T_base_optical: np.ndarray = field(default_factory=IDENTITY.copy)


@dataclass(frozen=True)
class DepthImages:
    """Depth images, 16 bits, registered to the first camera. stamps_ns: nanoseconds. A pixel of 0 is unknown."""

    files: tuple[Path, ...]
    stamps_ns: tuple[int, ...]
    units_per_metre: float

    def read(self, file: Path) -> np.ndarray:
        """Return the depth in metres, (H, W) float32, NaN where unknown (REP-118). Raises InputError."""
        image = read_depth(file)
        metres = image.astype(np.float64) / self.units_per_metre
        metres[image == 0] = np.nan
        return metres.astype(np.float32)


@dataclass(frozen=True, eq=False)
class ImuSamples:
    """Samples of an IMU, in its own frame.

    stamps_ns: (N,) int64, ascending. rates: (N, 3) float64, rad/s. accelerations: (N, 3) float64, m/s^2, with gravity.
    T_base_imu: (4, 4) float64, pose of the IMU in the base frame of the recording.
    """

    stamps_ns: np.ndarray
    rates: np.ndarray
    accelerations: np.ndarray
    T_base_imu: np.ndarray


@dataclass(frozen=True)
class TrueBox:
    """A labelled object. corner_and_size: left, top, width, height, pixels of the upright image.

    is_scored: whether an evaluation counts it; ignored regions are not scored. track_id: from 0, the same in all images
    of the recording; of an ignored region without meaning.
    """

    corner_and_size: tuple[float, float, float, float]
    class_id: int
    class_name: str
    is_scored: bool
    track_id: int


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording of one or more cameras.

    what: the recognised format, in words. cameras: at least one; depth, objects and true poses belong to the first.
    poses: of the base frame in the world ("map", z up); None without ground truth. base_frame: the frame to which
    T_base_optical refers; empty when that is the camera itself. objects: by the file name of their image; images
    without an entry have no objects; None: not labelled. notes: what the user should know, one sentence each.
    """

    what: str
    cameras: tuple[CameraStream, ...]
    poses: Trajectory | None = None
    base_frame: str = ""
    depth: DepthImages | None = None
    imu: ImuSamples | None = None
    objects: Mapping[str, tuple[TrueBox, ...]] | None = None
    notes: tuple[str, ...] = ()

    def optical_poses(self) -> StampedPoses | None:
        """Return the poses of the first camera's optical frame in the world; None without ground truth."""
        T_base_optical = self.cameras[0].T_base_optical
        if self.poses is None:
            return None
        if np.array_equal(T_base_optical, IDENTITY):
            return StampedPoses(self.poses)
        return StampedPoses(Trajectory.from_matrices(self.poses.stamps_ns, self.poses.matrices() @ T_base_optical))


def choose_cameras(recording: Recording, names: tuple[str, ...]) -> Recording:
    """Keep the cameras of these names, in this order. Raises InputError for an unknown name, and for none.

    Depth and objects belong to the first camera of a recording: they are dropped when another one becomes the first.
    """
    known = {camera.name: camera for camera in recording.cameras}
    missing = [name for name in names if name not in known]
    if missing or not names:
        problem = f"there is no camera {', '.join(missing)}" if missing else "no camera is chosen"
        raise InputError(f"{problem}; {recording.what} has {', '.join(known)}")
    chosen = tuple(known[name] for name in dict.fromkeys(names))
    if chosen[0] is recording.cameras[0]:
        return replace(recording, cameras=chosen)
    return replace(recording, cameras=chosen, depth=None, objects=None)
