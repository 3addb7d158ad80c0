"""Poses and altitudes from files, looked up by frame."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from perception_common.errors import InputError
from replay_ros.bags.datasets.ground_truth import ConstantAltitude, interpolate_rotation, read_altitude, read_poses

quaternions = st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1)


def test_tum_poses_are_exact_at_their_stamps(shared_data):
    poses = read_poses(shared_data / "tum_fr2_desk" / "groundtruth.tum")
    pose = poses.at("any.png", 1_311_868_169_163_498_000)
    np.testing.assert_array_equal(pose.position, [-0.060679, -2.108206, 1.502909])
    np.testing.assert_allclose(pose.orientation, [0.740674, -0.430763, 0.252978, -0.449274], atol=1e-5)


def test_poses_are_interpolated_but_not_extrapolated(tmp_path):
    path = tmp_path / "poses.txt"
    path.write_text("# comment\n1.1 2 0 0 0 0 1 0\n\n1.0 0 0 0 0 0 0 1\n2.0 9 9 9 0 0 0 1\n")
    poses = read_poses(path)
    middle = poses.at("", 1_050_000_000)
    np.testing.assert_allclose(middle.position, [1, 0, 0])
    np.testing.assert_allclose(np.abs(middle.orientation), [0, 0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-12)
    assert poses.at("", 999_999_999) is None
    assert poses.at("", 2_000_000_001) is None
    assert poses.at("", 1_500_000_000) is None  # a gap of 0.9 s


@settings(deadline=None, max_examples=100)
@given(quaternions, quaternions, st.floats(0, 1))
def test_rotations_are_interpolated_as_by_scipy(q0, q1, fraction):
    first, last = Rotation.from_quat(q0), Rotation.from_quat(q1)
    if (first.inv() * last).magnitude() > np.pi - 1e-3:
        return  # half a turn: the sign of the axis is ambiguous
    expected = Slerp([0, 1], Rotation.concatenate([first, last]))(fraction)
    turned = Rotation.from_quat(interpolate_rotation(first.as_quat(), last.as_quat(), fraction))
    assert (turned.inv() * expected).magnitude() < 1e-6


def test_poses_by_name_keep_the_camera_to_world_convention(shared_data):
    path = shared_data / "odm_brighton_beach" / "poses.json"
    pose = read_poses(path).at("DJI_0018.JPG", 0)
    T = np.array(json.loads(path.read_text())["poses"]["DJI_0018.JPG"]["T_enu_cam"])
    np.testing.assert_array_equal(pose.position, T[:3, 3])
    np.testing.assert_allclose(Rotation.from_quat(pose.orientation).as_matrix(), T[:3, :3], atol=1e-5)
    assert read_poses(path).at("unknown.jpg", 0) is None


def test_altitude_may_be_a_number():
    assert read_altitude("40") == ConstantAltitude(40.0)
    assert read_altitude("40.5").at("any", 3) == 40.5


@pytest.mark.parametrize("text", ["stamp,altitude\n1.0,10\n1.2,12\n", "1.0 10\n1.2 12\n", "1.0;10\n1.2;12"])
def test_altitude_may_be_a_table(tmp_path, text):
    path = tmp_path / "altitude.csv"
    path.write_text(text)
    altitude = read_altitude(str(path))
    assert altitude.at("", 1_000_000_000) == 10.0
    assert altitude.at("", 1_100_000_000) == pytest.approx(11.0)
    assert altitude.at("", 5_000_000_000) is None


def test_altitude_may_come_from_exif_in_json(shared_data):
    altitude = read_altitude(str(shared_data / "odm_brighton_beach" / "poses.json"))
    assert altitude.at("DJI_0018.JPG", 0) == 39.80


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("p.tum", "", "holds no rows"),
        ("p.tum", "1 0 0 0 0 0 0 1\n2 0 0 x 0 0 0 1", "line 2: .* is not a row of numbers"),
        ("p.tum", "1 0 0 0 0 0 0 1\n2 0 0 0 0 0 0", "line 2: expected 8 finite numbers"),
        ("p.tum", "1 0 0 0 0 0 0 1\n1 0 0 0 0 0 0 1", "two rows for the stamp 1.000000 s"),
        ("p.tum", "1 0 0 0 2 0 0 1", "has length 2.236, not 1"),
        ("p.tum", "0 0 0 0 0 0 0 1\n1e300 0 0 0 0 0 0 1", "line 2"),
        ("p.json", "{", "not valid JSON"),
        ("p.json", "{}", 'has no "poses"'),
        ("p.json", '{"poses": {"a.png": [[1, 0]]}}', "the pose of a.png is not a 4x4 matrix"),
        ("p.json", json.dumps({"poses": {"a.png": np.diag([2.0, 1, 1, 1]).tolist()}}), "is not a rotation"),
    ],
)
def test_a_broken_pose_file_is_named_with_the_cause(tmp_path, name, text, sentence):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=sentence) as caught:
        read_poses(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("source", "sentence"), [("-3", "above 0"), ("nan", "above 0"), ("gone.csv", "does not exist")]
)
def test_an_impossible_altitude_is_refused(source, sentence):
    with pytest.raises(InputError, match=sentence):
        read_altitude(source)


def test_json_without_altitudes_is_refused(tmp_path):
    path = tmp_path / "poses.json"
    path.write_text(json.dumps({"poses": {"a.png": np.eye(4).tolist()}}))
    with pytest.raises(InputError, match=r"no image has an exif\.RelativeAltitude"):
        read_altitude(str(path))
