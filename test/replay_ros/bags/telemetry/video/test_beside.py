"""A video with telemetry beside it becomes a bag with the same topics as photographs."""

import math

import cv2
import numpy as np
import pytest

from perception_common.geometry import matrix_from_quaternion
from replay_ros.bags.making.make_bag import MakeBagOptions, make_bag
from replay_ros.bags.own_parameters import find_own_parameters
from replay_ros.bags.reader import open_bag
from replay_ros.bags.telemetry.readings import Telemetry
from replay_ros.bags.telemetry.video.beside import thinned

CUE = (
    "{n}\n00:00:{t:02},000 --> 00:00:{t:02},999\n[focal_len : 240] [latitude: {lat:.7f}] [longitude: 10.0] "
    "[rel_alt: {h:.3f} abs_alt: 300.0] [gb_yaw: {yaw:.1f} gb_pitch: -90.0 gb_roll: 0.0]\n\n"
)


@pytest.fixture
def video(tmp_path):
    """Nine frames in two seconds, without any telemetry beside them."""
    path = tmp_path / "DJI_0001.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 4.0, (160, 90))
    for number in range(9):
        writer.write(np.full((90, 160, 3), 20 * number, np.uint8))
    writer.release()
    return path


def test_frames_between_subtitles_are_interpolated(video, tmp_path):
    cues = [CUE.format(n=t + 1, t=t, lat=46.0 + t * 1e-4, h=20.0 + 4 * t, yaw=170.0 + 20 * t) for t in range(3)]
    video.with_suffix(".SRT").write_text("".join(cues))
    summary = make_bag(MakeBagOptions(video, tmp_path / "bag"))
    assert summary.counts["/camera/image"] == summary.counts["/imu"] == summary.counts["/fix"] == 9
    assert any("3 of 3 readings" in note for note in summary.notes)
    with open_bag(tmp_path / "bag") as bag:
        heights = [item.message.range for item in bag.messages(["altitude"])]
        fixes = [item.message.latitude for item in bag.messages(["fix"])]
        attitudes = [item.message.orientation for item in bag.messages(["imu"])]
        info = bag.first_message("camera/camera_info")
    assert heights == pytest.approx([20.0 + k for k in range(9)])
    assert fixes == pytest.approx([46.0 + k * 0.25e-4 for k in range(9)], abs=1e-9)
    for k, q in enumerate(attitudes):
        top = -matrix_from_quaternion(np.array([q.x, q.y, q.z, q.w]))[:, 1]
        yaw = math.radians(170.0 + 5 * k)  # through south
        np.testing.assert_allclose(top, [math.sin(yaw), math.cos(yaw), 0.0], atol=1e-9)
    assert info.k[0] == pytest.approx(24 / math.hypot(36, 24) * 1.25 * 160)
    assert find_own_parameters(tmp_path / "bag") is not None


def test_a_table_serves_as_well(video, tmp_path):
    video.with_suffix(".csv").write_text("time,rel_alt\n0,20\n1,24\n2,28\n")
    summary = make_bag(MakeBagOptions(video, tmp_path / "bag"))
    assert summary.counts["/altitude"] == 9
    assert any("no focal length" in note for note in summary.notes)


@pytest.mark.parametrize(("rate", "text"), [(None, "1\n00:00:00,000 --> 00:00:01,000\nHello.\n"), (2.0, CUE)])
def test_what_does_not_fit_the_video_is_left_out_with_a_word(video, tmp_path, rate, text):
    video.with_suffix(".srt").write_text(text)
    summary = make_bag(MakeBagOptions(video, tmp_path / "bag", rate=rate))
    assert summary.counts == {"/camera/image": 9, "/camera/camera_info": 9}
    assert any("the telemetry beside the video is left out" in note for note in summary.notes)


def test_a_gap_in_the_readings_is_not_bridged(video, tmp_path):
    video.with_suffix(".csv").write_text("time,rel_alt\n0,20\n2.01,28\n")
    assert make_bag(MakeBagOptions(video, tmp_path / "bag")).counts["/altitude"] == 1


def test_readings_are_thinned_to_ten_a_second():
    readings = [Telemetry(time_ns=k * 33_000_000) for k in reversed(range(10))]
    assert list(thinned(readings)) == [0, 132_000_000, 264_000_000]
