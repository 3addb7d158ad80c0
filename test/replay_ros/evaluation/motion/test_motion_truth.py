"""Truth from every type of topic and from files, and its association with stamps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.base_frame import parse_mount
from perception_common.errors import InputError
from perception_common.geometry import quaternion_from_matrix, so3_exp, transform
from perception_common.tum import Trajectory, write_tum
from replay_ros.bags.messages import header, load_types, new
from replay_ros.bags.reader import open_bag
from replay_ros.bags.writer import BagWriter
from replay_ros.evaluation.motion.truth import associate, find_truth_topic, read_truth

T_FIRST = transform(so3_exp(np.array([0.1, -0.2, 0.3])), np.array([1.0, 2.0, 3.0]))
T_SECOND = transform(so3_exp(np.array([0.2, -0.2, 0.3])), np.array([1.5, 2.0, 3.0]))
STAMPS = (1_000_000_000, 1_100_000_000)


def messages(types, type_name, stamp, T, child="camera_optical", variance=0.0):
    """Make a message of the type that holds the pose (4, 4). variance: of the pose, in each degree of freedom."""
    x, y, z, w = quaternion_from_matrix(T[:3, :3]).tolist()
    xyz = dict(zip("xyz", T[:3, 3].tolist(), strict=True))
    rotation = new(types, "geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)
    head = header(types, stamp, "map")
    pose = new(
        types, "geometry_msgs/msg/Pose", position=new(types, "geometry_msgs/msg/Point", **xyz), orientation=rotation
    )
    with_covariance = new(
        types, "geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=variance * np.eye(6).ravel()
    )
    zero = new(types, "geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=0.0)
    twist = new(
        types,
        "geometry_msgs/msg/TwistWithCovariance",
        twist=new(types, "geometry_msgs/msg/Twist", linear=zero, angular=zero),
        covariance=np.zeros(36),
    )
    moved = new(types, "geometry_msgs/msg/Vector3", **xyz)
    stamped = new(
        types,
        "geometry_msgs/msg/TransformStamped",
        header=head,
        child_frame_id=child,
        transform=new(types, "geometry_msgs/msg/Transform", translation=moved, rotation=rotation),
    )
    return {
        "geometry_msgs/msg/PoseStamped": lambda: new(types, type_name, header=head, pose=pose),
        "geometry_msgs/msg/PoseWithCovarianceStamped": lambda: new(types, type_name, header=head, pose=with_covariance),
        "nav_msgs/msg/Odometry": lambda: new(
            types, type_name, header=head, child_frame_id=child, pose=with_covariance, twist=twist
        ),
        "geometry_msgs/msg/TransformStamped": lambda: stamped,
        "tf2_msgs/msg/TFMessage": lambda: new(types, type_name, transforms=[stamped]),
    }[type_name]()


def write_bag(path, type_name, children=("camera_optical",), topic="ground_truth/pose"):
    types = load_types()
    with BagWriter(path) as bag:
        for stamp, T in zip(STAMPS, (T_FIRST, T_SECOND), strict=True):
            for offset, child in enumerate(children):
                other = T if offset == 0 else np.eye(4)
                bag.write(topic, messages(types, type_name, stamp, other, child), stamp + offset)
    return path


@pytest.mark.parametrize(
    "type_name",
    [
        "geometry_msgs/msg/PoseStamped",
        "geometry_msgs/msg/PoseWithCovarianceStamped",
        "nav_msgs/msg/Odometry",
        "geometry_msgs/msg/TransformStamped",
        "tf2_msgs/msg/TFMessage",
    ],
)
def test_poses_are_read_from_every_type_of_topic(tmp_path, type_name):
    with open_bag(write_bag(tmp_path / "bag", type_name)) as bag:
        assert find_truth_topic(bag) == "/ground_truth/pose"
        truth = read_truth("ground_truth/pose", bag)
    assert truth.source.startswith(f"/ground_truth/pose ({type_name}")
    assert truth.trajectory.stamps_ns.tolist() == list(STAMPS)
    np.testing.assert_allclose(truth.trajectory.matrices(), [T_FIRST, T_SECOND], atol=1e-12)


@pytest.mark.parametrize("type_name", ["geometry_msgs/msg/PoseWithCovarianceStamped", "nav_msgs/msg/Odometry"])
def test_poses_with_a_covariance_are_no_exact_truth(tmp_path, type_name):
    for name, variance in (("exact", 0.0), ("approximate", 0.5)):
        with BagWriter(tmp_path / name) as bag:
            for stamp, T in zip(STAMPS, (T_FIRST, T_SECOND), strict=True):
                bag.write("truth", messages(bag.types, type_name, stamp, T, variance=variance), stamp)
        with open_bag(tmp_path / name) as bag:
            assert read_truth("truth", bag).is_exact == (variance == 0)


def test_the_child_frame_chooses_among_several_transforms(tmp_path):
    path = write_bag(tmp_path / "bag", "tf2_msgs/msg/TFMessage", ("camera_optical", "world"), topic="tf")
    with open_bag(path) as bag:
        assert find_truth_topic(bag) is None
        with pytest.raises(InputError, match=r"camera_optical, world; .*--truth-frame"):
            read_truth("/tf", bag)
        with pytest.raises(InputError, match="no transform of lidar, only of camera_optical, world"):
            read_truth("/tf", bag, child_frame="lidar")
        truth = read_truth("/tf", bag, child_frame="camera_optical")
    np.testing.assert_allclose(truth.trajectory.matrices(), [T_FIRST, T_SECOND], atol=1e-12)


def test_a_stamp_with_several_poses_is_no_truth(tmp_path):
    kind = "geometry_msgs/msg/PoseStamped"
    with BagWriter(tmp_path / "bag") as bag:
        for received, (stamp, T) in enumerate([(1, T_FIRST), (2, T_FIRST), (1, T_SECOND), (2, T_FIRST), (3, T_SECOND)]):
            bag.write("truth", messages(bag.types, kind, stamp * 10**9, T), received)
    with open_bag(tmp_path / "bag") as bag:
        truth = read_truth("truth", bag)
    assert truth.trajectory.stamps_ns.tolist() == [2 * 10**9, 3 * 10**9]
    assert truth.source.endswith("without 1 stamps that have several poses)")
    with BagWriter(tmp_path / "all") as bag:
        for received, T in enumerate([T_FIRST, T_SECOND]):
            bag.write("truth", messages(bag.types, kind, 0, T), received)
    with open_bag(tmp_path / "all") as bag, pytest.raises(InputError, match="other poses at each stamp"):
        read_truth("truth", bag)


def test_a_tum_file_of_the_base_is_moved_to_the_optical_frame(tmp_path):
    T_base_optical = parse_mount("0.1, 0, -0.2, -0.5, 0.5, -0.5, 0.5")
    np.testing.assert_allclose(T_base_optical[:3, 2], [1, 0, 0], atol=1e-12)  # the optical axis points forward
    path = tmp_path / "truth.tum"
    write_tum(path, Trajectory.from_matrices(STAMPS, [T_FIRST, T_SECOND]))
    plain = read_truth(str(path), None)
    moved = read_truth(str(path), None, T_base_optical=T_base_optical)
    np.testing.assert_allclose(
        moved.trajectory.matrices(), plain.trajectory.matrices() @ T_base_optical, atol=1e-9, rtol=0
    )
    assert "optical" in moved.source


class TestAssociation:
    truth = Trajectory.from_matrices(STAMPS, [T_FIRST, T_SECOND])

    def test_exact_interpolated_nearest_and_none(self):
        stamps = np.array([STAMPS[0], 1_025_000_000, 1_120_000_000, 2_000_000_000])
        matched, poses, found = associate(stamps, self.truth, 0.05)
        assert matched.tolist() == [True, True, True, False]
        np.testing.assert_allclose(poses[0], T_FIRST, atol=1e-12)
        np.testing.assert_allclose(poses[1][:3, 3], [1.125, 2, 3])
        np.testing.assert_allclose(poses[2], T_SECOND, atol=1e-12)
        assert (found.poses, found.matched, found.unmatched, found.tolerance_s) == (4, 3, 1, 0.05)
        assert (found.median_gap_s, found.largest_gap_s) == (pytest.approx(0.02), pytest.approx(0.025))

    def test_wide_gaps_are_not_interpolated(self):
        matched, poses, _ = associate(np.array([1_010_000_000, 1_090_000_000, 1_050_000_000]), self.truth, 0.02)
        assert matched.tolist() == [True, True, False]
        np.testing.assert_allclose(poses[:2], [T_FIRST, T_SECOND], atol=1e-12)

    def test_no_stamps(self):
        matched, poses, found = associate(np.zeros(0, np.int64), self.truth)
        assert (matched.shape, poses.shape, found.matched, found.median_gap_s) == ((0,), (0, 4, 4), 0, None)

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.integers(0, 3_000_000_000), min_size=1, max_size=20), st.floats(0.001, 1))
    def test_a_stamp_is_matched_exactly_when_a_true_pose_is_near(self, stamps, tolerance):
        matched, poses, found = associate(np.array(stamps), self.truth, tolerance)
        for stamp, is_matched, pose in zip(stamps, matched, poses, strict=True):
            gap = min(abs(stamp - each) for each in STAMPS)
            assert is_matched == (gap <= round(tolerance * 1e9))
            if is_matched:  # between the first and the second pose
                assert 1 - 1e-9 <= pose[0, 3] <= 1.5 + 1e-9
        assert found.matched + found.unmatched == len(stamps)


class TestBadInput:
    def test_missing_topics_and_files(self, tmp_path):
        path = write_bag(tmp_path / "bag", "geometry_msgs/msg/PoseStamped")
        with open_bag(path) as bag, pytest.raises(InputError, match="has no topic /mocap"):
            read_truth("/mocap", bag)
        with pytest.raises(InputError, match="give a TUM file"):
            read_truth("nowhere.tum", None)

    @pytest.mark.parametrize("text", ["1 2 3", "0,0,0,0,0,0,0", "a b c d e f g", "nan 0 0 0 0 0 1"])
    def test_invalid_base_frames(self, text):
        with pytest.raises(InputError, match="--base-optical is"):
            parse_mount(text, "--base-optical", normalise=True)
