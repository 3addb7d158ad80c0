"""Camera files in all formats that are read."""

import json

import cv2
import numpy as np
import pytest
import yaml

from perception_common.errors import InputError
from replay_ros.bags.datasets.camera_files import read_calibration

K = [[500.0, 0.0, 319.5], [0.0, 510.0, 239.5], [0.0, 0.0, 1.0]]
ROS = {
    "image_width": 640,
    "image_height": 480,
    "camera_name": "gimbal",
    "camera_matrix": {"rows": 3, "cols": 3, "data": [500.0, 0, 319.5, 0, 510.0, 239.5, 0, 0, 1]},
    "distortion_model": "plumb_bob",
    "distortion_coefficients": {"rows": 1, "cols": 5, "data": [-0.2, 0.05, 0.001, -0.002, 0.0]},
    "rectification_matrix": {"rows": 3, "cols": 3, "data": [1, 0, 0, 0, 1, 0, 0, 0, 1]},
    "projection_matrix": {"rows": 3, "cols": 4, "data": [480.0, 0, 320.0, -12.0, 0, 490.0, 240.0, 0, 0, 0, 1, 0]},
}


def write(path, content):
    path.write_text(json.dumps(content) if path.suffix == ".json" else yaml.safe_dump(content))
    return path


def test_the_yaml_of_camera_calibration_is_read_whole(tmp_path):
    camera = read_calibration(write(tmp_path / "camera.yaml", ROS))
    assert (camera.width, camera.height, camera.model) == (640, 480, "plumb_bob")
    np.testing.assert_array_equal(camera.K, K)
    assert camera.D == (-0.2, 0.05, 0.001, -0.002, 0.0)
    np.testing.assert_array_equal(camera.R, np.eye(3))
    np.testing.assert_array_equal(camera.P, [[480, 0, 320, -12], [0, 490, 240, 0], [0, 0, 1, 0]])


def test_the_short_form_takes_four_numbers_for_k(tmp_path):
    content = {"K": [500.0, 510.0, 319.5, 239.5], "D": [0.1], "width": 640, "height": 480}
    camera = read_calibration(write(tmp_path / "camera.yaml", content))
    np.testing.assert_array_equal(camera.K, K)
    assert camera.D == (0.1, 0.0, 0.0, 0.0, 0.0)
    np.testing.assert_array_equal(camera.P, np.hstack([K, np.zeros((3, 1))]))


def test_exponents_without_a_dot_are_numbers(tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text("{K: [5e2, 510, 319.5, 239.5], D: [1e-3, -2e-4]}")
    camera = read_calibration(path)
    assert camera.K[0, 0] == 500.0
    assert camera.D[:2] == (0.001, -0.0002)


@pytest.mark.parametrize(
    ("model", "D", "expected"),
    [
        (None, [0.1, 0.2, 0.3, 0.4], ("plumb_bob", 5)),
        (None, [0.1] * 8, ("rational_polynomial", 8)),
        (None, [0.1] * 5 + [0.0] * 9, ("plumb_bob", 5)),
        ("rational_polynomial", [0.1] * 12, ("rational_polynomial", 12)),
        ("fisheye", [0.1, 0.2, 0.3, 0.4], ("equidistant", 4)),
        ("radtan", [0.1, 0.2, 0.3, 0.4], ("plumb_bob", 5)),
        (None, [], ("plumb_bob", 5)),
    ],
)
def test_distortion_gets_the_name_and_length_that_ros_gives_it(tmp_path, model, D, expected):
    content = {"K": K, "D": D} if model is None else {"K": K, "D": D, "model": model}
    camera = read_calibration(write(tmp_path / "camera.yaml", content))
    assert (camera.model, len(camera.D)) == expected
    assert list(camera.D[: len(D)]) == D[: len(camera.D)]


def test_opencv_storage_is_read_as_opencv_writes_it(tmp_path):
    path = tmp_path / "intrinsics.yml"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 640)
    storage.write("image_height", 480)
    storage.write("camera_matrix", np.array(K))
    storage.write("distortion_coefficients", np.array([[-0.2, 0.05, 0.001, -0.002, 0.01]]))
    storage.release()
    camera = read_calibration(path)
    assert (camera.width, camera.height, camera.model) == (640, 480, "plumb_bob")
    np.testing.assert_array_equal(camera.K, K)
    assert camera.D == (-0.2, 0.05, 0.001, -0.002, 0.01)


def test_each_camera_of_a_real_stereo_file_is_read(shared_data):
    path = shared_data / "opencv_stereo_calib" / "intrinsics.yml"
    left, right = read_calibration(path, 1), read_calibration(path, 2)
    assert left.K[0, 2] == pytest.approx(335.68643204394891)
    assert right.K[0, 2] == pytest.approx(334.55744527912015)
    assert left.width == 0  # not in the file
    with pytest.raises(InputError, match=r"two cameras, M1 and M2; choose one with --camera-number"):
        read_calibration(path)


def test_poses_json_is_a_camera_file(shared_data):
    camera = read_calibration(shared_data / "odm_brighton_beach" / "poses.json")
    assert (camera.width, camera.height) == (1600, 900)
    np.testing.assert_array_equal(camera.K, [[947, 0, 800], [0, 947, 450], [0, 0, 1]])
    assert camera.D == (0.0,) * 5


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("camera.yaml", "[1, 2]", "holds no camera"),
        ("camera.yaml", "{K: [1", "not valid YAML"),
        ("camera.json", "{", "not valid JSON"),
        ("camera.yaml", "{width: 640}", "neither camera_matrix nor K"),
        ("camera.yaml", "{K: [1, 2, 3]}", "K has 3 numbers"),
        ("camera.yaml", "{K: [a, 2, 3, 4]}", "expected finite numbers"),
        ("camera.yaml", "{K: [.nan, 2, 3, 4]}", "expected finite numbers"),
        ("camera.yaml", "{K: [0, 500, 320, 240]}", "focal lengths in K are 0 and 500"),
        ("camera.yaml", "{K: [500, 500, 320, 240], width: 640}", "only one of width and height"),
        ("camera.yaml", "{K: [500, 500, 320, 240], width: 6.5, height: 4}", "expected whole pixels"),
        ("camera.yaml", "{K: [500, 500, 320, 240], model: mei}", "unknown distortion model 'mei'"),
        ("camera.yaml", "{K: [500, 500, 320, 240], model: fisheye, D: [1, 1, 1, 1, 1]}", "at most 4"),
        ("camera.yml", "%YAML:1.0\n---\nfoo: [", "not a valid OpenCV FileStorage"),
        ("camera.yml", "%YAML:1.0\n---\nfoo: 1\n", "has no matrix camera_matrix"),
    ],
)
def test_an_invalid_file_is_named_with_the_cause(tmp_path, name, text, sentence):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=sentence) as caught:
        read_calibration(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_number_is_for_stereo_files_only(tmp_path):
    with pytest.raises(InputError, match="holds one camera"):
        read_calibration(write(tmp_path / "camera.yaml", ROS), 2)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.yaml does not exist"):
        read_calibration(tmp_path / "gone.yaml")
