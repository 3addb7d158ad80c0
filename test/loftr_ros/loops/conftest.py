"""Trajectories with known steps, without images."""

from types import SimpleNamespace

import numpy as np
import pytest

from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.loops.places import Places
from loftr_ros.results import KeyframeInfo, TrajectoryPose
from perception_common.cameras.camera import Camera
from perception_common.geometry import inverse, transform

CAMERA = Camera(640, 480, (400.0, 0.0, 319.5, 0.0, 400.0, 239.5, 0.0, 0.0, 1.0))


def looking_down(x, y, height, heading=0.0):
    """Pose (4, 4) of a camera that looks straight down; the top of its image points to the heading, radians."""
    c, s = np.cos(heading), np.sin(heading)
    return transform(np.array([[s, -c, 0.0], [-c, -s, 0.0], [0.0, 0.0, -1.0]]), np.array([x, y, height]))


def step_between(T_older, T_newer, covariance, older, newer, depth, geometry=Geometry.GENERAL):
    """A pair with exact matches of ground at a depth, as far as Places reads it."""
    T = inverse(T_older) @ T_newer
    length = np.linalg.norm(T[:3, 3])
    ground = np.column_stack([np.random.default_rng(0).uniform(-0.2, 0.2, (20, 2)), np.ones(20)]) * depth
    K = CAMERA.rectified_matrix
    points0, points1 = ((X / X[:, 2:]) @ K.T for X in (ground, (ground - T[:3, 3]) @ T[:3, :3]))
    moves = length > 0
    motion = SimpleNamespace(
        geometry=geometry if moves else Geometry.ROTATION_ONLY,
        rotation=T[:3, :3],
        translation=T[:3, 3] / length if moves else np.zeros(3),
        inliers=np.ones(20, bool),
        parallax=10.0 if moves else 0.0,
        covariance=covariance,
    )
    matches = SimpleNamespace(points0=points0[:, :2], points1=points1[:, :2])
    return SimpleNamespace(older=older, newer=newer, motion=motion, matches=matches, covariance=covariance, matrix=T)


@pytest.fixture(scope="session")
def camera():
    return CAMERA


@pytest.fixture(scope="session")
def make_step():
    """make_step(...): see `step_between`."""
    return step_between


@pytest.fixture(scope="session")
def fly_places():
    """fly_places(poses, ...): the places of keyframes at poses (4, 4), each step with the same covariance (6, 6)."""

    def fly(poses, covariance=None, descriptors=None, failed=(), depth=50.0):
        covariance = 1e-8 * np.eye(6) if covariance is None else covariance
        places = Places()
        last = None
        for k, T in enumerate(poses):
            info = KeyframeInfo(k, k * 10**9, "camera", 640, 480, CAMERA)
            pose = TrajectoryPose(info, T, is_metric=True, assumed="")
            descriptor = np.ones(4) if descriptors is None else descriptors[k]
            if last is None:
                places.start(pose, descriptor)
            else:
                geometry = Geometry.FAILED if k in failed else Geometry.GENERAL
                pair = step_between(poses[k - 1], T, covariance, last, info, depth, geometry)
                places.extend(pose, descriptor, pair)
            last = info
        return places

    return fly


@pytest.fixture(scope="session")
def nadir():
    """nadir(x, y, heading): a pose 50 m above the ground."""
    return lambda x, y, heading=0.0: looking_down(x, y, 50.0, heading)
