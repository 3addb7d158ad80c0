"""Blurred, dark and washed-out images are told from good ones of the same flight."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from loftr_ros.keyframes.quality import QualityMonitor, QualitySettings, find_defect, measure_appearance

FLIGHTS = ["odm_lewis", "odm_brighton_beach", "odm_boruszyn", "aerial_cars_kit_ais"]


def texture(seed=0, side=480):
    """An image with the spectrum of natural ones: amplitudes fall as 1 / frequency."""
    rng = np.random.default_rng(seed)
    fx, fy = np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side))
    amplitude = 1 / np.maximum(np.hypot(fx, fy), 1 / side)
    image = np.fft.ifft2(amplitude * np.exp(2j * np.pi * rng.random((side, side)))).real
    return np.clip(128 + 45 * image / image.std(), 0, 255).astype(np.uint8)


def motion_blur(image, length, degrees):
    """The image as a camera that moves along a line of `length` pixels takes it."""
    line = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
    x, y = length / 2 * np.cos(np.radians(degrees)), length / 2 * np.sin(np.radians(degrees))
    for step in np.linspace(-1, 1, 8 * length):
        line[round(length + step * y), round(length + step * x)] += 1
    return cv2.filter2D(image, -1, line / line.sum(), borderType=cv2.BORDER_REFLECT)


def darker(image, factor):
    return (image * factor).astype(np.uint8)


@pytest.fixture(scope="module")
def recent():
    return [measure_appearance(texture(seed)) for seed in range(5)]


@pytest.mark.parametrize("seed", [10, 11, 12])
def test_another_image_of_the_same_kind_is_good(recent, seed):
    assert find_defect(measure_appearance(texture(seed)), recent, QualitySettings()) == ""


@pytest.mark.parametrize("contrast", [0.3, 0.6])
def test_less_texture_is_not_blur(recent, contrast):
    faint = (128 + contrast * (texture(10).astype(float) - 128)).astype(np.uint8)
    assert find_defect(measure_appearance(faint), recent, QualitySettings()) == ""


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 135, 160])
def test_motion_blur_is_seen_in_every_direction(recent, degrees):
    defect = find_defect(measure_appearance(motion_blur(texture(10), 9, degrees)), recent, QualitySettings())
    assert defect.startswith("blurred")
    assert (
        find_defect(
            measure_appearance(motion_blur(texture(10), 9, degrees)), recent, QualitySettings(min_sharpness=None)
        )
        == ""
    )


def test_more_blur_is_less_sharp():
    sharpness = [measure_appearance(cv2.GaussianBlur(texture(), (0, 0), sigma)).sharpness for sigma in (0.5, 1, 2, 4)]
    assert sharpness == sorted(sharpness, reverse=True)


@pytest.mark.parametrize(
    ("spoil", "defect", "switch"),
    [
        (lambda image: darker(image, 0.2), "dark: 0.2", {"min_brightness": None, "max_underexposed": None}),
        (lambda image: np.full_like(image, 3), "dark: 100 %", None),
        (lambda image: cv2.add(image, 160), "overexposed", {"max_overexposed": None, "min_sharpness": None}),
        (lambda image: np.full_like(image, 128), "without contrast", {"min_contrast": None, "min_sharpness": None}),
    ],
)
def test_light(recent, spoil, defect, switch):
    appearance = measure_appearance(spoil(texture(10)))
    assert find_defect(appearance, recent, QualitySettings()).startswith(defect)
    if switch:
        assert find_defect(appearance, recent, replace(QualitySettings(), **switch)) == ""


def test_the_first_images_are_no_measure_for_others():
    blurred = measure_appearance(motion_blur(texture(10), 9, 0))
    assert find_defect(blurred, [measure_appearance(texture())] * 2, QualitySettings(least=3)) == ""
    with pytest.raises(ValueError, match="least"):
        QualitySettings(window=2, least=3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (3, 2)])
def test_images_too_small_to_judge_are_without_contrast(shape):
    assert "without contrast" in find_defect(measure_appearance(np.full(shape, 99, np.uint8)), [], QualitySettings())


def test_bad_seconds_count_from_the_last_good_image_and_the_usual_changes():
    monitor = QualityMonitor(QualitySettings(window=8))
    for k in range(8):
        assert monitor.assess(texture(k), k / 10).is_good
    blurred = [monitor.assess(motion_blur(texture(k), 9, 0), 0.8 + k / 10) for k in range(8)]
    assert [quality.is_good for quality in blurred] == [False] * 5 + [True] * 3  # most of the window is blurred by then
    bad_seconds = [quality.bad_seconds for quality in blurred]
    np.testing.assert_allclose(bad_seconds, [0.1, 0.2, 0.3, 0.4, 0.5, 0, 0, 0], atol=1e-9)


@pytest.mark.parametrize("name", FLIGHTS)
def test_real_flights(shared_data, name):
    files = sorted((shared_data / name / "images").iterdir())[:5]
    images = [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in files]
    recent = [measure_appearance(image) for image in images]
    length = round(max(images[0].shape) / 100)
    for image in images[:2]:
        assert find_defect(measure_appearance(image), recent, QualitySettings()) == ""
        for degrees in (0, 45, 90):
            blurred = measure_appearance(motion_blur(image, length, degrees))
            assert find_defect(blurred, recent, QualitySettings()).startswith("blurred"), degrees
        assert find_defect(measure_appearance(darker(image, 0.25)), recent, QualitySettings()).startswith("dark")
