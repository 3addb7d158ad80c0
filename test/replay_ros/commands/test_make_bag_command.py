"""The command make_bag on real and on broken input."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perception_common.errors import InputError
from perception_common.images.conversion import to_rgb
from replay_ros.bags.datasets.formats import FORMATS
from replay_ros.bags.reader import open_bag
from replay_ros.commands.make_bag import build_parser, main


def images(folder, count=3, size=(64, 48)):
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((size[1], size[0], 3), 10 * number, np.uint8))
    return folder


def run_command(*arguments):
    """Run make_bag as the installed executable does."""
    program = "from perception_common.cli import run; from replay_ros.commands.make_bag import main; run(main)"
    return subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True)


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
    arguments += ["--no-telemetry"]
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
        info = bag.first_message("drone/cam/camera_info")
        pose = bag.first_message("ground_truth/pose").pose
        picture = bag.first_message("drone/cam/image/compressed")
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


@pytest.mark.slow
def test_a_broken_image_is_named_counted_and_skipped(tmp_path):
    folder = images(tmp_path / "images")
    (folder / "1.png").write_bytes(b"broken")
    done = run_command(folder, tmp_path / "bag")
    assert done.returncode == 0
    assert "skipped: " in done.stderr
    assert "1.png: is not an image" in done.stderr
    assert "1 broken, skipped: 1.png" in done.stdout
    with open_bag(tmp_path / "bag") as bag:
        stamps = [item.stamp_ns for item in bag.messages(["camera/image"])]
    assert stamps == [1_000_000_000, 1_200_000_000]  # the stamp of the broken image is not reused


@pytest.mark.slow
def test_failure_is_one_line_on_stderr_and_status_1(tmp_path):
    done = run_command(tmp_path / "nowhere", tmp_path / "bag")
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "nowhere does not exist; give a folder of images or a video file" in done.stderr


@pytest.mark.slow
def test_the_error_for_a_broken_video_is_one_line(tmp_path):
    (tmp_path / "flight.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(3000))
    done = run_command(tmp_path / "flight.mp4", tmp_path / "bag")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "not a video that OpenCV can read" in done.stderr


@pytest.mark.slow
def test_help_shows_an_example():
    done = run_command("--help")
    assert done.returncode == 0
    assert "example:\n  make_bag " in done.stdout


def test_the_help_shows_the_name_it_is_called_by():
    assert "example:\n  yolc bag make flight/images" in build_parser("yolc bag make").format_help()


def test_the_command_offers_all_formats():
    shown = build_parser().format_help()
    assert all(name in shown for name in FORMATS)


def test_force_replaces_a_bag(tmp_path):
    folder = images(tmp_path / "images")
    arguments = [str(folder), str(tmp_path / "bag")]
    main(arguments)
    with pytest.raises(InputError, match="--force"):
        main(arguments)
    assert main([*arguments, "--force"]) == 0
