"""Covariance of chained poses, 6x6 in ROS order; the convention is that of geometry/uncertainty/covariance.py."""

from __future__ import annotations

import numpy as np

from loftr_ros.geometry.uncertainty.covariance import UNOBSERVED
from loftr_ros.trajectory.chain import ChainedPose
from perception_common.geometry import compose, inverse, skew

UNKNOWN_LENGTH_M = float(np.sqrt(UNOBSERVED))
"""Standard deviation of a length that is not measured, metres: so large that the translation has no information."""


def chained_covariance(
    pose: ChainedPose, of_older: np.ndarray, of_edge: np.ndarray, *, length_deviation: float = 0.0
) -> np.ndarray:
    """Return the covariance (6, 6) of a chained pose in the map, from those of the older pose and of its edge.

    length_deviation: metres, standard deviation of an assumed length; 0: the result holds for the assumed lengths.
    """
    T_map_older = compose(pose.T_map_camera, inverse(pose.step))
    of_step = chained_step_covariance(pose, of_edge, length_deviation=length_deviation)
    return propagate(T_map_older, of_older, pose.step, of_step)


def chained_step_covariance(pose: ChainedPose, covariance: np.ndarray, *, length_deviation: float = 0.0) -> np.ndarray:
    """Return the covariance (6, 6) of the step to a chained pose, from that of its edge.

    Where the length of the step is assumed, its direction alone is observed: the translation's covariance is taken
    across the step, for the root mean square of the length; along the step the length has its standard deviation.
    """
    translation = pose.step[:3, 3]
    length = float(np.linalg.norm(translation))
    if pose.is_measured or length == 0.0:  # a failure has a covariance that says so
        return covariance
    return with_length(covariance, translation / length, float(np.hypot(length, length_deviation)), length_deviation)


def with_length(covariance: np.ndarray, direction: np.ndarray, length: float, deviation: float = 0.0) -> np.ndarray:
    """Return the covariance (6, 6) of a pose whose translation gets a length that is not observed.

    covariance: (6, 6), of the pose with a translation of length 1 along `direction` (3,). It is taken across the
    direction, for the length; along it the length has the standard deviation `deviation`.
    """
    along = np.outer(direction, direction)
    across = np.eye(6)
    across[:3, :3] = length * (np.eye(3) - along)
    found = across @ covariance @ across.T
    found[:3, :3] += deviation**2 * along
    return found


def propagate(T_map_older: np.ndarray, covariance: np.ndarray, step: np.ndarray, of_step: np.ndarray) -> np.ndarray:
    """Return the covariance (6, 6) of T_map_older @ step, with errors of both applied as ROS order has them.

    covariance: (6, 6), of T_map_older. of_step: (6, 6), of step. Translations are additive; rotations are applied on
    the left.
    """
    R = T_map_older[:3, :3]
    old, new = np.eye(6), np.zeros((6, 6))
    old[:3, 3:] = -skew(R @ step[:3, 3])
    new[:3, :3] = new[3:, 3:] = R
    return old @ covariance @ old.T + new @ of_step @ new.T


def step_between(
    T_map_older: np.ndarray, of_older: np.ndarray, T_map_newer: np.ndarray, of_newer: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the step (4, 4) between two poses of one chain and its covariance (6, 6): the inverse of `propagate`.

    None where the newer pose does not continue the older one: its covariance is too small for that.
    """
    step, R = compose(inverse(T_map_older), T_map_newer), T_map_older[:3, :3]
    old, back = np.eye(6), np.kron(np.eye(2), R.T)
    old[:3, 3:] = -skew(R @ step[:3, 3])
    covariance = back @ (of_newer - old @ of_older @ old.T) @ back.T
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    if values[0] < -1e-6 * max(float(np.abs(of_newer).max()), 1.0):
        return None
    return step, (vectors * np.maximum(values, 0.0)) @ vectors.T
