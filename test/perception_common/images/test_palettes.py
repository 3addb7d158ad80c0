import cv2
import numpy as np
import pytest

from perception_common.images.palettes import PALETTES, to_thermal_gray


@pytest.fixture(scope="module")
def gray() -> np.ndarray:
    """A smooth scene with small hot objects, (96, 128) uint8."""
    rng = np.random.default_rng(3)
    scene = cv2.GaussianBlur(rng.uniform(0, 255, (96, 128)).astype(np.float32), (0, 0), 12)
    scene = cv2.normalize(scene, None, 20, 180, cv2.NORM_MINMAX)
    for x, y in rng.integers(4, 90, (12, 2)):
        scene[y : y + 3, x : x + 3] = 245
    return scene.astype(np.uint8)


def coloured(gray: np.ndarray, name: str) -> np.ndarray:
    return np.ascontiguousarray(cv2.applyColorMap(gray, PALETTES[name])[..., ::-1])


@pytest.mark.parametrize("name", PALETTES)
def test_the_gray_levels_of_a_coloured_image_come_back(gray, name):
    back = to_thermal_gray(coloured(gray, name))
    assert back.shape == (*gray.shape, 3)
    assert back.dtype == np.uint8
    error = np.abs(back[..., 0].astype(int) - gray)
    assert np.median(error) <= 3
    assert np.percentile(error, 99) <= 16


@pytest.mark.parametrize("name", ["jet", "hot", "inferno"])
def test_they_come_back_from_jpeg_too(gray, name):
    large = cv2.resize(gray, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
    stored = cv2.imencode(".jpg", coloured(large, name)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    back = to_thermal_gray(cv2.imdecode(stored, cv2.IMREAD_COLOR)[..., ::-1])
    assert np.corrcoef(back[..., 0].ravel(), large.ravel())[0, 1] > 0.98


def test_a_gray_image_is_returned_as_it_is(gray):
    image = np.repeat(gray[..., None], 3, axis=2)
    assert to_thermal_gray(image) is image


def test_other_colours_become_their_brightness():
    photograph = np.random.default_rng(1).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    expected = cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY)
    assert np.array_equal(to_thermal_gray(photograph), np.repeat(expected[..., None], 3, axis=2))


def test_an_image_of_one_pixel_is_converted():
    assert to_thermal_gray(np.array([[[255, 0, 0]]], dtype=np.uint8)).shape == (1, 1, 3)
