"""Calibrations fitted to the size of images, and that of an uncalibrated camera."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_common.errors import InputError
from replay_ros.bags.datasets.calibration import Calibration, fit_to_image, uncalibrated

K = [[500.0, 0.0, 319.5], [0.0, 510.0, 239.5], [0.0, 0.0, 1.0]]


def calibration(width=640, height=480):
    P = np.hstack([K, [[-12.0], [0.0], [0.0]]])
    return Calibration(width, height, "plumb_bob", np.array(K), (0.1, 0, 0, 0, 0), np.eye(3), P)


@settings(deadline=None, max_examples=30)
@given(width=st.integers(40, 2000))
def test_scaling_follows_the_pixels_of_cv2_resize(width):
    """Oracle: resize the coordinates themselves as an image and compare them with the scaled camera's."""
    original = calibration(640, 480)
    height = round(width * 480 / 640)
    scaled = fit_to_image(original, width, height)
    rays_x = (np.arange(640) - original.K[0, 2]) / original.K[0, 0]
    resized = cv2.resize(np.tile(rays_x.astype(np.float64), (4, 1)), (width, 4), interpolation=cv2.INTER_LINEAR)[0]
    inner = slice(width // 10 + 1, -width // 10 - 1)  # borders are replicated
    expected = (np.arange(width) - scaled.K[0, 2]) / scaled.K[0, 0]
    np.testing.assert_allclose(expected[inner], resized[inner], atol=1e-6)
    assert scaled.P[0, 3] / scaled.P[0, 0] == pytest.approx(original.P[0, 3] / original.P[0, 0])  # the baseline stays
    assert scaled.D == original.D


def test_another_aspect_ratio_is_refused_with_both_sizes():
    with pytest.raises(InputError, match="640x480 pixels and the images have 640x360"):
        fit_to_image(calibration(), 640, 360)


def test_a_calibration_without_size_fits_any_image():
    fitted = fit_to_image(calibration(0, 0), 320, 200)
    assert (fitted.width, fitted.height) == (320, 200)
    np.testing.assert_array_equal(fitted.K, K)


def test_an_uncalibrated_camera_is_zero():
    camera = uncalibrated(640, 480)
    assert (camera.width, camera.height) == (640, 480)
    assert not camera.K.any()
    assert not camera.P.any()
