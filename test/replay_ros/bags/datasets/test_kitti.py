"""Bags of KITTI odometry: stamps, cameras and poses, compared with evo's reader and with the projections."""

import numpy as np
import pytest
from evo.tools import file_interface

from perception_common.errors import InputError
from perception_common.images.conversion import to_rgb
from replay_ros.bags.datasets.kitti import read_kitti
from replay_ros.bags.datasets.recording import FrameTiming
from replay_ros.bags.making.make_bag import MakeBagOptions, make_bag
from replay_ros.bags.making.summary import describe_summary
from replay_ros.bags.messages import stamp_of

START = 1_000_000_000
STAMPS = [START, START + 103_622_400, START + 207_194_500]


def test_a_sequence_is_recognised_and_keeps_times_pixels_and_encodings(kitti, tmp_path, read_bag):
    summary = make_bag(MakeBagOptions(kitti[0], tmp_path / "bag"))
    assert summary.what == "a KITTI odometry sequence (image_2, image_0)"
    assert "times.txt, from 1 s" in describe_summary(summary)
    bag = read_bag(tmp_path / "bag")
    for topic, encoding, value in (("camera/image", "bgr8", 40), ("camera_image_0/image", "mono8", 80)):
        assert [item.stamp_ns for item in bag[topic]] == STAMPS
        assert [stamp_of(item.message) for item in bag[topic]] == STAMPS
        assert {item.message.encoding for item in bag[topic]} == {encoding}
        assert [int(to_rgb(item.message)[0, 0, 0]) for item in bag[topic]] == [value, value + 1, value + 2]


def test_poses_are_those_of_evo_moved_to_the_colour_camera(kitti, tmp_path, read_bag, matrix_of):
    """P2 projects points of the rectified frame of camera 0, so camera 2 sees them at P2 X with K = P2[:, :3]."""
    folder, _ = kitti
    make_bag(MakeBagOptions(folder, tmp_path / "bag"))
    bag = read_bag(tmp_path / "bag")
    evo_poses = file_interface.read_kitti_poses_file(folder.parent.parent / "poses" / "03.txt").poses_se3
    P2 = np.array((folder / "calib.txt").read_text().splitlines()[1].split()[1:], float).reshape(3, 4)
    K = bag["camera/camera_info"][0].message.k.reshape(3, 3)
    np.testing.assert_array_equal(K, P2[:, :3])
    T_map_first = matrix_of(bag["ground_truth/pose"][0].message)
    points_in_map = np.array([[12.0, 3, 1], [20, -4, 2], [8, 0.5, -1]])  # in front: x forward, y left, z up
    in_first = np.stack([-points_in_map[:, 1], -points_in_map[:, 2], points_in_map[:, 0]], 1)  # camera 0, image 0
    for pose, T in zip(bag["ground_truth/pose"], evo_poses, strict=True):
        in_camera0 = np.linalg.inv(T) @ np.c_[in_first, np.ones(3)].T
        expected = P2 @ in_camera0
        found = K @ (np.linalg.inv(matrix_of(pose.message)) @ np.c_[points_in_map, np.ones(3)].T)[:3]
        np.testing.assert_allclose(found[:2] / found[2], expected[:2] / expected[2], atol=1e-6)
    assert bag["ground_truth/pose"][0].message.header.frame_id == "map"
    np.testing.assert_allclose(T_map_first[:3, 1], [0, 0, -1], atol=1e-12)  # the image's y axis points down


def test_static_transforms_connect_the_cameras(kitti, tmp_path, read_bag):
    make_bag(MakeBagOptions(kitti[0], tmp_path / "bag"))
    (message,) = read_bag(tmp_path / "bag")["tf_static"]
    transforms = {each.child_frame_id: each for each in message.message.transforms}
    assert {each.header.frame_id for each in transforms.values()} == {"base_link"}
    gray, colour = (transforms[name].transform.translation for name in ("camera_optical_image_0", "camera_optical"))
    assert (gray.x, gray.y, gray.z) == (0, 0, 0)
    assert colour.y == pytest.approx(0.06, abs=0.001)  # colour cameras sit 6 cm left of the gray ones


def test_the_chosen_gray_camera_has_its_own_ground_truth(kitti, tmp_path, read_bag, matrix_of):
    folder, poses = kitti
    make_bag(MakeBagOptions(folder, tmp_path / "bag", cameras=("image_0",)))
    bag = read_bag(tmp_path / "bag")
    assert "camera_image_2/image" not in bag
    found = [matrix_of(item.message) for item in bag["ground_truth/pose"]]
    for n in range(3):
        np.testing.assert_allclose(np.linalg.inv(found[0]) @ found[n], poses[n], atol=1e-9)


def test_missing_images_do_not_shift_the_times_of_the_others(kitti):
    (kitti[0] / "image_2" / "000001.png").unlink()
    assert read_kitti(kitti[0], FrameTiming()).cameras[0].sequence.stamps_ns == (STAMPS[0], STAMPS[2])


def test_a_start_stamp_moves_images_and_poses(kitti):
    recording = read_kitti(kitti[0], FrameTiming(start_ns=5_000_000_000))
    assert recording.cameras[0].sequence.stamps_ns[0] == 5_000_000_000 == recording.poses.stamps_ns[0]


def test_a_sequence_without_ground_truth_has_a_note(kitti, tmp_path):
    (kitti[0].parent.parent / "poses" / "03.txt").unlink()
    summary = make_bag(MakeBagOptions(kitti[0], tmp_path / "bag"))
    assert "no poses/03.txt beside sequences/: there are no true poses" in summary.notes
    assert "/ground_truth/pose" not in summary.counts


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("times.txt", "0\n0.1\n", r"000002\.png has no time: times\.txt ends at number 1"),
        ("times.txt", "0\n0.2\n0.1\n", "the times do not ascend"),
        ("times.txt", "0\nsoon\n0.1\n", r"times\.txt line 2: 'soon' does not begin with a stamp"),
        ("calib.txt", "P0: 1 2 3\n", r"calib\.txt line 1: .* is not a row of a name and 12 numbers"),
        ("calib.txt", "P1: 7 0 1 0 0 7 1 0 0 0 1 0\n", "has no P2, the projection of image_2"),
        ("calib.txt", "P2: 0 0 1 0 0 7 1 0 0 0 1 0\n", "P2 is not the projection matrix of a rectified camera"),
        ("../../poses/03.txt", "2 0 0 0 0 1 0 0 0 0 1 0\n", r"03\.txt line 1: .* is not a pose"),
        ("../../poses/03.txt", "1 0 0 0 0 1 0 0 0 0 1\n", r"03\.txt line 1: .* is not a row of r11 r12"),
        ("../../poses/03.txt", "1 0 0 0 0 1 0 0 0 0 1 0\n" * 4, "has 4 poses for 3 times"),
    ],
)
def test_broken_files_are_named_with_their_line(kitti, file, content, sentence):
    (kitti[0] / file).write_text(content)
    with pytest.raises(InputError, match=sentence):
        read_kitti(kitti[0], FrameTiming())
