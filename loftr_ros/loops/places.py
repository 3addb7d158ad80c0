"""Places: what is known of each keyframe of the trajectory for the search for loops. It outlives the features."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np

from loftr_ros.geometry.triangulation import depths
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.loops.drift import step_covariance, step_twist
from loftr_ros.results import PairResult, TrajectoryPose
from loftr_ros.trajectory.chain import MAX_POSES
from perception_common.cameras.camera import Camera

_MIN_PARALLAX_DEG = 0.5  # of a pair whose depths are used (empirical)


@dataclass(frozen=True, eq=False)
class Place:
    """A keyframe on the trajectory.

    T_map_camera: (4, 4). camera: None where it is unknown. depth: of the scene along the optical axis, in units of the
    map; None until a pair measured it. descriptor: (D,). section: number of the part of the trajectory, which failed
    steps divide. twist: (6, 6), covariance of the sum of the steps from the start of the section, see drift.py. parent:
    id of the keyframe from which the last step came, None at a start.
    """

    id: int
    T_map_camera: np.ndarray
    camera: Camera | None
    depth: float | None
    descriptor: np.ndarray
    section: int
    twist: np.ndarray
    parent: int | None


class Places:
    """The places of a trajectory, oldest first; the newest MAX_POSES of them."""

    def __init__(self) -> None:
        self._places: OrderedDict[int, Place] = OrderedDict()
        self._path: set[int] = set()  # from the newest place back to the start of its section
        self._sections = 0

    def __len__(self) -> int:
        """Count the places."""
        return len(self._places)

    def __getitem__(self, keyframe_id: int) -> Place:
        """Return the place of a keyframe. Raises KeyError for an unknown one."""
        return self._places[keyframe_id]

    @property
    def all(self) -> tuple[Place, ...]:
        """All places, oldest first."""
        return tuple(self._places.values())

    @property
    def newest(self) -> Place | None:
        """The newest place."""
        return next(reversed(self._places.values()), None)

    def start(self, pose: TrajectoryPose, descriptor: np.ndarray) -> None:
        """Add a keyframe that no step leads to: a new section of the trajectory begins."""
        newest = self.newest
        depth = None if newest is None else newest.depth
        self._sections += 1
        self._path = set()
        self._add(_place(pose, descriptor, depth, self._sections, np.zeros((6, 6)), parent=None))

    def extend(self, pose: TrajectoryPose, descriptor: np.ndarray, pair: PairResult) -> None:
        """Add the newer keyframe of the pair that extended the trajectory to `pose`."""
        older = self._places.get(pair.older.id)
        if older is None or pair.motion.geometry == Geometry.FAILED:
            self.start(pose, descriptor)
            return
        length = float(np.linalg.norm(pose.T_map_camera[:3, 3] - older.T_map_camera[:3, 3]))
        measured = _depths_of(pair, length)
        if measured is not None and older.depth is None:
            self._places[older.id] = replace(older, depth=measured[0])
        depth = measured[1] if measured is not None else older.depth
        covariance = step_covariance(pair, length, depth or length, is_assumed=bool(pose.assumed))
        twist = older.twist + step_twist(older.T_map_camera, pose.T_map_camera, covariance)
        if older.id != next(reversed(self._places)):
            self._path = self._back_from(older.id)
        self._add(_place(pose, descriptor, depth, older.section, twist, parent=older.id))

    def twist_to_newest(self, place: Place) -> np.ndarray | None:
        """Covariance (6, 6) of the twist of the steps between a place and the newest one; None between sections."""
        newest = self.newest
        if newest is None or place.section != newest.section:
            return None
        common = place
        while common.id not in self._path:
            if common.parent is None or common.parent not in self._places:
                return place.twist + newest.twist  # an upper bound: where the two ways part is not known any more
            common = self._places[common.parent]
        return place.twist + newest.twist - 2 * common.twist

    def rotation_between(self, older_id: int, newer_id: int) -> np.ndarray | None:
        """Return the rotation (3, 3) of a keyframe's camera in an older one's; None where no steps join the two."""
        older, newer = self._places.get(older_id), self._places.get(newer_id)
        if older is None or newer is None or older.section != newer.section:
            return None
        return older.T_map_camera[:3, :3].T @ newer.T_map_camera[:3, :3]

    def _add(self, place: Place) -> None:
        newest = self.newest
        if newest is not None and place.camera == newest.camera:
            place = replace(place, camera=newest.camera)  # one object for the whole flight
        self._places[place.id] = place
        self._path.add(place.id)
        while len(self._places) > MAX_POSES:
            self._path.discard(self._places.popitem(last=False)[0])

    def _back_from(self, keyframe_id: int) -> set[int]:
        path = set()
        step: int | None = keyframe_id
        while step is not None and step in self._places:
            path.add(step)
            step = self._places[step].parent
        return path


def _place(
    pose: TrajectoryPose,
    descriptor: np.ndarray,
    depth: float | None,
    section: int,
    twist: np.ndarray,
    parent: int | None,
) -> Place:
    keyframe = pose.keyframe
    return Place(keyframe.id, pose.T_map_camera, keyframe.camera, depth, descriptor, section, twist, parent)


def _depths_of(pair: PairResult, length: float) -> tuple[float, float] | None:
    """Median depths of the scene in both cameras of a pair, for a step of a length; None where it measures none."""
    camera0, camera1 = pair.older.camera or pair.newer.camera, pair.newer.camera
    inliers = pair.motion.inliers
    if camera0 is None or camera1 is None or not inliers.any() or pair.motion.parallax < _MIN_PARALLAX_DEG:
        return None
    rays = [
        np.insert(camera.rays(points[inliers]), 2, 1.0, axis=1)
        for camera, points in ((camera0, pair.matches.points0), (camera1, pair.matches.points1))
    ]
    found = depths(rays[0], rays[1], pair.motion.rotation, pair.motion.translation)
    usable = found[np.isfinite(found).all(axis=1) & (found > 0).all(axis=1)]
    if length == 0 or len(usable) == 0:
        return None
    older, newer = (length * np.median(usable, axis=0)).tolist()
    return older, newer
