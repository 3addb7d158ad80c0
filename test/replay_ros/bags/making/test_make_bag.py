"""Making bags of real and of broken input."""

import cv2
import numpy as np
import pytest

from perception_common.errors import InputError
from perception_common.images.conversion import to_rgb
from replay_ros.bags.making.make_bag import MakeBagOptions, make_bag
from replay_ros.bags.making.timeline import limit_long_side
from replay_ros.bags.messages import stamp_of
from replay_ros.bags.reader import open_bag


def images(folder, count=3, size=(64, 48)):
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((size[1], size[0], 3), 10 * number, np.uint8))
    return folder


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize(
    ("encoding", "topic"), [("bgr8", "/camera/image"), ("compressed-png", "/camera/image/compressed")]
)
def test_tum_becomes_a_bag_with_exact_stamps_pixels_and_poses(shared_data, tmp_path, storage, encoding, topic):
    sequence = shared_data / "tum_fr2_desk"
    camera = tmp_path / "camera.yaml"
    camera.write_text("{K: [520.9, 521.0, 325.1, 249.7], width: 640, height: 480}")
    summary = make_bag(
        MakeBagOptions(
            sequence / "images",
            tmp_path / "bag",
            camera=camera,
            poses=sequence / "groundtruth.tum",
            storage=storage,
            encoding=encoding,
            limit=4,
        )
    )
    assert (summary.frames, summary.sizes, summary.broken, summary.notes) == (4, ((640, 480),), (), ())
    files = sorted((sequence / "images").iterdir())[:4]
    truth = [line.split() for line in (sequence / "groundtruth.tum").read_text().splitlines()[:4]]
    with open_bag(tmp_path / "bag") as bag:
        assert {name: entry.count for name, entry in bag.topics.items()} == {
            topic: 4,
            "/camera/camera_info": 4,
            "/ground_truth/pose": 4,
        }
        pictures = list(bag.messages([topic]))
        poses = list(bag.messages(["ground_truth/pose"]))
    for file, picture, pose, row in zip(files, pictures, poses, truth, strict=True):
        stamp = int(file.stem.replace(".", "")) * 1000
        assert picture.stamp_ns == stamp_of(picture.message) == pose.stamp_ns == stamp_of(pose.message) == stamp
        np.testing.assert_array_equal(to_rgb(picture.message), cv2.imread(str(file))[..., ::-1])
        assert pose.message.pose.position.x == float(row[1])
        assert pose.message.pose.orientation.w == pytest.approx(float(row[7]), abs=1e-5)


def test_a_video_becomes_a_bag(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "flight.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 5.0, (64, 48))
    for number in range(3):
        writer.write(np.full((48, 64, 3), 60 * number, np.uint8))
    writer.release()
    summary = make_bag(MakeBagOptions(tmp_path / "flight.avi", tmp_path / "bag", encoding="mono8"))
    assert (summary.frames, summary.duration_s, summary.timing) == (3, 0.4, "times from the video")


def test_without_a_camera_file_camera_info_is_uncalibrated_with_a_note(tmp_path):
    summary = make_bag(MakeBagOptions(images(tmp_path / "images"), tmp_path / "bag"))
    assert any("uncalibrated" in note for note in summary.notes)
    with open_bag(tmp_path / "bag") as bag:
        assert not bag.first_message("camera/camera_info").k.any()


def test_images_without_pose_are_counted(tmp_path):
    (tmp_path / "poses.tum").write_text("1.0 0 0 0 0 0 0 1\n1.1 1 0 0 0 0 0 1\n")
    summary = make_bag(
        MakeBagOptions(images(tmp_path / "images"), tmp_path / "bag", poses=tmp_path / "poses.tum", altitude="30")
    )
    assert summary.counts["/ground_truth/pose"] == 2
    assert summary.counts["/altitude"] == 3
    assert "1 of 3 images have no message on /ground_truth/pose" in summary.notes


def test_images_of_different_sizes_are_noted(tmp_path):
    folder = images(tmp_path / "images")
    cv2.imwrite(str(folder / "9.png"), np.zeros((24, 32, 3), np.uint8))
    (tmp_path / "camera.yaml").write_text("{K: [50, 50, 31.5, 23.5], width: 64, height: 48}")
    summary = make_bag(MakeBagOptions(folder, tmp_path / "bag", camera=tmp_path / "camera.yaml"))
    assert "the images have different sizes: 3 of 64x48 (first: 0.png), 1 of 32x24 (first: 9.png)" in summary.notes
    assert "camera scaled from 64x48 to 32x24" in summary.notes
    with open_bag(tmp_path / "bag") as bag:
        infos = [item.message for item in bag.messages(["camera/camera_info"])]
    assert [info.k[0] for info in infos] == [50, 50, 50, 25]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rate": -1.0}, "the rate is -1.0 Hz"),
        ({"encoding": "h264"}, "unknown encoding 'h264'"),
        ({"storage": "zip"}, "unknown storage 'zip'"),
        ({"topic_prefix": "my camera"}, "is not a ROS name"),
        ({"camera_number": 1}, "needs a camera file"),
        ({"max_side": 4}, "give at least 16"),
        ({"limit": 0}, "give at least 1"),
        ({"pattern": "*.tif"}, "none matches"),
        ({"altitude": "low"}, "altitude file low does not exist"),
    ],
)
def test_invalid_options_are_refused_and_leave_nothing(tmp_path, options, sentence):
    folder = images(tmp_path / "images")
    with pytest.raises(InputError, match=sentence):
        make_bag(MakeBagOptions(folder, tmp_path / "bag", **options))
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_a_camera_of_another_aspect_ratio_is_refused_and_names_the_image(tmp_path):
    (tmp_path / "camera.yaml").write_text("{K: [50, 50, 32, 24], width: 64, height: 64}")
    options = MakeBagOptions(images(tmp_path / "images"), tmp_path / "bag", camera=tmp_path / "camera.yaml")
    with pytest.raises(
        InputError, match=r"0\.png: the camera is calibrated for 64x64 pixels and the images have 64x48"
    ):
        make_bag(options)
    assert not (tmp_path / "bag").exists()


