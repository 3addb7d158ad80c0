"""Bags of EuRoC: exact stamps, distortion models compared with OpenCV, poses compared with evo's reader."""

import cv2
import numpy as np
import pytest
from evo.tools import file_interface

from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from replay_ros.bags.datasets.euroc import read_euroc
from replay_ros.bags.datasets.recording import FrameTiming
from replay_ros.bags.making.make_bag import MakeBagOptions, make_bag
from replay_ros.bags.reader import open_bag
from replay_ros.bags.topic_choice import find_image_topic

STAMPS = [1403636579763555584, 1403636579813555456, 1403636579863555584]
K = np.array([[20.5, 0, 15.75], [0, 20.25, 11.5], [0, 0, 1]])


def test_both_cameras_keep_every_nanosecond_and_one_must_be_chosen(euroc, tmp_path, read_bag):
    summary = make_bag(MakeBagOptions(euroc[0], tmp_path / "bag"))
    assert summary.what == "a EuRoC sequence (cam0, cam1)"
    assert "images are on /camera/image, /camera_cam1/image: choose with --image-topic, or here with --cameras" in (
        summary.notes
    )
    bag = read_bag(tmp_path / "bag")
    for topic in ("camera/image", "camera_cam1/image"):
        assert [item.stamp_ns for item in bag[topic]] == STAMPS
        assert {item.message.encoding for item in bag[topic]} == {"mono8"}
    with open_bag(tmp_path / "bag") as opened, pytest.raises(InputError, match=r"several image topics.*--image-topic"):
        find_image_topic(opened)


def test_both_distortion_models_agree_with_opencv(euroc, tmp_path, read_bag):
    make_bag(MakeBagOptions(euroc[0], tmp_path / "bag"))
    bag = read_bag(tmp_path / "bag")
    points = np.array([[0.2, -0.3, 1.0], [-0.5, 0.1, 1.0], [0.3, 0.4, 1.0]])
    zero = np.zeros(3)
    radtan = cv2.projectPoints(points, zero, zero, K, np.array([-0.28, 0.07, 0.0002, 1.7e-05]))[0][:, 0]
    fisheye = cv2.fisheye.projectPoints(points[:, None], zero, zero, K, np.array([0.01, -0.02, 0.003, -0.001]))[0][:, 0]
    for topic, expected in (("camera/camera_info", radtan), ("camera_cam1/camera_info", fisheye)):
        camera = Camera.from_camera_info(bag[topic][0].message)
        assert (camera.width, camera.height) == (32, 24)
        np.testing.assert_allclose(camera.rays(expected), points[:, :2], atol=1e-5)


@pytest.mark.parametrize("cameras", [None, ("cam1",), ("cam1", "cam0")])
def test_poses_are_those_of_evo_moved_to_the_chosen_camera(euroc, tmp_path, read_bag, matrix_of, cameras):
    folder, mounts, _ = euroc
    make_bag(MakeBagOptions(folder, tmp_path / "bag", cameras=cameras))
    truth = file_interface.read_euroc_csv_trajectory(folder / "mav0" / "state_groundtruth_estimate0" / "data.csv")
    T_truth_camera = np.linalg.inv(mounts["state_groundtruth_estimate0"]) @ mounts[cameras[0] if cameras else "cam0"]
    found = read_bag(tmp_path / "bag")["ground_truth/pose"]
    assert [item.stamp_ns for item in found] == STAMPS
    for item, T in zip(found, truth.poses_se3, strict=True):
        np.testing.assert_allclose(matrix_of(item.message), T @ T_truth_camera, atol=1e-9)


def test_imu_samples_are_unchanged_and_end_with_the_images(euroc, tmp_path, read_bag):
    make_bag(MakeBagOptions(euroc[0], tmp_path / "bag"))
    samples = read_bag(tmp_path / "bag")["imu"]
    assert [item.stamp_ns for item in samples] == [STAMPS[0] + 5_000_000 * n for n in range(-1, 21)]
    message = samples[2].message
    assert (message.angular_velocity.x, message.angular_velocity.z) == (0.01, 0.03)
    assert (message.linear_acceleration.x, message.linear_acceleration.z) == (9.1, -2.0)
    assert (message.header.frame_id, message.orientation_covariance[0]) == ("imu_link", -1)


def test_transforms_hold_the_mounts(euroc, tmp_path, read_bag):
    make_bag(MakeBagOptions(euroc[0], tmp_path / "bag"))
    (message,) = read_bag(tmp_path / "bag")["tf_static"]
    children = {each.child_frame_id: each.transform.translation for each in message.message.transforms}
    assert set(children) == {"camera_optical", "camera_optical_cam1", "imu_link"}
    assert (children["camera_optical_cam1"].x, children["camera_optical_cam1"].y) == (-0.02, 0.05)


def test_the_mav0_folder_of_a_sequence_without_ground_truth_is_read(euroc):
    for file in (euroc[0] / "mav0" / "state_groundtruth_estimate0").iterdir():
        file.unlink()
    recording = read_euroc(euroc[0] / "mav0", FrameTiming())
    assert recording.poses is None
    assert "there are no true poses" in recording.notes[0]


@pytest.mark.parametrize(
    ("file", "old", "new", "sentence"),
    [
        ("cam0/sensor.yaml", "radial-tangential", "omni", r"cam0/sensor\.yaml: unknown camera"),
        ("cam0/sensor.yaml", "[32, 24]", "32", "the resolution is 32"),
        ("cam0/sensor.yaml", "20.5, ", "", r"cam0/sensor\.yaml: K has 3 numbers"),
        ("cam0/sensor.yaml", "data: [", "data: [7, ", "T_BS is not a 4x4 pose matrix"),
        ("cam0/sensor.yaml", "T_BS:", "T_BS: [", r"sensor\.yaml is not valid YAML"),
        ("cam0/data.csv", ",", "|", r"data\.csv line 2: .* is not a row of stamp file"),
        ("imu0/data.csv", "9.1", "nan", r"imu0/data\.csv line 2: .* is not a row of finite numbers"),
        ("imu0/data.csv", "1403636579768555584", "1403636579763555584", "has the same stamp as line 3"),
        ("state_groundtruth_estimate0/data.csv", "4.6", "0.1,4.6", "its quaternion has length"),
    ],
)
def test_broken_files_are_named(euroc, file, old, new, sentence):
    path = euroc[0] / "mav0" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=sentence):
        read_euroc(euroc[0], FrameTiming())
