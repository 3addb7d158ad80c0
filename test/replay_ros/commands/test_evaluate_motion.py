"""The command evaluate_motion on bags with exact relative poses, except for the errors that a test adds."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from loftr_ros.geometry.scale.result import ScaleSource
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.geometry.uncertainty.covariance import UNOBSERVED, unknown_covariance
from perception_common.errors import InputError
from perception_common.geometry import inverse, quaternion_from_matrix, so3_exp, transform
from perception_common.tum import Trajectory, write_tum
from replay_ros.bags.datasets.ground_truth import Pose
from replay_ros.bags.messages import header, load_types, new, world_pose_message
from replay_ros.bags.writer import BagWriter
from replay_ros.commands.evaluate import motion as command
from replay_ros.evaluation.motion.edges import PoseEdge, chain, chain_is_metric
from replay_ros.evaluation.motion.metrics import evaluate_motion
from replay_ros.evaluation.motion.truth import TrueMotion

STEP = 200_000_000


def flight(count=12):
    """Poses (N, 4, 4) along a curve with steps of 2 m."""
    poses = [np.eye(4)]
    for k in range(count - 1):
        rotation, direction = np.array([0.02, 0.1, 0.01 * k]), np.array([0.3, 0.1 * np.sin(k), 1.0])
        poses.append(poses[-1] @ transform(so3_exp(rotation), 2 * direction / np.linalg.norm(direction)))
    return np.array(poses)


def edges_of(poses, scale=ScaleSource.ALTITUDE):
    """The true relative poses, in metres or with translations of length 1."""
    edges = []
    for k, (older, newer) in enumerate(itertools.pairwise(poses)):
        matrix = inverse(older) @ newer
        covariance = np.eye(6) * 1e-4
        if scale == ScaleSource.UNKNOWN:
            matrix[:3, 3] /= np.linalg.norm(matrix[:3, 3])
            covariance[:3, :3] += UNOBSERVED * np.outer(matrix[:3, 3], matrix[:3, 3])
        edges.append(
            PoseEdge(k * STEP, (k + 1) * STEP, matrix, covariance, Geometry.GENERAL, scale, 200, 150, 5.0, 0.4)
        )
    return edges


def as_pose(T):
    return Pose(T[:3, 3], quaternion_from_matrix(T[:3, :3]))


def write_bag(path, edges, truth=None, poses=None):
    """Write relative poses, and true and estimated poses where given."""
    types = load_types()

    def time(stamp):
        return header(types, stamp, "").stamp

    with BagWriter(path) as bag:
        for number, edge in enumerate(edges):
            pose = world_pose_message(types, as_pose(edge.matrix), 0, "").pose
            covariance = new(
                types, "geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=edge.covariance.ravel()
            )
            fields = {
                "header": header(types, edge.newer_ns, "camera"),
                "older_id": number,
                "newer_id": number + 1,
                "older_stamp": time(edge.older_ns),
                "newer_stamp": time(edge.newer_ns),
                "pose": covariance,
                "scale_status": int(edge.scale),
                "geometry": int(edge.geometry),
                "matches": edge.matches,
                "inliers": edge.inliers,
                "parallax": edge.parallax,
                "residual": edge.residual,
                "reason": "",
                "scale_reason": "",
                "loop": False,
            }
            bag.write("loftr/relative_pose", new(types, "yolc_ros/msg/RelativePose", **fields), edge.newer_ns)
        for topic, trajectory in (("ground_truth/pose", truth), ("loftr/pose", poses)):
            for k, T in enumerate(() if trajectory is None else trajectory):
                bag.write(topic, world_pose_message(types, as_pose(T), k * STEP, "map"), k * STEP + 1)
    return path


def run(tmp_path, *arguments):
    """Run the command and return its JSON."""
    path = tmp_path / "result.json"
    assert command.main([*map(str, arguments), "--json", str(path)]) == 0
    return json.loads(path.read_text())


def test_a_metric_flight_without_errors(tmp_path, capsys):
    true = flight()
    bag = write_bag(tmp_path / "bag", edges_of(true), true)
    result = run(tmp_path, bag, "--estimator", "poselib, 1 px")
    assert result["association"] | {"tolerance_s": 0.05, "matched": 12, "unmatched": 0} == result["association"]
    assert result["poses"]["edges"] == 11
    assert result["poses"]["auc"] == pytest.approx({"5": 1, "10": 1, "20": 1}, abs=1e-4)
    assert result["poses"]["details"][3]["length_error_m"] == pytest.approx(0, abs=1e-5)
    assert result["trajectory"]["alignment"] == "SE3"
    assert result["trajectory"]["ate_m"]["rmse"] == pytest.approx(0, abs=1e-5)
    assert result["trajectory"]["length_m"] == pytest.approx(22)
    assert result["calibration"]["nees_per_dof"] == pytest.approx(0, abs=1e-3)
    assert result["calibration"]["inside_95"] == 1
    assert result["notes"] == []
    text = capsys.readouterr().out
    assert "12 of 12 poses within 0.05 s" in text
    assert "estimator      poselib, 1 px" in text
    assert "aligned by SE3" in text


def test_a_flight_of_unknown_scale_is_compared_up_to_scale(tmp_path, capsys):
    true = flight()
    result = run(tmp_path, write_bag(tmp_path / "bag", edges_of(true, ScaleSource.UNKNOWN), true))
    assert result["trajectory"]["alignment"] == "Sim3"
    assert result["trajectory"]["scale"] == pytest.approx(2)
    assert result["trajectory"]["ate_m"]["rmse"] == pytest.approx(0, abs=1e-5)
    assert result["poses"]["median_length_error"] is None
    assert {each["dof"] for each in result["poses"]["details"]} == {5}
    assert any("Sim3" in note for note in result["notes"])
    assert "aligned by Sim3, scale 2" in capsys.readouterr().out


def test_the_published_trajectory_is_preferred_to_a_chained_one(tmp_path):
    true = flight()
    other = true.copy()
    other[6:, 0, 3] += 1.0
    bag = write_bag(tmp_path / "bag", edges_of(true), true, other)
    result = run(tmp_path, bag)
    assert result["trajectory"]["ate_m"]["largest"] > 0.3
    assert result["poses"]["auc"]["5"] == pytest.approx(1, abs=1e-3)


def test_truth_from_a_file_and_from_another_bag(tmp_path):
    true, offset = flight(), transform(so3_exp(np.array([0, 0, 0.5])), np.array([0.1, 0, 0.2]))
    base = true @ inverse(offset)
    write_tum(tmp_path / "base.tum", Trajectory.from_matrices(np.arange(12) * STEP + 3_000_000, base))
    bag = write_bag(tmp_path / "bag", edges_of(true))
    x, y, z, qx, qy, qz, qw = (*offset[:3, 3], *quaternion_from_matrix(offset[:3, :3]))
    pose = ",".join(map(str, (x, y, z, qx, qy, qz, qw)))
    result = run(tmp_path, bag, "--truth", tmp_path / "base.tum", f"--base-optical={pose}", "--tolerance", "0.01")
    assert result["trajectory"]["ate_m"]["rmse"] == pytest.approx(0, abs=1e-5)
    assert result["association"]["largest_gap_s"] == pytest.approx(0.003)

    result = run(tmp_path, bag, "--truth-bag", write_bag(tmp_path / "truth", [], true))
    assert result["poses"]["edges"] == 11


def test_poses_without_truth_are_counted_and_left_out(tmp_path):
    true = flight()
    write_tum(tmp_path / "half.tum", Trajectory.from_matrices(np.arange(6) * STEP, true[:6]))
    result = run(tmp_path, write_bag(tmp_path / "bag", edges_of(true)), "--truth", tmp_path / "half.tum")
    assert (result["association"]["matched"], result["association"]["unmatched"]) == (6, 6)
    assert (result["poses"]["edges"], result["trajectory"]["poses"]) == (5, 6)
    assert result["notes"] == [
        "6 of 12 poses have no truth within 0.05 s",
        "6 of 11 relative poses have no truth at one of their ends",
    ]


def test_failed_pairs_are_counted_and_add_no_motion():
    true = flight()
    edges = edges_of(true)
    edges[4] = PoseEdge(4 * STEP, 5 * STEP, np.eye(4), unknown_covariance(), Geometry.FAILED, ScaleSource.UNKNOWN)
    truth = TrueMotion("made up", Trajectory.from_matrices(np.arange(12) * STEP, true))
    found = evaluate_motion(edges, truth)
    assert (found.poses.failures, found.poses.success_5deg, found.calibration.edges) == (1, 10, 10)
    assert found.trajectory.poses == 12
    assert found.trajectory.rpe_m.largest == pytest.approx(2, abs=1e-6)  # the missing step
    nothing = evaluate_motion([], truth)
    assert (nothing.poses, nothing.calibration, nothing.trajectory) == (None, None, None)


def test_a_truth_with_errors_of_its_own_does_not_judge_covariances():
    true = flight()
    truth = TrueMotion("by GPS", Trajectory.from_matrices(np.arange(12) * STEP, true), is_exact=False)
    found = evaluate_motion(edges_of(true), truth)
    assert (found.calibration, found.poses.success_5deg) == (None, 11)
    assert found.notes[0] == "the poses of by GPS tell a covariance, so they cannot judge those of the edges"


@pytest.mark.parametrize("is_published", [False, True])
def test_trajectories_of_stamps_that_jump_back_are_not_merged(is_published):
    """Two runs over the same stamps: the shorter one goes elsewhere."""
    true = flight()
    elsewhere = [replace(edge, matrix=inverse(edge.matrix)) for edge in edges_of(true)[:4]]
    stamps, poses = (
        np.arange(12) * STEP,
        np.concatenate([true, true[:5] @ transform(np.eye(3), np.array([50.0, 0, 0]))]),
    )
    published = Trajectory.from_matrices(np.concatenate([stamps, stamps[:5]]), poses) if is_published else None
    truth = TrueMotion("made up", Trajectory.from_matrices(stamps, true))
    found = evaluate_motion([*edges_of(true), *elsewhere], truth, trajectory=published)
    assert found.trajectory.poses == 12
    assert found.trajectory.ate_m.largest < 1e-6
    assert found.poses.edges == 15
    assert found.poses.success_5deg == 11
    left_out = 5 if is_published else 4
    assert f"stamps jump back: the trajectory is that of the longest run, without {left_out} poses" in found.notes[0]


def test_chains_prefer_the_newest_older_keyframe_and_leave_out_unconnected_ones():
    true = flight(4)
    edges = edges_of(true)
    wrong = PoseEdge(0, 2 * STEP, np.eye(4), np.eye(6), Geometry.GENERAL, ScaleSource.UNKNOWN)
    restarted = PoseEdge(90 * STEP, 91 * STEP, np.eye(4), np.eye(6), Geometry.GENERAL, ScaleSource.ALTITUDE)
    trajectory = chain([wrong, *edges, restarted])
    assert trajectory.stamps_ns.tolist() == [0, STEP, 2 * STEP, 3 * STEP]
    np.testing.assert_allclose(trajectory.matrices(), true, atol=1e-9)
    assert chain_is_metric(edges)
    assert not chain_is_metric([wrong, *edges])
    assert not chain_is_metric([])
    assert len(chain([])) == 0


class TestBadInput:
    def fails(self, message, *arguments):
        with pytest.raises(InputError, match=message) as caught:
            command.main([str(argument) for argument in arguments])
        assert "\n" not in str(caught.value)

    def test_bags_without_truth_or_relative_poses(self, tmp_path):
        true = flight()
        bag = write_bag(tmp_path / "bag", edges_of(true))
        self.fails("say which with --truth", bag)
        self.fails("no such|has no topic /mocap", bag, "--truth", "/mocap")
        self.fails("tolerance", bag, "--truth", "x", "--tolerance", "0")
        truth = write_bag(tmp_path / "truth", [], true)
        self.fails(r"must have one topic of yolc_ros/msg/RelativePose \(none\)", truth)
        self.fails("no geometry_msgs/msg/PoseStamped", bag, "--truth-bag", truth, "--pose-topic", "loftr/relative_pose")