def test_poses_of_another_time_are_refused_with_both_times(tmp_path):
    (tmp_path / "poses.tum").write_text("50 0 0 0 0 0 0 1\n60 1 0 0 0 0 0 1\n")
    options = MakeBagOptions(images(tmp_path / "images"), tmp_path / "bag", poses=tmp_path / "poses.tum")
    with pytest.raises(InputError, match=r"images run from 1\.000 s to 1\.200 s, .*covers 50\.000 s to 60\.000 s"):
        make_bag(options)


def test_a_sequence_of_broken_images_leaves_no_bag(tmp_path):
    folder = images(tmp_path / "images", 2)
    for file in folder.iterdir():
        file.write_bytes(b"broken")
    with pytest.raises(InputError, match="none of the 2 frames"):
        make_bag(MakeBagOptions(folder, tmp_path / "bag"))
    assert not (tmp_path / "bag").exists()


@pytest.mark.parametrize(
    ("size", "most", "expected"), [((48, 64), 32, (24, 32)), ((48, 64), 100, (48, 64)), ((64, 3), 16, (16, 1))]
)
def test_images_shrink_but_never_grow(size, most, expected):
    assert limit_long_side(np.zeros((*size, 3), np.uint8), most).shape[:2] == expected


def turn(file, orientation):
    """Write an EXIF orientation into a JPEG file."""
    jpeg = file.read_bytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation]) + bytes(6)
    file.write_bytes(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])


def test_images_that_are_turned_upright_are_counted_and_refused_beside_a_calibration(tmp_path):
    (tmp_path / "images").mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.jpg"), np.zeros((48, 64, 3), np.uint8))
    turn(tmp_path / "images" / "1.jpg", 3)  # upside down: the size does not tell
    summary = make_bag(MakeBagOptions(tmp_path / "images", tmp_path / "bag"))
    assert "1 of 3 images are turned upright as their files say, as 1.jpg" in summary.notes
    (tmp_path / "camera.yaml").write_text("{K: [50, 50, 31.5, 23.5], width: 64, height: 48}")
    options = MakeBagOptions(tmp_path / "images", tmp_path / "bag2", camera=tmp_path / "camera.yaml")
    with pytest.raises(InputError, match=r"1\.jpg: is turned upright \(EXIF orientation 3\), but the calibration"):
        make_bag(options)


@pytest.mark.parametrize(("intensity", "brightest"), [("percentile", 255), ("full", 15)])
def test_images_of_12_bits_become_8_bits_as_asked(tmp_path, intensity, brightest):
    (tmp_path / "images").mkdir()
    values = np.linspace(0, 4095, 48 * 64).reshape(48, 64).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "images" / "0.png"), values)
    make_bag(MakeBagOptions(tmp_path / "images", tmp_path / "bag", intensity=intensity))
    with open_bag(tmp_path / "bag") as bag:
        assert to_rgb(bag.first_message("camera/image")).max() == brightest
