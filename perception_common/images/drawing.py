"""Drawing for debug images and reports: text on a background, banners, boxes, lines, colours.

Images are (H, W, 3) uint8 RGB, contiguous; functions with a `canvas` draw on it in place. Line widths and fonts scale
with the image, so that text stays readable when an image of any resolution is shown 640 pixels wide.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np

Color = tuple[int, int, int]

WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)
DARK: Color = (24, 26, 31)
ALARM: Color = (200, 30, 45)
UNTRAINED = "UNTRAINED WEIGHTS - results mean nothing"  # text of the banner on results of random weights

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SUBPIXEL_BITS = 4  # fractional bits of coordinates, the `shift` of OpenCV
_CONFIDENCE_RAMP = np.array([(255, 193, 7), (118, 235, 60), (0, 229, 255)], np.float64)  # at 0, 0.5 and 1


@dataclass(frozen=True)
class Pen:
    """Sizes for drawing on one image. line: width, pixels. font: OpenCV's font scale. pad: margin of text, pixels."""

    line: int
    font: float
    pad: int

    @property
    def bold(self) -> int:
        """Stroke width of letters, pixels."""
        return max(1, round(self.font * 1.9))

    def smaller(self, factor: float) -> Pen:
        """Return a pen with a smaller font, down to the smallest readable size."""
        return Pen(self.line, max(0.35, self.font * factor), max(2, round(self.pad * factor)))


@dataclass(frozen=True)
class TextBox:
    """The box of a text with its background, pixels; x1 and y1 are exclusive."""

    x0: int
    y0: int
    x1: int
    y1: int


def pen_for(width: int, height: int) -> Pen:
    """Return sizes for an image of width x height pixels, proportional to the square root of its area."""
    scale = max(0.75, (width * height / (640 * 480)) ** 0.5)
    return Pen(line=max(1, round(1.4 * scale)), font=0.42 * scale, pad=max(2, round(4 * scale)))


def as_canvas(image: np.ndarray) -> np.ndarray:
    """Return a copy (H, W, 3) uint8 RGB of an image (H, W, 3) RGB or (H, W) gray, uint8, to draw on."""
    return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else np.array(image, order="C")


def measure_text(text: str, corner: tuple[int, int], pen: Pen) -> TextBox:
    """Return the box that `draw_text` fills for a text with its top left corner at `corner` (x, y)."""
    (width, height), baseline = cv2.getTextSize(_printable(text), _FONT, pen.font, pen.bold)
    x, y = corner
    return TextBox(x, y, x + width + 2 * pen.pad, y + height + baseline + pen.pad)


