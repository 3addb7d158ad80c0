"""Images of more than 8 bits become 8 bits, steadily over time.

Cameras that deliver 16 bits often use 10, 12 or 14 of them, and thermal cameras a few hundred values in the middle.
`percentile` and `clahe` therefore follow what the images hold:

- Gray images: a window of values becomes 0 to 255. It spans from the 0.5th to the 99.5th percentile, smoothed
  exponentially over the stamps with a time constant of 1 s, so that the brightness does not flicker. A nearly constant
  image does not move it.
- Colours and mosaics: the number of bits in use (8, 10, 12, 14 or 16), which only grows. The lower bits are dropped. A
  window would change the colours.
- An image outside of the range, or that fills less than a sixteenth of it, starts a new one, as does a stamp that jumps
  back.

`clahe` additionally equalises the contrast of the 8-bit image locally. `full` takes the high byte.
The same images with the same stamps always give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

INTENSITIES = ("percentile", "full", "clahe")
TIME_CONSTANT = 1.0  # seconds; empirical: shorter than a flight over a new scene, longer than automatic exposure
PERCENTILES = (0.005, 0.995)  # shares of the pixels; empirical: hot spots and dead pixels lie outside
_MIN_STEP = 1 / 30  # seconds by which time advances at least, so that images without stamps move the window
_MIN_SPAN = 16  # values; empirical: a narrower window would show the noise of a constant image
_SAMPLES = 100_000  # pixels whose percentiles are taken
_CLIP_LIMIT, _TILES = 3.0, (8, 8)  # of CLAHE; empirical
_BITS = (8, 10, 12, 14, 16)
_SPARE_BITS = 4  # an image that leaves so many bits of the range unused starts anew: it would have 16 gray levels


class Intensity:
    """Converts the images of one camera to 8 bits in the order of their stamps; keeps the window of values.

    mode: one of INTENSITIES. tell: called once, with a sentence that says which values are used.
    """

    def __init__(self, mode: str = "percentile", tell: Callable[[str], None] | None = None) -> None:
        self._mode = mode
        self._tell = tell
        self._kind: tuple[str, bool, bool] | None = None
        self.forget()

    def forget(self) -> None:
        """Drop what earlier images showed."""
        self._window: tuple[float, float] | None = None
        self._bits = _BITS[0]
        self._stamp_ns = 0

    def to_8_bits(self, pixels: np.ndarray, name: str, stamp_ns: int, *, is_gray: bool, has_gaps: bool) -> np.ndarray:
        """Convert (H, W) or (H, W, C) integers or floats of more than 8 bits to uint8 of the same shape.

        name: of the encoding, for `tell`. stamp_ns: nanoseconds. is_gray: False for colours and mosaics. has_gaps:
        the values have no fixed range, and those that are not finite or not positive are no measurement; they become 0,
        and the others 1 to 255.
        """
        kind = (pixels.dtype.str[1:], is_gray, has_gaps)
        if kind != self._kind or stamp_ns < self._stamp_ns:
            self.forget()
            self._kind = kind
        is_16_bits = pixels.dtype.kind == "u" and pixels.dtype.itemsize == 2
        if is_16_bits and not is_gray:
            return self._drop_bits(pixels, name, stamp_ns)
        if is_16_bits and self._mode == "full" and not has_gaps:
            return self._drop_bits(pixels, name, stamp_ns)
        low, high = self._follow(pixels, stamp_ns, has_gaps)
        self._say(f"{name}: the values {low:.6g} to {high:.6g} are shown as black to white")
        return _apply_window(pixels, low, high, has_gaps)

    def equalize(self, image: np.ndarray) -> np.ndarray:
        """Equalise the contrast of a converted image, (H, W) or (H, W, 3) uint8, where the mode asks for it."""
        if self._mode != "clahe":
            return image
        clahe = cv2.createCLAHE(_CLIP_LIMIT, _TILES)
        if image.ndim == 2:
            return clahe.apply(image)
        luma_first = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)  # the order of the colours hardly matters for contrast
        luma_first[..., 0] = clahe.apply(luma_first[..., 0])
        return cv2.cvtColor(luma_first, cv2.COLOR_YCrCb2RGB)

    def _drop_bits(self, pixels: np.ndarray, name: str, stamp_ns: int) -> np.ndarray:
        self._stamp_ns = stamp_ns
        needed = 16 if self._mode == "full" else int(pixels.max()).bit_length()
        bits = next(bits for bits in _BITS if bits >= needed)
        if bits > self._bits or self._bits >= bits + _SPARE_BITS:
            self._bits = bits
        self._say(f"{name}: {self._bits} of 16 bits are used; the lower {self._bits - 8} are dropped")
        return (pixels >> (self._bits - 8)).astype(np.uint8)

    def _follow(self, pixels: np.ndarray, stamp_ns: int, has_gaps: bool) -> tuple[float, float]:
        """Move the window towards the values of this image and return it.

        An image without values does not move it; nor does a nearly constant one, which alone is shown in full range.
        """
        window = self._window
        seconds = max((stamp_ns - self._stamp_ns) / 1e9, _MIN_STEP)
        self._stamp_ns = stamp_ns
        values = _sorted_values(pixels, has_gaps)
        if not len(values):
            return window or (0.0, 0.0)
        shares = (0.0, 1.0) if self._mode == "full" else PERCENTILES
        last = len(values) - 1
        low, high = float(values[math.floor(shares[0] * last)]), float(values[math.ceil(shares[1] * last)])
        if high - low < _MIN_SPAN and pixels.dtype.kind != "f":
            return window or (0.0, float(np.iinfo(pixels.dtype).max))
        is_filled = window is not None and (high - low) * (1 << _SPARE_BITS) > window[1] - window[0]
        if window is not None and is_filled and low <= window[1] and high >= window[0]:
            share = -math.expm1(-seconds / TIME_CONSTANT)
            low, high = window[0] + share * (low - window[0]), window[1] + share * (high - window[1])
        self._window = low, high
        return self._window

    def _say(self, sentence: str) -> None:
        if self._tell is not None:
            self._tell(f"{sentence} (intensity: {self._mode})")
            self._tell = None


def _sorted_values(pixels: np.ndarray, has_gaps: bool) -> np.ndarray:
    """Return the measured values of a regular sample of the pixels, ascending, (N,)."""
    step = math.isqrt(pixels.shape[0] * pixels.shape[1] // _SAMPLES) | 1
    values = pixels[::step, ::step]
    if has_gaps:
        values = values[np.isfinite(values) & (values > 0)]
    return np.sort(values, axis=None)


def _apply_window(pixels: np.ndarray, low: float, high: float, has_gaps: bool) -> np.ndarray:
    """Map low to high to 0 to 255; with gaps to 1 to 255, and gaps to 0."""
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize == 2:  # a table is faster
        return _scale(np.arange(1 << 16, dtype=np.uint16), low, high, has_gaps)[pixels]
    return _scale(pixels, low, high, has_gaps)


def _scale(values: np.ndarray, low: float, high: float, has_gaps: bool) -> np.ndarray:
    with np.errstate(over="ignore"):  # what no float32 can hold becomes infinite, which is no measurement
        values = values.astype(np.float32)
    darkest = 1 if has_gaps else 0
    factor = (255 - darkest) / (high - low) if high > low else 0.0
    is_valid = np.isfinite(values) & (values > 0) if has_gaps else np.ones(values.shape, bool)
    scaled = np.rint((np.where(is_valid, values, low) - low) * factor) + darkest
    return np.where(is_valid, np.clip(scaled, darkest, 255), 0).astype(np.uint8)
