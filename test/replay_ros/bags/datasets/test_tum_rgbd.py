"""Bags of TUM RGB-D: exact stamps, depth in metres, poses compared with evo and scipy's slerp."""

import numpy as np
import pytest
from evo.tools import file_interface
from scipy.spatial.transform import Rotation, Slerp

from perception_common.errors import InputError
from replay_ros.bags.datasets.recording import FrameTiming
from replay_ros.bags.datasets.tum import read_tum_rgbd
from replay_ros.bags.making.make_bag import MakeBagOptions, make_bag
from replay_ros.bags.messages import stamp_of

STAMPS = [1305031102175304000, 1305031102211214000, 1305031102243211000]


def test_images_and_depth_keep_their_own_stamps(tum, tmp_path, read_bag):
    summary = make_bag(MakeBagOptions(tum, tmp_path / "bag"))
    assert (summary.what, summary.notes) == ("a TUM RGB-D sequence of freiburg1", ())
    bag = read_bag(tmp_path / "bag")
    assert [stamp_of(item.message) for item in bag["camera/image"]] == STAMPS
    assert [item.stamp_ns for item in bag["depth/image"]] == [
        1305031102160407000,
        1305031102194330000,
        1305031102226738000,
    ]
    assert "altitude" not in bag
    assert "tf_static" not in bag


def test_depth_is_metres_with_nan_where_it_is_unknown(tum, tmp_path, read_bag):
    make_bag(MakeBagOptions(tum, tmp_path / "bag", max_side=320))
    for number, item in enumerate(read_bag(tmp_path / "bag")["depth/image"]):
        message = item.message
        assert (message.encoding, message.header.frame_id) == ("32FC1", "camera_optical")
        depth = message.data.view(np.float32).reshape(message.height, message.width)
        assert depth.shape == (240, 320)
        assert np.isnan(depth[0, 0])
        assert depth[100, 100] == np.float32((5000 + number) / 5000)


def test_poses_are_interpolated_between_those_of_evo(tum, tmp_path, read_bag, matrix_of):
    make_bag(MakeBagOptions(tum, tmp_path / "bag"))
    truth = file_interface.read_tum_trajectory_file(tum / "groundtruth.txt")
    turn = Slerp(truth.timestamps, Rotation.from_quat(truth.orientations_quat_wxyz[:, [1, 2, 3, 0]]))
    found = read_bag(tmp_path / "bag")["ground_truth/pose"]
    assert [item.stamp_ns for item in found] == STAMPS
    for item in found:
        T, seconds = matrix_of(item.message), item.stamp_ns / 1e9
        np.testing.assert_allclose(T[:3, :3], turn(seconds).as_matrix(), atol=1e-5)  # evo's stamps are floats
        assert T[0, 3] == pytest.approx(np.interp(seconds, truth.timestamps, truth.positions_xyz[:, 0]), abs=1e-5)


@pytest.mark.parametrize(("name", "focal"), [("freiburg1", 517.3), ("freiburg2", 520.9), ("fr3", 535.4), ("fr30", 0)])
def test_the_camera_is_recognised_by_the_name_of_the_folder(tum, name, focal):
    recording = read_tum_rgbd(tum.rename(tum.parent / f"{name}_desk"), FrameTiming())
    calibration = recording.cameras[0].calibration
    assert (0 if calibration is None else calibration.K[0, 0]) == focal
    assert any("give a camera file" in note for note in recording.notes) == (focal == 0)


def test_broken_depth_is_named_and_skipped(tum, tmp_path, read_bag):
    broken = sorted((tum / "depth").iterdir())
    broken[0].write_bytes(b"")
    (tum / "rgb" / "1305031102.175304.png").replace(broken[1])  # a colour image
    summary = make_bag(MakeBagOptions(tum, tmp_path / "bag"))
    assert summary.broken == (broken[0].name, "1305031102.175304.png", broken[1].name)
    assert len(read_bag(tmp_path / "bag")["depth/image"]) == 1


def test_depth_ends_with_the_images(tum, tmp_path):
    assert make_bag(MakeBagOptions(tum, tmp_path / "bag", limit=1)).counts["/depth/image"] == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rate": 30.0}, "has its stamps in rgb.txt"),
        ({"pattern": "*.png", "format": "tum"}, "a pattern selects images of a plain folder"),
        ({"cameras": ("left",)}, "there is no camera left; a TUM RGB-D sequence of freiburg1 has rgb"),
        ({"format": "kitti"}, "is not a kitti sequence: it has no times.txt beside"),
    ],
)
def test_options_that_contradict_it_are_refused(tum, tmp_path, options, sentence):
    with pytest.raises(InputError, match=sentence):
        make_bag(MakeBagOptions(tum, tmp_path / "bag", **options))


def test_two_images_of_one_stamp_are_refused(tum):
    (tum / "rgb.txt").write_text("1.5 rgb/a.png\n1.50 rgb/b.png\n")
    with pytest.raises(InputError, match=r"a\.png and b\.png have the same stamp"):
        read_tum_rgbd(tum, FrameTiming())
