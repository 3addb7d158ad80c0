"""Image quality: whether an image is sharp and bright enough for a keyframe, relative to recent images.

Sharpness depends on the lens and brightness on the exposure, so absolute limits do not carry over to another camera.
Each image is compared with the running median of its flight.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

_LONG_SIDE = 480  # pixels of the reduced image; blur below its pixel does not affect matching
_NEAR, _FAR = 1, 4  # distances of the compared pixels
_DIRECTIONS = ((1, 0), (0, 1), (1, 1), (1, -1))  # x, y
_BLACK, _WHITE = 5, 250  # gray values at and beyond which a pixel is under- or overexposed


@dataclass(frozen=True)
class QualitySettings:
    """When an image is too poor for a keyframe; None switches a test off.

    min_sharpness: least sharpness over the running median. min_brightness: least mean brightness over the running
    median. max_underexposed, max_overexposed: largest share of black and of white pixels. min_contrast: gray levels.
    window: images in the running median. least: images needed before the median is used.
    """

    min_sharpness: float | None = 0.6
    min_brightness: float | None = 0.35
    max_underexposed: float | None = 0.7
    max_overexposed: float | None = 0.5
    min_contrast: float | None = 1.0
    window: int = 30
    least: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.window:
            raise ValueError(f"least must be between 1 and the window of {self.window} images, not {self.least}")


@dataclass(frozen=True)
class Appearance:
    """Measurements of one image.

    sharpness: mean squared difference of pixels 1 apart over that of pixels 4 apart, in the direction where it is
    least, so that motion blur shows; unlike a gradient energy it hardly depends on how much texture there is.
    brightness: mean gray value. contrast: root mean square difference of pixels 4 apart, gray levels. underexposed,
    overexposed: shares of the pixels, 0 to 1. Sharpness is 0 where there is no contrast.
    """

    sharpness: float
    brightness: float
    contrast: float
    underexposed: float
    overexposed: float


@dataclass(frozen=True)
class Quality:
    """Quality of an image. defect: in words, empty for a good image. bad_seconds: since the last good image."""

    appearance: Appearance
    defect: str
    bad_seconds: float

    @property
    def is_good(self) -> bool:
        """Whether the image may become a keyframe."""
        return not self.defect


def measure_appearance(gray: np.ndarray) -> Appearance:
    """Measure an image (H, W) uint8, on a reduced copy."""
    height, width = gray.shape
    step = max(1, round(max(height, width) / _LONG_SIDE))
    size = (max(1, width // step), max(1, height // step))
    # A whole factor averages equal blocks; resampling would blur some images more than others.
    small = (
        gray if step == 1 else cv2.resize(gray[: size[1] * step, : size[0] * step], size, None, 0, 0, cv2.INTER_AREA)
    )
    pairs = [(_difference(small, _NEAR, *d), _difference(small, _FAR, *d)) for d in _DIRECTIONS]
    far = float(np.mean([pair[1] for pair in pairs]))
    sharpness = min((near / beyond for near, beyond in pairs if beyond > 0), default=0.0)
    counts = np.bincount(small.ravel(), minlength=256) / small.size
    return Appearance(
        sharpness,
        float(counts @ np.arange(256)),
        float(np.sqrt(far)),
        float(counts[: _BLACK + 1].sum()),
        float(counts[_WHITE:].sum()),
    )


def find_defect(appearance: Appearance, recent: Sequence[Appearance], settings: QualitySettings) -> str:
    """Return what is wrong with an image, in words, relative to recent images of the flight; empty: nothing."""
    a, s = appearance, settings
    if s.max_underexposed is not None and a.underexposed > s.max_underexposed:
        return f"dark: {100 * a.underexposed:.0f} % of the image is black"
    if s.max_overexposed is not None and a.overexposed > s.max_overexposed:
        return f"overexposed: {100 * a.overexposed:.0f} % of the image is white"
    if len(recent) >= s.least and s.min_brightness is not None:
        ratio = a.brightness / max(float(np.median([other.brightness for other in recent])), 1e-9)
        if ratio < s.min_brightness:
            return f"dark: {ratio:.2f} of the usual brightness"
    if s.min_contrast is not None and a.contrast < s.min_contrast:
        return f"without contrast: {a.contrast:.1f} gray levels"
    if len(recent) >= s.least and s.min_sharpness is not None:
        ratio = a.sharpness / max(float(np.median([other.sharpness for other in recent])), 1e-9)
        if ratio < s.min_sharpness:
            return f"blurred: {ratio:.2f} of the usual sharpness"
    return ""


class QualityMonitor:
    """Assesses the images of one flight in order; it adapts to a lasting change of light or lens."""

    def __init__(self, settings: QualitySettings = QualitySettings()):
        self._settings = settings
        self._recent: deque[Appearance] = deque(maxlen=settings.window)
        self._good_at: float | None = None

    def assess(self, gray: np.ndarray, seconds: float) -> Quality:
        """Assess an image (H, W) uint8 taken at `seconds`, on any clock. `bad_seconds` counts from the first image."""
        appearance = measure_appearance(gray)
        defect = find_defect(appearance, self._recent, self._settings)
        self._recent.append(appearance)
        if not defect or self._good_at is None or seconds < self._good_at:
            self._good_at = seconds
        return Quality(appearance, defect, seconds - self._good_at)


def _difference(image: np.ndarray, distance: int, right: int, down: int) -> float:
    """Mean squared difference of pixels `distance` apart in a direction; 0 for an image that is too small."""
    x, y = distance * right, distance * down
    height, width = image.shape
    if height <= abs(y) or width <= abs(x):
        return 0.0
    first = image[max(0, -y) : height - max(0, y), max(0, -x) : width - max(0, x)]
    second = image[max(0, y) : height - max(0, -y), max(0, x) : width - max(0, -x)]
    return cv2.norm(first, second, cv2.NORM_L2SQR) / first.size
