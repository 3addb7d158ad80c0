"""Images of more than 8 bits become 8 bits: usable, steady over time, repeatable."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from perception_common.images.conversion import to_gray, to_rgb
from perception_common.images.intensity import INTENSITIES, TIME_CONSTANT, Intensity


def scene(seed: int = 0) -> np.ndarray:
    """A picture with structures of all gray values, (120, 160) float64 from 0 to 1."""
    noise = np.random.default_rng(seed).random((120, 160))
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return (smooth - smooth.min()) / np.ptp(smooth)


def message(pixels: np.ndarray, encoding: str = "mono16", seconds: float = 1.0) -> SimpleNamespace:
    nanoseconds = round(seconds * 1e9)
    stamp = SimpleNamespace(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
    return SimpleNamespace(
        header=SimpleNamespace(stamp=stamp),
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels.strides[0],
        data=pixels.tobytes(),
    )


@pytest.mark.parametrize(
    ("low", "span"), [(0, 1023), (0, 4095), (0, 16383), (29_000, 1020), (0, 65_535), (40_000, 300)]
)
@pytest.mark.parametrize("encoding", ["mono16", "16UC1"])
def test_the_values_in_use_fill_the_8_bits(low, span, encoding):
    gray = to_gray(message((low + span * scene()).astype(np.uint16), encoding))
    assert np.quantile(gray, 0.005) <= 5
    assert np.quantile(gray, 0.995) >= 250
    expected = 255 * scene()
    assert np.corrcoef(gray.ravel(), expected.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("encoding", ["rgb16", "bayer_rggb16"])
def test_colours_keep_their_ratios(bits, encoding):
    pixels = np.full((6, 8, 3), (0.9, 0.5, 0.1)) * (2**bits - 1)
    if encoding == "bayer_rggb16":
        mosaic = pixels[..., 1].copy()
        mosaic[::2, ::2], mosaic[1::2, 1::2] = pixels[::2, ::2, 0], pixels[1::2, 1::2, 2]
        pixels = mosaic
    rgb = to_rgb(message(pixels.astype(np.uint16), encoding))
    assert np.abs(rgb[2:-2, 2:-2] - np.array([0.9, 0.5, 0.1]) * 255).max() <= 2


def test_a_flicker_of_the_scene_is_smoothed_with_the_time_constant():
    """A hot object fills the image from one frame to the next: the window follows as an exponential does."""
    intensity, high = Intensity(), []
    for frame in range(40):
        values = 1000 + (1000 if frame == 0 else 2000) * np.linspace(0, 1, 10_000)
        image = to_gray(message(values.reshape(100, 100).astype(np.uint16), seconds=1 + 0.1 * frame), intensity)
        first_white = values[np.argmax(image.ravel() >= 255)]
        high.append(first_white)
    target = 1000 + 2000 * 0.995
    begin = 1000 + 1000 * 0.995
    expected = [target - (target - begin) * np.exp(-0.1 * frame / TIME_CONSTANT) for frame in range(40)]
    assert np.abs(np.array(high) - expected).max() < 12  # a gray level is 8 values


def test_an_image_outside_of_the_window_starts_a_new_one():
    intensity = Intensity()
    to_gray(message((1000 + 500 * scene()).astype(np.uint16), seconds=1.0), intensity)
    jumped = message((9000 + 500 * scene()).astype(np.uint16), seconds=1.1)
    assert np.array_equal(to_gray(jumped, intensity), to_gray(jumped))


@pytest.mark.parametrize("encoding", ["mono16", "rgb16"])
def test_an_image_that_fills_little_of_the_range_starts_a_new_one(encoding):
    """Files of 16 and of 12 bits in one folder: the second one would be nearly black."""
    intensity = Intensity()
    wide, narrow = (np.dstack([bits * scene(seed) for seed in range(3)]).astype(np.uint16) for bits in (65_535, 4000))
    wide, narrow = (each if encoding == "rgb16" else each[..., 0].copy() for each in (wide, narrow))
    to_rgb(message(wide, encoding, seconds=1.0), intensity)
    following = message(narrow, encoding, seconds=1.1)
    assert np.array_equal(to_rgb(following, intensity), to_rgb(following))


@pytest.mark.parametrize("restart", ["forget", "jump back"])
def test_a_restart_begins_with_the_next_image(restart):
    intensity = Intensity()
    for second in (10.0, 10.1, 10.2):
        to_gray(message((1000 + 500 * scene()).astype(np.uint16), seconds=second), intensity)
    following = message((1200 + 900 * scene(1)).astype(np.uint16), seconds=11.0 if restart == "forget" else 2.0)
    if restart == "forget":
        intensity.forget()
    assert np.array_equal(to_gray(following, intensity), to_gray(following))


def test_a_constant_image_does_not_move_the_window():
    """The shutter of a thermal camera closes for a moment, and its noise must not become a picture."""
    picture = (29_000 + 1000 * scene()).astype(np.uint16)
    shutter = 29_500 + np.random.default_rng(0).integers(0, 8, (120, 160)).astype(np.uint16)
    intensity = Intensity()
    before = to_gray(message(picture, seconds=1.0), intensity)
    assert np.ptp(to_gray(message(shutter, seconds=1.1), intensity)) <= 3
    assert np.array_equal(to_gray(message(picture, seconds=1.2), intensity), before)
    assert np.ptp(to_gray(message(shutter))) <= 1


def test_images_without_stamps_move_the_window():
    intensity = Intensity()
    to_gray(message((1000 + 500 * scene()).astype(np.uint16), seconds=0.0), intensity)
    wider = message((500 + 2000 * scene()).astype(np.uint16), seconds=0.0)
    first = to_gray(wider, intensity)
    for _ in range(200):
        last = to_gray(wider, intensity)
    assert (first == 255).mean() > 0.3
    assert np.abs(last.astype(int) - to_gray(wider)).max() <= 1


@pytest.mark.parametrize("mode", INTENSITIES)
def test_the_same_images_give_the_same_bytes(mode):
    def run() -> list[bytes]:
        intensity = Intensity(mode)
        images = [(4000 * scene(seed)).astype(np.uint16) for seed in range(5)]
        return [to_gray(message(image, seconds=seed), intensity).tobytes() for seed, image in enumerate(images)]

    assert run() == run()


@pytest.mark.parametrize("mode", INTENSITIES)
@pytest.mark.parametrize("encoding", ["mono8", "rgb8", "bayer_rggb8", "uyvy"])
def test_8_bits_are_the_same_in_every_mode(mode, encoding):
    channels = {"rgb8": 3, "uyvy": 2}.get(encoding, 1)
    picture = message(np.random.default_rng(0).integers(0, 256, (8, 8, channels), np.uint8), encoding)
    codes = {
        "mono8": cv2.COLOR_GRAY2RGB,
        "bayer_rggb8": cv2.COLOR_BayerBG2RGB,
        "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    }
    pixels = np.frombuffer(picture.data, np.uint8).reshape(8, 8, channels)
    expected = pixels if encoding == "rgb8" else cv2.cvtColor(pixels, codes[encoding])
    assert np.array_equal(to_rgb(picture, Intensity(mode)), expected)


def test_full_is_the_high_byte():
    pixels = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    assert np.array_equal(to_gray(message(pixels), Intensity("full")), pixels >> 8)


def test_clahe_raises_the_contrast_of_a_dim_corner():
    values = 200 * scene()
    values[:60, :80] = values[:60, :80] * 0.05 + 100  # little contrast
    picture = message((values * 20).astype(np.uint16))
    assert to_gray(picture, Intensity("clahe"))[5:55, 5:75].std() > 2 * to_gray(picture)[5:55, 5:75].std()
    assert to_rgb(message(np.dstack([(values * 20).astype(np.uint16)] * 3), "rgb16"), Intensity("clahe")).shape[2] == 3


def test_the_range_is_told_once():
    said: list[str] = []
    intensity = Intensity("percentile", said.append)
    for second in range(3):
        to_gray(message((29_000 + 1000 * scene()).astype(np.uint16), seconds=second), intensity)
    assert len(said) == 1
    assert said[0].startswith("mono16 images: the values 29")
    assert said[0].endswith("(intensity: percentile)")


def test_12_bits_give_as_many_keypoints_as_8(shared_data):
    """Matching needs corners: half of the gray levels cost most of them, the right range none."""
    gray = cv2.imread(str(sorted((shared_data / "tum_fr2_desk" / "images").iterdir())[0]), cv2.IMREAD_GRAYSCALE)
    sift = cv2.SIFT_create()
    count = len(sift.detect(gray))
    for pixels in (gray.astype(np.uint16) * 16, 29_000 + gray.astype(np.uint16) * 4):
        assert len(sift.detect(to_gray(message(pixels)))) > 0.9 * count
