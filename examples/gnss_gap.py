"""Bridge a gap of GNSS with loftr/odometry: fuse both with GTSAM, and compare with each alone.

    python examples/simulated_loop.py loop_bag --truth truth.tum --duration 120
    python examples/gnss_gap.py loop_bag --truth truth.tum --gap 30

The bag has `loftr/odometry` of the camera and `fix` (sensor_msgs/NavSatFix), as `replay` writes it for a bag of
`flight`. The fixes in the middle of the flight are left out. Each step of the odometry with its covariance becomes a
factor between poses, each fix one on a position. Needs `pip install gtsam pymap3d`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import gtsam
import numpy as np
from evo.core.geometry import umeyama_alignment

from loftr_ros.geometry.uncertainty.covariance import to_gtsam, unknown_covariance
from loftr_ros.trajectory.covariance import step_between
from perception_common.cli import run
from perception_common.errors import InputError
from perception_common.geometry import compose, inverse, transform
from perception_common.stamps import stamp_ns
from perception_common.tum import Trajectory, write_tum
from replay_ros.bags.reader import open_bag
from replay_ros.evaluation.motion.odometry import OdometryPose, poses_of_messages
from replay_ros.evaluation.motion.trajectory_accuracy import compare_trajectory
from replay_ros.evaluation.motion.truth import associate, find_truth_topic, read_truth
from yolc_ros.georeference.geodesy import LocalFrame

ODOMETRY, FIX = "loftr/odometry", "fix"
MAX_SPACING_S = 2.0  # between two fixes that tell the position of a time between them
START_SIGMAS = (1.0, 1.0, 1.0, 100.0, 100.0, 100.0)  # rad and metres: of the prior on the first pose, which is a guess


@dataclass(frozen=True, eq=False)
class Fixes:
    """Positions by GNSS. stamps_ns: (N,). positions: (N, 3), metres, ENU about the first. covariances: (N, 3, 3)."""

    stamps_ns: np.ndarray
    positions: np.ndarray
    covariances: np.ndarray

    def without(self, start_ns: int, end_ns: int) -> Fixes:
        """Return the fixes outside of a time."""
        kept = (self.stamps_ns < start_ns) | (self.stamps_ns > end_ns)
        return Fixes(self.stamps_ns[kept], self.positions[kept], self.covariances[kept])

    def at(self, stamps_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return positions (M, 3) at stamps, interpolated, and which of them (M,) lie in no gap."""
        positions = [np.interp(stamps_ns, self.stamps_ns, self.positions[:, axis]) for axis in range(3)]
        after = np.clip(np.searchsorted(self.stamps_ns, stamps_ns), 1, len(self.stamps_ns) - 1)
        spacing = self.stamps_ns[after] - self.stamps_ns[after - 1]
        is_inside = (stamps_ns >= self.stamps_ns[after - 1]) & (stamps_ns <= self.stamps_ns[after])
        is_fix = np.isin(stamps_ns, self.stamps_ns)
        return np.stack(positions, axis=1), is_fix | (is_inside & (spacing <= MAX_SPACING_S * 1e9))


def read_flight(bag: Path) -> tuple[list[OdometryPose], Fixes]:
    """Return the odometry and the fixes of a bag. Raises InputError where one is missing."""
    with open_bag(bag) as opened:
        missing = [name for name in (ODOMETRY, FIX) if f"/{name}" not in opened.topics]
        if missing:
            raise InputError(f"{bag} has no topic {missing[0]}: replay a bag of `flight` with altitude and gravity")
        poses = list(poses_of_messages(item.message for item in opened.messages([ODOMETRY])))
        messages = [item.message for item in opened.messages([FIX])]
    if len(poses) < 3 or len(messages) < 3:
        raise InputError(f"{bag} has {len(poses)} odometry messages and {len(messages)} fixes, 3 of each are needed")
    places = np.array([(fix.latitude, fix.longitude, fix.altitude) for fix in messages])
    covariances = np.array([np.reshape(fix.position_covariance, (3, 3)) for fix in messages])
    stamps = np.array([stamp_ns(fix.header) for fix in messages])
    return poses, Fixes(stamps, LocalFrame(*places[0].tolist()).to_enu(*places.T), covariances)


