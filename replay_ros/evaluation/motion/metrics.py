"""All motion figures of a recording: relative poses, covariances, trajectory and tracks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from perception_common.geometry import inverse
from perception_common.tum import Trajectory
from replay_ros.evaluation.motion.edges import PoseEdge, chain, chain_is_metric, longest_run
from replay_ros.evaluation.motion.pose_accuracy import compare_edge, covariance_consistency, summarise_poses
from replay_ros.evaluation.motion.results import (
    Association,
    EdgeError,
    MotionResult,
    OdometryConsistency,
    TrackFigures,
)
from replay_ros.evaluation.motion.trajectory_accuracy import MIN_POSES, compare_trajectory
from replay_ros.evaluation.motion.truth import TOLERANCE, TrueMotion, associate

UNNAMED = "not said"  # estimator in the result where none is given


def evaluate_motion(
    edges: Sequence[PoseEdge],
    truth: TrueMotion,
    *,
    trajectory: Trajectory | None = None,
    estimator: str = UNNAMED,
    tolerance: float = TOLERANCE,
    tracks: TrackFigures | None = None,
    odometry: OdometryConsistency | None = None,
) -> MotionResult:
    """Compare relative poses and the trajectory with the ground truth.

    trajectory: poses of the optical frame, metric if all edges are; None: the edges are chained. Where stamps jump
    back, the node began another trajectory; the longest one is compared. estimator: name and threshold of the pose
    estimator, copied into the result. tolerance: largest stamp difference of a pose and its truth, seconds. tracks,
    odometry: copied into the result. Against a truth that is not exact the covariances are not judged: its errors would
    count as theirs.
    """
    if trajectory is None:
        run = longest_run([edge.newer_ns for edge in edges])
        left_out = len(edges) - (run.stop - run.start)
        trajectory = chain(edges[run])
    else:
        run = longest_run(trajectory.stamps_ns)
        left_out = len(trajectory) - (run.stop - run.start)
        trajectory = Trajectory(trajectory.stamps_ns[run], trajectory.positions[run], trajectory.orientations[run])
    is_metric = chain_is_metric(edges)
    errors = _edge_errors(edges, truth.trajectory, tolerance)
    caveats = truth.notes
    if not truth.is_exact:
        errors = [replace(error, nees=None, inside_95=None) for error in errors]
        caveats = (*caveats, f"the poses of {truth.source} tell a covariance, so they cannot judge those of the edges")
    matched, true_poses, association = associate(trajectory.stamps_ns, truth.trajectory, tolerance)
    accuracy = compare_trajectory(
        trajectory.stamps_ns[matched],
        estimated=trajectory.matrices()[matched],
        true=true_poses[matched],
        is_metric=is_metric,
    )
    return MotionResult(
        truth=truth.source,
        association=association,
        poses=summarise_poses(errors, estimator),
        calibration=covariance_consistency(errors),
        trajectory=accuracy,
        tracks=tracks,
        odometry=odometry,
        notes=(*caveats, *_notes(edges, errors, association, is_metric, left_out)),
    )


def _edge_errors(edges: Sequence[PoseEdge], truth: Trajectory, tolerance: float) -> list[EdgeError]:
    stamps = np.array([(edge.older_ns, edge.newer_ns) for edge in edges], np.int64).reshape(-1, 2)
    older_matched, older, _ = associate(stamps[:, 0], truth, tolerance)
    newer_matched, newer, _ = associate(stamps[:, 1], truth, tolerance)
    return [
        compare_edge(edge, inverse(older[k]) @ newer[k])
        for k, edge in enumerate(edges)
        if older_matched[k] and newer_matched[k]
    ]


def _notes(
    edges: Sequence[PoseEdge], errors: Sequence[EdgeError], association: Association, is_metric: bool, left_out: int
) -> Iterator[str]:
    """left_out: poses or edges of other runs than the one that is compared."""
    if left_out:
        yield f"stamps jump back: the trajectory is that of the longest run, without {left_out} poses of the others"
    if association.unmatched:
        yield (
            f"{association.unmatched} of {association.poses} poses have no truth within {association.tolerance_s:g} s"
        )
    if len(errors) < len(edges):
        yield f"{len(edges) - len(errors)} of {len(edges)} relative poses have no truth at one of their ends"
    if association.matched < MIN_POSES:
        yield f"{association.matched} poses with truth are too few for a trajectory error"
    elif not is_metric:
        metric = sum(edge.is_metric for edge in edges)
        yield (
            f"{metric} of {len(edges)} relative poses have metres: the trajectory is compared up to scale (Sim3), and "
            "its steps are as long as the chain made them"
        )
