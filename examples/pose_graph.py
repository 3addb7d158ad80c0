"""A small SLAM back end: build a pose graph from the relative poses of a bag and optimise it with GTSAM.

    python examples/simulated_loop.py loop_bag --truth truth.tum
    python examples/pose_graph.py loop_bag graph.tum --chain chain.tum
    evo_ape tum truth.tum graph.tum --align

The bag comes from `replay`, or is any recording of `loftr/relative_pose`. Needs `pip install gtsam`.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gtsam
import numpy as np

from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.geometry.uncertainty.covariance import UNOBSERVED, to_gtsam
from perception_common.cli import run
from perception_common.errors import InputError
from perception_common.tum import Trajectory, write_tum
from replay_ros.bags.reader import open_bag
from replay_ros.evaluation.motion.edges import PoseEdge, chain, edge_of_message

TOPIC = "loftr/relative_pose"
MAX_ODOMETRY_STEP = 3  # keyframes; an edge that spans more of them is treated like a loop closure
CLOSURE_PROBABILITY = 0.99  # with which a correct loop closure is kept
CLOSURE_CORRELATION = 0.2  # of the errors of two loop closures of one keyframe, measured: docs/slam.md, "Loops"
ANCHOR_SIGMA = 1e-6  # standard deviation of the prior on the first pose, which fixes the graph's gauge


@dataclass(frozen=True, eq=False)
class Optimised:
    """The optimised trajectory in the frame of the first camera.

    edges, closures: number of edges, and of loop closures among them. refused: loop closures that contradict the rest.
    error_before, error_after: weighted error of the graph at the start and at the optimum.
    """

    trajectory: Trajectory
    edges: int
    closures: int
    refused: int
    error_before: float
    error_after: float


def read_edges(bag: Path, topic: str = TOPIC) -> list[PoseEdge]:
    """Return the relative poses of a bag that have not failed. Raises InputError for a bag without any."""
    with open_bag(bag) as opened:
        edges = [edge_of_message(item.message) for item in opened.messages([topic])]
    usable = [edge for edge in edges if edge.geometry != Geometry.FAILED]
    if not usable:
        raise InputError(f"{bag} has no relative poses on {topic} but failed ones; replay with camera_info")
    return usable


def optimise(edges: Sequence[PoseEdge]) -> Optimised:
    """Optimise the pose graph of edges between keyframes, starting from their chain.

    A wrong loop closure would distort the whole graph, and a correct one may have a large residual because of drift.
    Graduated non-convexity (Yang et al., "Graduated Non-Convexity for Robust Spatial Perception", RA-L 2020) decides
    which closures to reject.
    """
    start = chain(edges)
    keys = {stamp: key for key, stamp in enumerate(start.stamps_ns.tolist())}
    connected = [edge for edge in edges if edge.older_ns in keys and edge.newer_ns in keys]
    values, graph = gtsam.Values(), gtsam.NonlinearFactorGraph()
    for key, T in enumerate(start.matrices()):
        values.insert(key, gtsam.Pose3(T))
    closures = [
        number
        for number, edge in enumerate(connected)
        if edge.is_loop or keys[edge.newer_ns] - keys[edge.older_ns] > MAX_ODOMETRY_STEP
    ]
    factors = dict(zip(closures, dependence([connected[number] for number in closures]), strict=True))
    for number, edge in enumerate(connected):
        older, newer = keys[edge.older_ns], keys[edge.newer_ns]
        noise = noise_of(edge, factors.get(number, 1.0))
        graph.add(gtsam.BetweenFactorPose3(older, newer, gtsam.Pose3(edge.matrix), noise))
    graph.add(gtsam.PriorFactorPose3(0, values.atPose3(0), gtsam.noiseModel.Isotropic.Sigma(6, ANCHOR_SIGMA)))

    settings = gtsam.GncLMParams()
    settings.setKnownInliers([number for number in range(graph.size()) if number not in closures])
    optimiser = gtsam.GncLMOptimizer(graph, values, settings)
    optimiser.setInlierCostThresholdsAtProbability(CLOSURE_PROBABILITY)
    result = optimiser.optimize()
    weights = optimiser.getWeights()
    error_before, error_after = (
        sum(weight * graph.at(number).error(at) for number, weight in enumerate(weights)) for at in (values, result)
    )
    poses = [result.atPose3(key).matrix() for key in range(len(keys))]
    return Optimised(
        trajectory=Trajectory.from_matrices(start.stamps_ns, poses),
        edges=len(connected),
        closures=len(closures),
        refused=sum(weights[number] < 0.5 for number in closures),
        error_before=error_before,
        error_after=error_after,
    )


def dependence(closures: Sequence[PoseEdge]) -> list[float]:
    """Return the factor of the covariance of each loop closure, because those of one newer keyframe share its image.

    n closures whose errors have the correlation rho count as much as n / (1 + (n - 1) rho) independent ones.
    """
    counts = Counter(edge.newer_ns for edge in closures)
    return [1.0 + CLOSURE_CORRELATION * (counts[edge.newer_ns] - 1) for edge in closures]


def noise_of(edge: PoseEdge, factor: float = 1.0) -> gtsam.noiseModel.Gaussian:
    """Return the noise model of an edge for GTSAM; without a metric scale only its rotation has information.

    factor: of the covariance, see `dependence`.
    """
    covariance = factor * edge.covariance
    if not edge.is_metric:
        covariance[:3], covariance[:, :3] = 0.0, 0.0
        covariance[:3, :3] = UNOBSERVED * np.eye(3)
    return gtsam.noiseModel.Gaussian.Covariance(to_gtsam(covariance, edge.matrix[:3, :3]))


def main(arguments: list[str] | None = None) -> int:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bag", type=Path, help="a bag with relative poses")
    parser.add_argument("out", type=Path, help="TUM file for the optimised trajectory")
    parser.add_argument("--chain", type=Path, metavar="FILE", help="TUM file for the chained trajectory, the start")
    parser.add_argument("--topic", default=TOPIC)
    given = parser.parse_args(arguments)
    edges = read_edges(given.bag, given.topic)
    found = optimise(edges)
    if found.closures == 0:
        print("no loop closures: the graph can hardly be better than the chain")
    write_tum(given.out, found.trajectory)
    if given.chain:
        write_tum(given.chain, chain(edges))
    print(
        f"{len(found.trajectory)} keyframes, {found.edges} edges, {found.closures} of them loop closures "
        f"({found.refused} refused); "
        f"error of the graph {found.error_before:.1f} -> {found.error_after:.1f}: {given.out}"
    )
    return 0


if __name__ == "__main__":
    run(main)
