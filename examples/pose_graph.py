"""A back end in two hundred lines: relative poses of a bag become a pose graph, GTSAM optimises it.

    python examples/simulated_loop.py loop_bag --truth truth.tum
    python examples/pose_graph.py loop_bag graph.tum --chain chain.tum
    evo_ape tum truth.tum graph.tum --align

The bag is one that `replay` wrote, or any recording of `loftr/relative_pose`. Needs `pip install gtsam`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gtsam
import numpy as np

from loftr_ros.geometry.two_view.estimation import Geometry
from loftr_ros.geometry.uncertainty.covariance import UNOBSERVED, to_gtsam
from perception_common.cli import run
from perception_common.errors import InputError
from perception_common.tum import Trajectory, write_tum
from replay_ros.bags.reader import open_bag
from replay_ros.evaluation.motion.edges import PoseEdge, chain, edge_of_message

TOPIC = "loftr/relative_pose"
USUAL = 3  # keyframes that a new one is matched with at most in passing; edges further back are loop closures
RIGHT = 0.99  # probability with which a right loop closure is kept
ANCHOR = 1e-6  # standard deviation of the first pose, which holds the graph in place


@dataclass(frozen=True, eq=False)
class Optimised:
    """The trajectory in the first camera's frame, and how many edges and loop closures made it.

    refused: loop closures that contradict the rest.
    """

    trajectory: Trajectory
    edges: int
    closures: int
    refused: int
    error_before: float
    error_after: float


def read_edges(bag: Path, topic: str = TOPIC) -> list[PoseEdge]:
    """Return the relative poses of a bag that say anything. Raises InputError for a bag without."""
    with open_bag(bag) as opened:
        edges = [edge_of_message(item.message) for item in opened.messages([topic])]
    usable = [edge for edge in edges if edge.geometry != Geometry.FAILED]
    if not usable:
        raise InputError(f"{bag} has no relative poses on {topic} but failed ones; replay with camera_info")
    return usable


def optimise(edges: Sequence[PoseEdge]) -> Optimised:
    """Optimise the pose graph of edges between keyframes, starting from their chain.

    A wrong loop closure must not bend the whole graph, and a right one may be far from where drift has led: graduated
    non-convexity (Yang et al., "Graduated Non-Convexity for Robust Spatial Perception", RA-L 2020) finds out which
    ones to leave away.
    """
    start = chain(edges)
    keys = {stamp: key for key, stamp in enumerate(start.stamps_ns.tolist())}
    hanging = [edge for edge in edges if edge.older_ns in keys and edge.newer_ns in keys]
    values, graph = gtsam.Values(), gtsam.NonlinearFactorGraph()
    for key, T in enumerate(start.matrices()):
        values.insert(key, gtsam.Pose3(T))
    closures = []
    for number, edge in enumerate(hanging):
        older, newer = keys[edge.older_ns], keys[edge.newer_ns]
        graph.add(gtsam.BetweenFactorPose3(older, newer, gtsam.Pose3(edge.matrix), noise_of(edge)))
        if newer - older > USUAL:
            closures.append(number)
    graph.add(gtsam.PriorFactorPose3(0, values.atPose3(0), gtsam.noiseModel.Isotropic.Sigma(6, ANCHOR)))

    settings = gtsam.GncLMParams()
    settings.setKnownInliers([number for number in range(graph.size()) if number not in closures])
    optimiser = gtsam.GncLMOptimizer(graph, values, settings)
    optimiser.setInlierCostThresholdsAtProbability(RIGHT)
    result = optimiser.optimize()
    weights = optimiser.getWeights()
    errors = [
        sum(weight * graph.at(number).error(at) for number, weight in enumerate(weights)) for at in (values, result)
    ]
    poses = [result.atPose3(key).matrix() for key in range(len(keys))]
    trajectory = Trajectory.from_matrices(start.stamps_ns, poses)
    refused = sum(weights[number] < 0.5 for number in closures)
    return Optimised(trajectory, len(hanging), len(closures), refused, *errors)


def noise_of(edge: PoseEdge) -> gtsam.noiseModel.Gaussian:
    """Return the noise of an edge as GTSAM has it.

    A translation that is a mere direction says nothing in metres: only its rotation counts.
    """
    covariance = edge.covariance.copy()
    if not edge.is_metric:
        covariance[:3], covariance[:, :3] = 0.0, 0.0
        covariance[:3, :3] = UNOBSERVED * np.eye(3)
    return gtsam.noiseModel.Gaussian.Covariance(to_gtsam(covariance, edge.matrix[:3, :3]))


def main(arguments: list[str] | None = None) -> int:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bag", type=Path, help="a bag with relative poses")
    parser.add_argument("out", type=Path, help="TUM file for the optimised trajectory")
    parser.add_argument("--chain", type=Path, metavar="FILE", help="TUM file for the trajectory that was started from")
    parser.add_argument("--topic", default=TOPIC)
    given = parser.parse_args(arguments)
    edges = read_edges(given.bag, given.topic)
    found = optimise(edges)
    if found.closures == 0:
        print("no loop closure among them: the graph can be little better than the chain")
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
