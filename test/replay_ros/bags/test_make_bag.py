"""The command make_bag on real and on broken input."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perception_common.errors import InputError
from perception_common.images.conversion import to_rgb
from replay_ros.bags.make_bag import MakeBagOptions, main, make_bag
from replay_ros.bags.messages import stamp_of
from replay_ros.bags.reader import open_bag
from replay_ros.bags.timeline import shrink


def images(folder, count=3, size=(64, 48)):
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((size[1], size[0], 3), 10 * number, np.uint8))
    return folder


def run_command(*arguments):
    """Run make_bag as the installed executable does."""
    program = "from perception_common.cli import run; from replay_ros.bags.make_bag import main; run(main)"
    return subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True)


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


def test_brighton_becomes_a_bag_with_scaled_camera_poses_and_altitude(shared_data, tmp_path):
    folder = shared_data / "odm_brighton_beach"
    arguments = [
        folder / "images",
        tmp_path / "bag",
        "--camera",
        folder / "poses.json",
        "--poses",
        folder / "poses.json",
    ]
    arguments += ["--altitude", folder / "poses.json", "--rate", "0.5", "--max-side", "800", "--start-stamp", "100.5"]
    arguments += [
        "--encoding",
        "compressed-jpeg",
        "--storage",
        "sqlite3",
        "--limit",
        "2",
        "--topic-prefix",
        "drone/cam",
    ]
    assert main([str(argument) for argument in arguments]) == 0
    with open_bag(tmp_path / "bag") as bag:
        info = bag.first("drone/cam/camera_info")
        pose = bag.first("ground_truth/pose").pose
        picture = bag.first("drone/cam/image/compressed")
        altitudes = [item.message.range for item in bag.messages(["altitude"])]
        stamps = [item.stamp_ns for item in bag.messages(["drone/cam/image/compressed"])]
        topics_in_order = [item.topic for item in bag.raw_messages()]
    assert stamps == [100_500_000_000, 102_500_000_000]
    assert (info.width, info.height, info.header.frame_id) == (800, 450, "camera_optical")
    np.testing.assert_allclose(info.k, [473.5, 0, 399.75, 0, 473.5, 224.75, 0, 0, 1])
    assert altitudes == [pytest.approx(39.8), pytest.approx(40.1)]
    assert to_rgb(picture).shape == (450, 800, 3)
    assert topics_in_order[:4] == [
        "/drone/cam/camera_info",
        "/ground_truth/pose",
        "/altitude",
        "/drone/cam/image/compressed",
    ]
    q = pose.orientation
    down = Rotation.from_quat([q.x, q.y, q.z, q.w]).apply([0, 0, 1])
    np.testing.assert_allclose(down, [0, 0, -1], atol=0.05)  # the camera of a nadir flight looks down in ENU


def test_a_video_becomes_a_bag(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "flight.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 5.0, (64, 48))
    for number in range(3):
        writer.write(np.full((48, 64, 3), 60 * number, np.uint8))
    writer.release()
    summary = make_bag(MakeBagOptions(tmp_path / "flight.avi", tmp_path / "bag", encoding="mono8"))
    assert (summary.frames, summary.duration_s, summary.timing) == (3, 0.4, "5 Hz")


def test_without_a_camera_file_camera_info_is_uncalibrated_and_that_is_said(tmp_path):
    summary = make_bag(MakeBagOptions(images(tmp_path / "images"), tmp_path / "bag"))
    assert any("uncalibrated" in note for note in summary.notes)
    with open_bag(tmp_path / "bag") as bag:
        assert not bag.first("camera/camera_info").k.any()


def test_a_broken_image_is_named_counted_and_skipped(tmp_path):
    folder = images(tmp_path / "images")
    (folder / "1.png").write_bytes(b"broken")
    done = run_command(folder, tmp_path / "bag")
    assert done.returncode == 0
    assert "skipped: " in done.stderr
    assert "1.png: not an image" in done.stderr
    assert "1 broken, skipped: 1.png" in done.stdout
    with open_bag(tmp_path / "bag") as bag:
        stamps = [item.stamp_ns for item in bag.messages(["camera/image"])]
    assert stamps == [1_000_000_000, 1_200_000_000]  # the place of the broken one stays empty


def test_images_without_pose_are_counted(tmp_path):
    (tmp_path / "poses.tum").write_text("1.0 0 0 0 0 0 0 1\n1.1 1 0 0 0 0 0 1\n")
    summary = make_bag(
        MakeBagOptions(images(tmp_path / "images"), tmp_path / "bag", poses=tmp_path / "poses.tum", altitude="30")
    )
    assert summary.counts["/ground_truth/pose"] == 2
    assert summary.counts["/altitude"] == 3
    assert "1 of 3 images have no message on /ground_truth/pose" in summary.notes


def test_images_of_different_sizes_are_told(tmp_path):
    folder = images(tmp_path / "images")
    cv2.imwrite(str(folder / "9.png"), np.zeros((24, 32, 3), np.uint8))
    (tmp_path / "camera.yaml").write_text("{K: [50, 50, 31.5, 23.5], width: 64, height: 48}")
    summary = make_bag(MakeBagOptions(folder, tmp_path / "bag", camera=tmp_path / "camera.yaml"))
    assert "the images have different sizes: 64x48, 32x24" in summary.notes
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
        ({"topic_prefix": "my camera"}, "is no ROS name"),
        ({"camera_number": 1}, "needs a camera file"),
        ({"max_side": 4}, "give at least 16"),
        ({"limit": 0}, "give at least 1"),
        ({"pattern": "*.tif"}, "none matches"),
        ({"altitude": "low"}, "altitude file low does not exist"),
    ],
)
def test_options_that_make_no_sense_are_refused_and_leave_nothing(tmp_path, options, sentence):
    folder = images(tmp_path / "images")
    with pytest.raises(InputError, match=sentence):
        make_bag(MakeBagOptions(folder, tmp_path / "bag", **options))
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_a_camera_for_another_shape_is_refused_and_names_the_image(tmp_path):
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


def test_a_sequence_of_broken_images_makes_no_bag(tmp_path):
    folder = images(tmp_path / "images", 2)
    for file in folder.iterdir():
        file.write_bytes(b"broken")
    with pytest.raises(InputError, match="none of the 2 frames"):
        make_bag(MakeBagOptions(folder, tmp_path / "bag"))
    assert not (tmp_path / "bag").exists()


def test_failure_is_one_line_on_stderr_and_status_1(tmp_path):
    done = run_command(tmp_path / "nowhere", tmp_path / "bag")
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "nowhere does not exist; give a folder of images or a video file" in done.stderr


def test_a_broken_video_is_one_line_too(tmp_path):
    (tmp_path / "flight.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(3000))
    done = run_command(tmp_path / "flight.mp4", tmp_path / "bag")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "not a video that OpenCV can read" in done.stderr


def test_help_shows_an_example():
    done = run_command("--help")
    assert done.returncode == 0
    assert "example:\n  make_bag " in done.stdout


def test_force_replaces(tmp_path):
    folder = images(tmp_path / "images")
    arguments = [str(folder), str(tmp_path / "bag")]
    main(arguments)
    with pytest.raises(InputError, match="--force"):
        main(arguments)
    assert main([*arguments, "--force"]) == 0


@pytest.mark.parametrize(
    ("size", "most", "expected"), [((48, 64), 32, (24, 32)), ((48, 64), 100, (48, 64)), ((64, 3), 16, (16, 1))]
)
def test_images_shrink_but_never_grow(size, most, expected):
    assert shrink(np.zeros((*size, 3), np.uint8), most).shape[:2] == expected
