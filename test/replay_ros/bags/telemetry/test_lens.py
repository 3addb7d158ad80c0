"""Focal lengths in the terms of EXIF and XMP, against sensors whose sizes are known."""

import math

import numpy as np
import pytest

from perception_common.errors import InputError
from replay_ros.bags.telemetry import lens
from replay_ros.bags.telemetry.photographs import telemetry_of

FULL_HD = (1920, 1080)


def test_a_full_frame_camera_in_both_terms():
    by_sensor = lens.lens_from_sensor(50.0, 6000 / 36.0 * 25.4, 2, 6000)  # 6000 pixels over 36 mm, in pixels per inch
    by_film = lens.lens_from_film(50.0, 50.0, (6000, 4000))
    assert by_sensor.focal == by_film.focal == pytest.approx(50 / 36)
    assert by_sensor.deviation < by_film.deviation


@pytest.mark.parametrize(
    ("film", "millimetres", "size", "sensor"),  # sensor: width and height in millimetres, as their makers state them
    [
        (20, 3.61, (4000, 3000), (6.17, 4.55)),  # 1/2.3 inch
        (20, 3.61, (4000, 2250), (6.17, 4.55)),  # the same, cropped above and below
        (24, 8.8, (5472, 3648), (13.2, 8.8)),  # 1 inch
        (24, 8.8, (5472, 3078), (13.2, 8.8)),
        (24, 12.29, (5280, 3956), (17.3, 13.0)),  # 4/3 inch
    ],
)
def test_35_mm_terms_agree_with_the_sensor_to_their_uncertainty(film, millimetres, size, sensor):
    found = lens.lens_from_film(film, millimetres, size)
    assert abs(math.log(found.focal / (millimetres / sensor[0]))) < found.deviation


def test_the_calibration_fits_any_resolution():
    found = lens.lens_from_pixels(3666.7, (2736.0 + 13.68, 1824.0), (5472, 3648))
    for width, height in ((5472, 3648), (1368, 912)):
        K = lens.calibration_of(found, width, height).K
        scale = width / 5472
        assert K[0, 0] == K[1, 1] == pytest.approx(3666.7 * scale)
        # Pixel centres are integers: the corner of the picture is at -0.5.
        assert (K[0, 2], K[1, 2]) == pytest.approx((2749.68 * scale - 0.5, 1824.0 * scale - 0.5))


def test_dewarp_data_hold_the_makers_distortion():
    data = "2022-06-01;3700.5,3700.1,-12.5,7.5,-0.11,0.02,0.0001,-0.0002,-0.03"
    found = lens.lens_from_dewarp(data, (5280, 3956), is_dewarped=False)
    assert found.distortion == (-0.11, 0.02, 0.0001, -0.0002, -0.03)
    assert lens.calibration_of(found, 5280, 3956).K[0, 2] == pytest.approx(5279 / 2 - 12.5)
    assert lens.lens_from_dewarp(data, (5280, 3956), is_dewarped=True).distortion == ()


@pytest.mark.parametrize(
    "data", ["", "x;1,2", "d;nan,1,0,0,0,0,0,0,0", "d;3700,3700,9999,0,0,0,0,0,0", "d;1,1,0,0,0,0,0,0,0"]
)
def test_impossible_dewarp_data_are_refused(data):
    with pytest.raises(InputError):
        lens.lens_from_dewarp(data, (5280, 3956), is_dewarped=False)


def test_a_photograph_that_was_made_smaller_keeps_its_lens_and_a_cropped_one_loses_it(photographs):
    def with_size(width, height):
        tags = {37386: 3.61, 41989: 20, 40962: width, 40963: height}
        image = np.zeros((90, 160, 3), np.uint8)
        return telemetry_of(photographs.jpeg_with(exif=photographs.exif_of(camera=tags), image=image))

    assert with_size(4000, 2250).lens == with_size(160, 90).lens
    cropped = with_size(4000, 3000)
    assert cropped.lens is None
    assert "cropped or turned" in cropped.problems[0]


@pytest.mark.parametrize("tags", [{37386: 3.61}, {41989: 65535}, {37386: 3.61, 41486: -5.0}])
def test_terms_that_say_nothing_or_cannot_be_are_left_out_with_a_word(photographs, tags):
    found = telemetry_of(photographs.jpeg_with(exif=photographs.exif_of(camera=tags)))
    assert found.lens is None
    assert found.problems
