"""The example bridges a gap of GNSS with the odometry of a simulated flight, better than each of both alone."""

import numpy as np
import pytest

from loftr_ros.geometry.uncertainty.covariance import unknown_covariance
from loftr_ros.trajectory.covariance import propagate
from perception_common.errors import InputError
from perception_common.geometry import inverse
from perception_common.tum import read_tum, write_tum
from replay_ros.evaluation.motion.odometry import OdometryPose, increment_errors, odometry_consistency

pytestmark = pytest.mark.slow

pytest.importorskip("gtsam")
pytest.importorskip("pymap3d")


@pytest.fixture(scope="module")
def flight(example, tmp_path_factory):
    """Odometry, fixes, true trajectory and folder of a flight of 80 s."""
    folder = tmp_path_factory.mktemp("flight")
    loop = example("simulated_loop")
    truth = loop.write_loop(folder / "bag", loop.LoopOptions(seed=5, duration_s=80.0))
    write_tum(folder / "truth.tum", truth)
    return (*example("gnss_gap").read_flight(folder / "bag"), truth, folder)


def test_both_are_better_than_each_alone(example, flight):
    poses, fixes, truth, _ = flight
    found = example("gnss_gap").compare(poses, fixes, truth, 30.0)
    alone, chain, both = (found[name] for name in ("GNSS alone, interpolated", "odometry alone", "both"))
    assert alone[0] > 5 * both[0]
    assert alone[1] > 20.0  # across the turn of the loop
    assert both[0] <= chain[0]
    assert both[1] < 2.0


def test_the_simulated_odometry_is_consistent(flight):
    poses, _, truth, _ = flight
    true = truth.matrices()[1:]
    assert len(poses) == len(true)
    found = odometry_consistency(increment_errors(poses, list(true)))
    assert found.gaps == 0
    assert 0.7 < found.nees_per_dof < 1.4


def test_a_gap_of_the_odometry_is_bridged_by_gnss(example, flight):
    """From the middle on, the odometry is turned and moved to another place, as after a lost track."""
    poses, fixes, truth, _ = flight
    broken, half = list(poses), len(poses) // 2
    wrong = inverse(poses[3].T)
    for k in range(half, len(poses)):
        lost = propagate(wrong, unknown_covariance(), poses[k].T, poses[k].covariance)
        broken[k] = OdometryPose(poses[k].stamp_ns, wrong @ poses[k].T, lost)
    gap = example("gnss_gap")
    fused = gap.fuse(broken, fixes)
    stamps = np.array([pose.stamp_ns for pose in poses])
    ate, _ = gap.errors(stamps, fused, truth.matrices()[1:], gap.middle(poses, 30.0))
    assert ate < 1.5


def test_positions_are_interpolated_between_near_fixes_only(example):
    second = 10**9
    stamps = np.array([0, 1, 2, 30, 31]) * second
    positions = np.column_stack([stamps / second, np.zeros(5), np.ones(5)])
    fixes = example("gnss_gap").Fixes(stamps, positions, np.tile(np.eye(3), (5, 1, 1)))
    at, known = fixes.at(np.array([second // 2, 16 * second, 30 * second, 40 * second]))
    np.testing.assert_allclose(at[:, 0], [0.5, 16, 30, 31])
    assert known.tolist() == [True, False, True, False]
    assert fixes.without(second, 30 * second).stamps_ns.tolist() == [0, 31 * second]


def test_the_command_prints_the_errors_and_writes_a_file_that_can_be_read(example, flight, capsys):
    *_, truth, folder = flight
    arguments = [str(folder / "bag"), "--truth", str(folder / "truth.tum"), "--out", str(folder / "fused.tum")]
    assert example("gnss_gap").main(arguments) == 0
    printed = capsys.readouterr().out
    assert "39 poses, 30 s without GNSS" in printed
    assert all(name in printed for name in ("GNSS alone", "odometry alone", "both"))
    np.testing.assert_array_equal(read_tum(folder / "fused.tum").stamps_ns, truth.stamps_ns[1:])


def test_a_bag_without_odometry_is_named(example, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        example("gnss_gap").read_flight(tmp_path / "gone")