def draw_text(
    canvas: np.ndarray, text: str, corner: tuple[int, int], pen: Pen, background: Color = DARK, opacity: float = 0.8
) -> TextBox:
    """Write one line in black or white, whichever contrasts with the background; return the box that it fills.

    corner: (x, y) of the top left of the box, pixels. Non-ASCII letters, which OpenCV cannot draw, become '?'.
    """
    box = measure_text(text, corner, pen)
    fill(canvas, box, background, opacity)
    baseline = cv2.getTextSize(_printable(text), _FONT, pen.font, pen.bold)[1]
    origin = (box.x0 + pen.pad, box.y1 - baseline - pen.pad // 2)
    cv2.putText(canvas, _printable(text), origin, _FONT, pen.font, contrasting(background), pen.bold, cv2.LINE_AA)
    return box


def fill(canvas: np.ndarray, box: TextBox, color: Color, opacity: float) -> None:
    """Blend a box with a colour; opacity 1 replaces the pixels."""
    part = canvas[max(0, box.y0) : max(0, box.y1), max(0, box.x0) : max(0, box.x1)]
    part[:] = np.rint(part * (1.0 - opacity) + np.array(color) * opacity).astype(np.uint8)


def draw_banner(canvas: np.ndarray, text: str, pen: Pen) -> None:
    """Write a warning on a red strip along the lower edge of the image; the font shrinks for a long text."""
    height, width = canvas.shape[:2]
    box = measure_text(text, (0, 0), pen)
    if box.x1 > width:
        pen = pen.smaller(width / box.x1)
        box = measure_text(text, (0, 0), pen)
    fill(canvas, TextBox(0, height - box.y1, width, height), ALARM, 0.9)
    draw_text(canvas, text, (max(0, (width - box.x1) // 2), height - box.y1), pen, ALARM, 0.0)


def draw_dashed_box(canvas: np.ndarray, box: np.ndarray, color: Color, pen: Pen) -> None:
    """Draw a box (4,) x0, y0, x1, y1 in pixels with dashed lines on a dark outline."""
    x0, y0, x1, y1 = (round(float(value)) for value in box)
    dash = 6 * pen.pad // 2
    corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0))
    for pass_color, width in ((BLACK, pen.line + 2), (color, pen.line)):
        for (ax, ay), (bx, by) in itertools.pairwise(corners):
            length = max(abs(bx - ax), abs(by - ay), 1)
            for start in range(0, length, 2 * dash):
                a, b = start / length, min(1.0, (start + dash) / length)
                first = (round(ax + (bx - ax) * a), round(ay + (by - ay) * a))
                last = (round(ax + (bx - ax) * b), round(ay + (by - ay) * b))
                cv2.line(canvas, first, last, pass_color, width, cv2.LINE_AA)


def draw_box(canvas: np.ndarray, box: np.ndarray, color: Color, width: int) -> None:
    """Draw the outline of a box (4,) x0, y0, x1, y1 in pixels with sub-pixel accuracy."""
    x0, y0, x1, y1 = (round(float(value) * 2**_SUBPIXEL_BITS) for value in box)
    cv2.rectangle(canvas, (x0, y0), (x1, y1), color, width, cv2.LINE_AA, _SUBPIXEL_BITS)


def draw_segments(
    canvas: np.ndarray, starts: np.ndarray, ends: np.ndarray, colors: np.ndarray, width: int, opacity: float = 1.0
) -> None:
    """Draw lines from starts to ends, both (N, 2) pixels, in colors (N, 3) uint8.

    The lines are blended with the image as one layer, so that crossings are not more opaque.
    """
    layer = canvas if opacity == 1.0 else canvas.copy()
    scaled = np.rint(np.stack([starts, ends], axis=1) * 2**_SUBPIXEL_BITS).astype(np.int32)
    for (first, last), color in zip(scaled.tolist(), colors.tolist(), strict=True):
        cv2.line(layer, first, last, color, width, cv2.LINE_AA, _SUBPIXEL_BITS)
    if layer is not canvas:
        cv2.addWeighted(layer, opacity, canvas, 1.0 - opacity, 0.0, dst=canvas)


def draw_dots(canvas: np.ndarray, points: np.ndarray, colors: np.ndarray, radius: int) -> None:
    """Draw discs with a dark rim at points (N, 2), pixels, in colors (N, 3) uint8."""
    scaled = np.rint(points * 2**_SUBPIXEL_BITS).astype(np.int32)
    for point, color in zip(scaled.tolist(), colors.tolist(), strict=True):
        cv2.circle(canvas, point, (radius + 1) * 2**_SUBPIXEL_BITS, BLACK, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
        cv2.circle(canvas, point, radius * 2**_SUBPIXEL_BITS, color, -1, cv2.LINE_AA, _SUBPIXEL_BITS)


def confidence_colors(confidence: np.ndarray) -> np.ndarray:
    """Return colours (N, 3) uint8 for confidences (N,) from 0 (amber) over 0.5 (green) to 1 (cyan)."""
    position = np.clip(np.nan_to_num(np.asarray(confidence, np.float64)), 0.0, 1.0)
    channels = [np.interp(position, (0.0, 0.5, 1.0), _CONFIDENCE_RAMP[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8).reshape(-1, 3)


def contrasting(background: Color) -> Color:
    """Return black or white, whichever is readable on a background."""
    red, green, blue = background
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else WHITE


def _printable(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii")
