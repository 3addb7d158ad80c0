"""What a recording on disk holds, whatever its format: cameras, true poses, and what else goes into a bag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from perception_common.errors import InputError
from perception_common.tum import Trajectory
from replay_ros.bags.datasets.calibration import Calibration
from replay_ros.bags.datasets.ground_truth import StampedPoses
from replay_ros.bags.datasets.sequences import ImageFolder, Video, is_complete

IDENTITY = np.eye(4)


@dataclass(frozen=True)
class FrameTiming:
    """How the frames of a source without stamps follow each other. rate: Hz. start_ns: first stamp. None: not given."""

    rate: float | None = None
    start_ns: int | None = None


@dataclass(frozen=True, eq=False)
class CameraStream:
    """One camera of a recording.

    name: as its folder is called. calibration: None where the recording has none. is_gray: its images have one channel.
    T_base_optical: (4, 4) float64, pose of the optical frame in the frame whose poses are known.
    """

    name: str
    sequence: ImageFolder | Video
    calibration: Calibration | None = None
    is_gray: bool = False
    T_base_optical: np.ndarray = field(default_factory=IDENTITY.copy)


@dataclass(frozen=True)
class DepthImages:
    """Depth images registered to the first camera. units_per_metre: what their 16 bits count; 0 stands for unknown."""

    files: tuple[Path, ...]
    stamps_ns: tuple[int, ...]
    units_per_metre: float

    def read(self, file: Path) -> np.ndarray:
        """Return the depth in metres, (H, W) float32, NaN where it is unknown (REP-118). Raises InputError."""
        try:
            data = file.read_bytes()
        except OSError as error:
            raise InputError(f"{file}: cannot be read ({error.strerror})") from error
        if not data or not is_complete(data):
            raise InputError(f"{file}: the depth image is cut short; copy it again or remove it")
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None or image.dtype != np.uint16 or image.ndim != 2:
            raise InputError(f"{file}: no depth image (16 bits, one channel)")
        metres = image.astype(np.float64) / self.units_per_metre
        metres[image == 0] = np.nan
        return metres.astype(np.float32)


@dataclass(frozen=True, eq=False)
class ImuSamples:
    """stamps_ns: (N,) int64, ascending. rates: (N, 3) rad/s. accelerations: (N, 3) m/s^2, gravity included."""

    stamps_ns: np.ndarray
    rates: np.ndarray
    accelerations: np.ndarray
    T_base_imu: np.ndarray


@dataclass(frozen=True)
class TrueBox:
    """A labelled object. corner_and_size: left, top, width, height, pixels of the image as stored.

    label: index of its class, name: of its class. is_scored: an evaluation counts it; ignored regions are not scored.
    """

    corner_and_size: tuple[float, float, float, float]
    label: int
    name: str
    is_scored: bool


@dataclass(frozen=True, eq=False)
class Recording:
    """All that is known of a recording.

    what: what the source was recognised as, in words. cameras: at least one; the first is the one with depth, true
    poses and objects. poses: of the base frame in the world ("map", z up); None where there is no truth.
    base_frame: name of the frame to which T_base_optical refers, empty when that is the camera itself.
    objects: by file name of the image of the first camera; a name that is missing has no objects. None: not labelled.
    notes: what the user should know, one sentence each.
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
        """Return the poses of the first camera's optical frame in the world."""
        T_base_optical = self.cameras[0].T_base_optical
        if self.poses is None or np.array_equal(T_base_optical, IDENTITY):
            return None if self.poses is None else StampedPoses(self.poses)
        return StampedPoses(Trajectory.from_matrices(self.poses.stamps_ns, self.poses.matrices() @ T_base_optical))


def choose_cameras(recording: Recording, names: tuple[str, ...]) -> Recording:
    """Keep the cameras of these names, in this order. Raises InputError for a name that is not there.

    Depth and objects belong to the first camera of a recording: they go when another one takes its place.
    """
    known = {camera.name: camera for camera in recording.cameras}
    missing = [name for name in names if name not in known]
    if missing or not names:
        raise InputError(f"there is no camera {', '.join(missing) or 'named'}; {recording.what} has {', '.join(known)}")
    chosen = tuple(known[name] for name in dict.fromkeys(names))
    if chosen[0] is recording.cameras[0]:
        return replace(recording, cameras=chosen)
    return replace(recording, cameras=chosen, depth=None, objects=None)
