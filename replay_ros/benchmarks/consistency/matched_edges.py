"""Edges of image chains by a matcher: estimated relative poses, their errors and covariances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.scale.result import ScaleSource
from loftr_ros.geometry.two_view.ambiguity import MotionPrior
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.matcher import Matcher
from loftr_ros.matches import Matches
from perception_common.cameras.camera import Camera
from perception_common.geometry import inverse, transform
from replay_ros.benchmarks.consistency.image_chains import COURSES, ImageChain
from replay_ros.evaluation.motion.edges import PoseEdge
from replay_ros.evaluation.motion.pose_accuracy import observed_error

REACH = 2  # each image is matched with that many before it, as `match_last` of loftr_node


@dataclass(frozen=True, eq=False)
class MatchedPair:
    """Matches of two images of a chain, and the truth.

    chain: course and seed. older, newer: positions in the chain. T: (4, 4) true pose of the newer camera in the older
    one, metres. down: (3,) direction of gravity in the older camera.
    """

    chain: tuple[str, int]
    older: int
    newer: int
    matches: Matches
    camera: Camera
    T: np.ndarray
    down: np.ndarray


@dataclass(frozen=True, eq=False)
class EdgeError:
    """An estimated relative pose and its error.

    error, covariance: (D,), (D, D), as of `observed_error`; None for a failed pose. rotation: (3, 3), true.
    """

    chain: tuple[str, int]
    older: int
    newer: int
    geometry: Geometry
    error: np.ndarray | None
    covariance: np.ndarray | None
    rotation: np.ndarray

    @property
    def nees(self) -> float:
        """Normalised squared error; NaN for a failed pose."""
        if self.error is None or self.covariance is None:
            return float("nan")
        return float(self.error @ np.linalg.solve(self.covariance, self.error))

    @property
    def dof(self) -> int:
        """Observed degrees of freedom: 5, 3 without an observed translation, 0 for a failed pose."""
        return 0 if self.error is None else len(self.error)


def pairs_of_chain(images: int) -> list[tuple[int, int]]:
    """Positions (older, newer) of all pairs that are matched in a chain."""
    return [(older, newer) for newer in range(images) for older in range(max(newer - REACH, 0), newer)]


def match_chain(chain: ImageChain, matcher: Matcher) -> Iterator[MatchedPair]:
    """Match each image with the ones before it."""
    encoded = [matcher.encode(image) for image in chain.images]
    for older, newer in pairs_of_chain(len(encoded)):
        pose = chain.poses[older]
        T = inverse(pose) @ chain.poses[newer]
        if COURSES[chain.course].turns:
            T = transform(T[:3, :3], np.zeros(3))
        yield MatchedPair(
            chain=(chain.course, chain.seed),
            older=older,
            newer=newer,
            matches=matcher.match(encoded[older], encoded[newer]),
            camera=chain.camera,
            T=T,
            down=pose[:3, :3].T @ [0.0, 0.0, -1.0],
        )


def estimate_edge(pair: MatchedPair) -> EdgeError:
    """Estimate a pair as loftr_node does with an IMU: with the scores of the matcher, and gravity for planes."""
    found = pair.matches
    pose = estimate_relative_pose(
        found.points0,
        found.points1,
        pair.camera,
        pair.camera,
        confidence=found.confidence,
        spread=found.spread,
        prior=MotionPrior(down=pair.down),
    )
    edge = PoseEdge(0, 1, pose.matrix, pose.covariance, pose.geometry, ScaleSource.UNKNOWN)
    error, covariance = observed_error(edge, pair.T) or (None, None)
    return EdgeError(pair.chain, pair.older, pair.newer, pose.geometry, error, covariance, pair.T[:3, :3])