def fuse(poses: Sequence[OdometryPose], fixes: Fixes) -> np.ndarray:
    """Return the poses (N, 4, 4) in the frame of the fixes that fit both best."""
    positions, is_known = fixes.at(np.array([pose.stamp_ns for pose in poses]))
    chain = np.array([pose.T for pose in poses])
    R, t, _ = umeyama_alignment(chain[is_known, :3, 3].T, positions[is_known].T)
    start = [compose(transform(R, t), T) for T in chain]

    graph, values = gtsam.NonlinearFactorGraph(), gtsam.Values()
    for key, T in enumerate(start):
        values.insert(key, gtsam.Pose3(T))
    graph.add(gtsam.PriorFactorPose3(0, values.atPose3(0), gtsam.noiseModel.Diagonal.Sigmas(np.array(START_SIGMAS))))
    for key, (older, newer) in enumerate(pairwise(poses)):
        found = step_between(older.T, older.covariance, newer.T, newer.covariance)
        step, covariance = found or (compose(inverse(older.T), newer.T), unknown_covariance())
        noise = gtsam.noiseModel.Gaussian.Covariance(to_gtsam(covariance, step[:3, :3]))
        graph.add(gtsam.BetweenFactorPose3(key, key + 1, gtsam.Pose3(step), noise))
    for key in np.flatnonzero(is_known).tolist():
        nearest = int(np.argmin(np.abs(fixes.stamps_ns - poses[key].stamp_ns)))
        noise = gtsam.noiseModel.Gaussian.Covariance(fixes.covariances[nearest])
        graph.add(gtsam.GPSFactor(key, positions[key], noise))
    optimum = gtsam.LevenbergMarquardtOptimizer(graph, values).optimize()
    return np.array([optimum.atPose3(key).matrix() for key in range(len(poses))])


def middle(poses: Sequence[OdometryPose], seconds: float) -> tuple[int, int]:
    """Return start and end, nanoseconds, of a gap in the middle of a flight."""
    centre, half = (poses[0].stamp_ns + poses[-1].stamp_ns) // 2, round(seconds * 1e9 / 2)
    return centre - half, centre + half


def errors(stamps_ns: np.ndarray, estimated: np.ndarray, true: np.ndarray, gap: tuple[int, int]) -> tuple[float, float]:
    """Return evo's ATE after a rigid alignment, metres: root mean square, and the largest error in the gap."""
    found = compare_trajectory(stamps_ns, estimated, true, is_metric=True)
    if found is None:
        raise InputError("fewer than 3 poses have a true pose: give --truth")
    in_gap = (stamps_ns >= gap[0]) & (stamps_ns <= gap[1])
    return found.ate_m.rmse, float(np.max(np.array(found.errors_m)[in_gap], initial=0.0))


def compare(
    poses: Sequence[OdometryPose], fixes: Fixes, truth: Trajectory, gap_s: float
) -> dict[str, tuple[float, float]]:
    """Return the errors of GNSS alone, of the chain alone and of both, with a gap in the middle of the flight."""
    stamps, gap = np.array([pose.stamp_ns for pose in poses]), middle(poses, gap_s)
    matched, true, _ = associate(stamps, truth)
    seen = fixes.without(*gap)
    alone = np.array([transform(np.eye(3), position) for position in seen.at(stamps)[0]])
    ways = {
        "GNSS alone, interpolated": alone,
        "odometry alone": np.array([pose.T for pose in poses]),
        "both": fuse(poses, seen),
    }
    return {name: errors(stamps[matched], way[matched], true[matched], gap) for name, way in ways.items()}


def main(arguments: list[str] | None = None) -> int:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bag", type=Path, help="a bag with loftr/odometry and fix")
    parser.add_argument("--truth", help="topic or TUM file of the true poses (default: the topic ground_truth)")
    parser.add_argument("--gap", type=float, default=30.0, metavar="SECONDS", help="without GNSS (default: 30)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="TUM file for the fused trajectory")
    given = parser.parse_args(arguments)
    poses, fixes = read_flight(given.bag)
    with open_bag(given.bag) as bag:
        source = given.truth or find_truth_topic(bag)
        if source is None:
            raise InputError(f"{given.bag} has no topic named ground_truth: give --truth")
        truth = read_truth(source, bag).trajectory
    print(f"{len(poses)} poses, {given.gap:g} s without GNSS   ATE     largest in the gap")
    for name, (ate, largest) in compare(poses, fixes, truth, given.gap).items():
        print(f"{name:28} {ate:7.2f} m {largest:7.2f} m")
    if given.out:
        fused = fuse(poses, fixes.without(*middle(poses, given.gap)))
        write_tum(given.out, Trajectory.from_matrices([pose.stamp_ns for pose in poses], list(fused)))
    return 0


if __name__ == "__main__":
    run(main)
