"""The choice of the calibration for an image."""

from types import SimpleNamespace

import pytest

from perception_common.cameras.camera_info import CameraInfoBuffer
from perception_common.errors import InputError


def info(stamp, focal=500.0, width=640, height=480):
    return SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=stamp, nanosec=0), frame_id=""),
        width=width,
        height=height,
        distortion_model="plumb_bob",
        d=[],
        k=[focal, 0.0, 320.0, 0.0, focal, 240.0, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[0.0] * 12,
        binning_x=0,
        binning_y=0,
        roi=SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0),
    )


def second(stamp):
    return stamp * 1_000_000_000


def test_the_message_with_the_stamp_of_the_image_is_used_else_the_newest():
    buffer = CameraInfoBuffer("/camera/camera_info")
    for stamp, focal in ((1, 500.0), (2, 600.0), (3, 700.0)):
        buffer.add(info(stamp, focal))
    assert buffer.camera(second(2), 640, 480).matrix[0, 0] == 600
    assert buffer.camera(second(9), 640, 480).matrix[0, 0] == 700


def test_the_buffer_is_bounded():
    buffer = CameraInfoBuffer("/camera/camera_info", size=2)
    for stamp, focal in ((1, 500.0), (2, 600.0), (3, 700.0)):
        buffer.add(info(stamp, focal))
    assert buffer.camera(second(1), 640, 480).matrix[0, 0] == 700


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "no camera_info on /camera/camera_info"),
        (info(1, width=320, height=240), "is for 320x240, the image is 640x480"),
        (info(1, focal=float("nan")), "cannot be used"),
        (info(1, focal=0.0), "not calibrated"),
    ],
)
def test_unusable_camera_info_is_an_error(given, words):
    buffer = CameraInfoBuffer("/camera/camera_info")
    if given:
        buffer.add(given)
    with pytest.raises(InputError, match=words):
        buffer.camera(second(1), 640, 480)


def test_a_message_that_is_no_calibration_hides_no_usable_one():
    buffer = CameraInfoBuffer("/camera/camera_info", size=4)
    buffer.add(info(1, focal=0.0))  # the driver publishes zeros until its calibration is loaded
    buffer.add(info(2, focal=500.0))
    for stamp in range(3, 20):  # and again after a restart, longer than the buffer
        buffer.add(info(stamp, focal=0.0))
    for stamp in (1, 2, 10, 19, 30):
        assert buffer.camera(second(stamp), 640, 480).matrix[0, 0] == 500


def test_a_calibration_of_another_size_hides_no_fitting_one():
    buffer = CameraInfoBuffer("/camera/camera_info")
    buffer.add(info(1, focal=500.0))
    buffer.add(info(2, focal=250.0, width=320, height=240))
    assert buffer.camera(second(2), 640, 480).matrix[0, 0] == 500
    assert buffer.camera(second(2), 320, 240).matrix[0, 0] == 250
    assert "the newest one is for 320x240, the image is 640x480" in buffer.oddities(second(2), 640, 480, "")
    assert "the newest one" not in buffer.oddities(second(2), 320, 240, "")


def test_of_repeated_stamps_the_last_message_counts():
    buffer = CameraInfoBuffer("/camera/camera_info")
    for stamp, focal in ((0, 500.0), (1, 600.0), (0, 700.0)):
        buffer.add(info(stamp, focal))
    assert buffer.camera(second(0), 640, 480).matrix[0, 0] == 700
    assert buffer.camera(second(9), 640, 480).matrix[0, 0] == 700
