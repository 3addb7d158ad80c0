"""A plausible calibration gets no warning, and each usual mistake gets one that names it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from perception_common.cameras.camera import Camera
from perception_common.cameras.camera_info import CameraInfoBuffer
from perception_common.cameras.plausibility import camera_oddities, foreign_topic, oddities

K = (500.0, 0, 319.5, 0, 500, 239.5, 0, 0, 1)


def info(k=K, *, width=640, height=480, roi=(0, 0, 0, 0), binning=(0, 0), frame="camera", **more):
    """A CameraInfo; roi: x offset, y offset, width and height."""
    names = ("x_offset", "y_offset", "width", "height")
    fields = {"d": [], "distortion_model": "plumb_bob", "r": [0.0] * 9, "p": [0.0] * 12}
    return SimpleNamespace(
        header=SimpleNamespace(frame_id=frame, stamp=SimpleNamespace(sec=1, nanosec=0)),
        width=width,
        height=height,
        k=list(k),
        roi=SimpleNamespace(**dict(zip(names, roi, strict=True))),
        binning_x=binning[0],
        binning_y=binning[1],
        **fields | more,
    )


def scaled(factor):
    return Camera(640, 480, K).scaled(factor, factor).K


@settings(deadline=None, max_examples=500)
@given(
    width=st.integers(32, 8192),
    ratio=st.floats(0.5, 2.0),
    view=st.floats(5, 170),
    aspect=st.floats(0.5, 2.0),
    center=st.tuples(st.floats(0.35, 0.65), st.floats(0.35, 0.65)),
    model=st.sampled_from(["plumb_bob", "equidistant"]),
)
def test_no_plausible_camera_gets_a_warning(width, ratio, view, aspect, center, model):
    height = round(width * ratio)
    angle = np.radians(view) / 2
    # The field of view is that of the longer side; fx and fy differ as with binning in one direction.
    focal = max(width, height) / 2 / (np.tan(angle) if model == "plumb_bob" else angle)
    matrix = (focal, 0, center[0] * width, 0, focal * aspect, center[1] * height, 0, 0, 1)
    assume(aspect >= 1 or view <= 160)  # else the shorter focal length alone has more than 170 degrees
    camera = Camera(width, height, matrix, model=model, distortion=(0.01, 0, 0, 0) if model == "equidistant" else ())
    assume(abs(center[0] - center[1]) > 0.02 or abs(sum(center) / 2 - 0.5) < 0.11)  # else as after resizing
    assert camera_oddities(camera) == ()


@settings(deadline=None, max_examples=200)
@given(st.tuples(st.integers(0, 300), st.integers(0, 200)), st.sampled_from([1, 2, 4]))
def test_a_region_of_interest_with_binning_is_not_odd(offset, binning):
    wide = info(scaled(2), width=1280, height=960, roi=(*offset, 640, 480), binning=(binning, binning))
    assert oddities(wide) == ()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (info((0.004, 0, 0, 0, 0.004, 0, 0, 0, 1)), "in metres"),
        (info((1.0, 0, 0, 0, 1.0, 0, 0, 0, 1)), "never filled in"),
        (info((4.0, 0, 319.5, 0, 4.0, 239.5, 0, 0, 1)), "in millimetres"),
        (info((50_000.0, 0, 319.5, 0, 50_000.0, 239.5, 0, 0, 1)), "in micrometres"),
        (info((500.0, 0, 319.5, 0, 50.0, 239.5, 0, 0, 1)), "differ by a factor of 10"),
        (info((500.0, 0, 0, 0, 500.0, 0, 0, 0, 1)), "cx and cy are in pixels"),
        (info((500.0, 0, 3.0, 0, 500.0, 450.0, 0, 0, 1)), "another camera, or the image cropped"),
        (info(scaled(2)), "an image 2 times as large"),
        (info(scaled(0.5)), "an image 0.5 times as large"),
        (info(scaled(2 / 3)), "an image 0.67 times as large"),
        (info(scaled(0.75)), "an image 0.75 times as large"),
        (info(scaled(4 / 3)), "an image 1.3 times as large"),
        (info(roi=(600, 400, 160, 120)), "the ROI of 160x120 at (600, 400) is not inside of 640x480"),
        (info(roi=(0, 0, 1280, 960)), "is not inside of 640x480"),
        (info(scaled(0.5), binning=(2, 2)), "binning applied twice"),
        (info((500.0, 0, 159.5, 0, 500.0, 119.5, 0, 0, 1), roi=(160, 120, 320, 240)), "ROI applied twice"),
        (info(p=[1000.0, 0, 639.5, 0, 0, 1000.0, 479.5, 0, 0, 0, 1, 0]), "P is of an image 2 times as large"),
        (info(d=[-0.9, 0.0, 0.0, 0.0, 0.0], k=(300.0, 0, 319.5, 0, 300, 239.5, 0, 0, 1)), "no inverse"),
        (info(d=[-0.9, 0.0, 0.0, 0.0], distortion_model="equidistant", k=scaled(0.4)), "no inverse"),
    ],
)
def test_each_mistake_is_named(message, words):
    assert any(words in sentence for sentence in oddities(message)), oddities(message)


def test_another_frame_is_odd_and_an_unknown_one_is_not():
    assert oddities(info(frame="left"), "left") == oddities(info(frame=""), "left") == oddities(info(), "") == ()
    assert "'left' and the image 'gimbal'" in oddities(info(frame="left"), "gimbal")[0]


def test_a_topic_beside_another_image_is_odd():
    assert foreign_topic("/cam/camera_info", "/cam/image_raw") == ()
    assert foreign_topic("/camera_info", "/image") == ()
    assert "would be /gimbal/camera_info" in foreign_topic("/stereo/left/camera_info", "/gimbal/video")[0]


def test_the_buffer_tells_it_with_the_topic():
    buffer = CameraInfoBuffer("/camera/camera_info")
    assert buffer.oddities(0, 640, 480, "camera") == ""
    buffer.add(info())
    assert buffer.oddities(0, 640, 480, "camera") == ""
    buffer.add(info(scaled(2)))
    assert buffer.oddities(0, 640, 480, "camera").startswith(
        "camera_info on /camera/camera_info is odd: the principal point"
    )


def test_real_cameras_are_not_odd():
    """Published calibrations: TUM RGB-D (fr1), EuRoC cam0, KITTI 00, and a fisheye of TUM-VI."""
    fr1 = Camera(640, 480, (517.3, 0, 318.6, 0, 516.5, 255.3, 0, 0, 1), (0.2624, -0.9531, -0.0054, 0.0026, 1.1633))
    euroc_K = (458.654, 0, 367.215, 0, 457.296, 248.375, 0, 0, 1)
    euroc = Camera(752, 480, euroc_K, (-0.28340811, 0.07395907, 0.00019359, 1.76187114e-05))
    kitti = Camera(1241, 376, (718.856, 0, 607.1928, 0, 718.856, 185.2157, 0, 0, 1))
    vi_K = (190.97847715128717, 0, 254.93170605935475, 0, 190.9733070521226, 256.8974428996504, 0, 0, 1)
    vi_D = (0.0034823894022493434, 0.0007150348452162257, -0.0020532361418706202, 0.00020293673591811182)
    fisheye = Camera(512, 512, vi_K, vi_D, "equidistant")
    for camera in (fr1, euroc, kitti, fisheye, replace(fr1, distortion=())):
        assert camera_oddities(camera) == ()
