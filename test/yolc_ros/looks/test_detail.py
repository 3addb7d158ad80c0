"""The share of detail of an image, on noise with the spectrum of pictures."""

import cv2
import numpy as np
import pytest

from yolc_ros.looks.detail import share_of_detail


def picture(height: int, width: int, limit: float = 0.5, seed: int = 0) -> np.ndarray:
    """Noise whose power falls with the square of the frequency and ends at `limit` cycles per pixel, as RGB uint8."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, frequency.shape)
    spectrum = np.where(frequency <= limit, np.exp(1j * phase) / np.maximum(frequency, 0.01), 0)
    values = np.fft.irfft2(spectrum, (height, width))
    gray = 128 + 40 * values / values.std()
    return np.repeat(gray.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("share", [0.25, 0.4, 0.6, 0.8])
def test_the_detail_ends_where_the_spectrum_ends(share):
    assert share_of_detail(picture(512, 640, share / 2)) == pytest.approx(share, abs=0.08)


def test_a_sharp_picture_of_any_size_has_all_its_detail():
    for size in ((128, 128), (377, 1284), (1080, 1920)):
        assert share_of_detail(picture(*size)) == 1.0


@pytest.mark.parametrize("method", [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4])
@pytest.mark.parametrize("factor", [2, 3])
def test_an_enlarged_picture_has_no_more_detail_than_before(factor, method):
    """A picture of a lens that shows four fifths of what its pixels could."""
    enlarged = cv2.resize(picture(256, 320, 0.4), None, fx=factor, fy=factor, interpolation=method)
    assert share_of_detail(enlarged) == pytest.approx(0.8 / factor, abs=0.05)


def test_compression_adds_little():
    enlarged = cv2.resize(picture(256, 320, 0.4), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    compressed = cv2.imdecode(cv2.imencode(".jpg", enlarged, [cv2.IMWRITE_JPEG_QUALITY, 80])[1], cv2.IMREAD_COLOR)
    assert share_of_detail(compressed) == pytest.approx(0.8 / 3, abs=0.08)


def test_what_does_not_tell_is_taken_for_sharp():
    assert share_of_detail(np.full((400, 600, 3), 90, np.uint8)) == 1.0
    assert share_of_detail(picture(127, 900, 0.1)) == 1.0
