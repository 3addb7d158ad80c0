"""Pictures of matches: two images side by side, a line for each match, coloured by confidence."""

from __future__ import annotations

import numpy as np

from perception_common.images.drawing import (
    BLACK,
    DARK,
    UNTRAINED,
    Color,
    Pen,
    as_canvas,
    confidence_colors,
    draw_banner,
    draw_dots,
    draw_segments,
    draw_text,
    pen_for,
)

OUTLIER: Color = (255, 64, 96)
# More lines than these hide the images; every match has its two dots all the same.
MAX_INLIER_LINES = 120
MAX_OUTLIER_LINES = 60


def draw_matches(
    image0: np.ndarray,
    image1: np.ndarray,
    points0: np.ndarray,
    points1: np.ndarray,
    confidence: np.ndarray,
    inliers: np.ndarray | None = None,
    *,
    title: str = "",
    trained: bool = True,
) -> np.ndarray:
    """Return a picture (H, W, 3) uint8 RGB of matches between two images, (H, W, 3) RGB or (H, W) gray, uint8.

    points0, points1: (N, 2) pixels (x, y) of image 0 (left) and image 1 (right). confidence: (N,) 0 to 1.
    inliers: (N,) bool, or None when no geometry was estimated. trained: False adds a warning banner.

    Inliers are amber (confidence 0), green to cyan (1); outliers are thin and red. Of many matches, lines are drawn
    for a sample that is spread over the confidences; all have dots.
    """
    points0 = np.asarray(points0, np.float64).reshape(-1, 2)
    points1 = np.asarray(points1, np.float64).reshape(-1, 2)
    confidence = np.asarray(confidence, np.float64).reshape(-1)
    good = np.ones(len(points0), bool) if inliers is None else np.asarray(inliers, bool).reshape(-1)
    left, right = as_canvas(image0), as_canvas(image1)
    pen = pen_for(left.shape[1] + right.shape[1], max(left.shape[0], right.shape[0]))
    canvas, offset = _side_by_side(left, right, pen)
    shifted = points1 + np.array([offset, 0.0])

    colors = np.where(good[:, None], confidence_colors(confidence), np.array(OUTLIER, np.uint8))
    for kind, most, width, opacity in (
        (~good, MAX_OUTLIER_LINES, max(1, pen.line // 2), 0.5),
        (good, MAX_INLIER_LINES, max(1, pen.line - 1), 0.75),
    ):
        sample = _sample(np.flatnonzero(kind), confidence, most)
        draw_segments(canvas, points0[sample], shifted[sample], colors[sample], width, opacity)
    order = np.argsort(good, kind="stable")  # inliers on top
    for points in (points0, shifted):
        draw_dots(canvas, points[order], colors[order], pen.line)
    _draw_legend(canvas, good, inliers is not None, title, pen)
    if not trained:
        draw_banner(canvas, UNTRAINED, pen)
    return canvas


def _side_by_side(left: np.ndarray, right: np.ndarray, pen: Pen) -> tuple[np.ndarray, int]:
    """Return both images on one canvas and the x of the right one's first column."""
    offset = left.shape[1] + pen.pad
    size = (max(left.shape[0], right.shape[0]), offset + right.shape[1], 3)
    canvas = np.full(size, DARK, np.uint8)
    canvas[: left.shape[0], : left.shape[1]] = left
    canvas[: right.shape[0], offset:] = right
    return canvas, offset


def _sample(indices: np.ndarray, confidence: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` of the indices, spread evenly over their confidences, the least confident first."""
    ordered = indices[np.argsort(confidence[indices], kind="stable")]
    if len(ordered) <= most:
        return ordered
    return ordered[np.linspace(0, len(ordered) - 1, most).round().astype(np.int64)]


def _draw_legend(canvas: np.ndarray, good: np.ndarray, verified: bool, title: str, pen: Pen) -> None:
    """Write the title, and below it the counts beside a bar of the confidence's colours."""
    y = pen.pad
    if title:
        y = draw_text(canvas, title, (pen.pad, y), pen).y1 + pen.pad // 2
    text = f"{np.sum(good)} inliers of {len(good)} matches" if verified else f"{len(good)} matches"
    box = draw_text(canvas, text, (pen.pad, y), pen)
    if verified and not good.all():
        box = draw_text(canvas, f"{np.sum(~good)} outliers", (box.x1 + pen.pad // 2, y), pen, OUTLIER, 0.9)
    box = draw_text(canvas, "confidence 0", (box.x1 + pen.pad // 2, y), pen)
    ramp_end = box.x1 + 12 * pen.pad
    bar = canvas[box.y0 : box.y1, box.x1 : ramp_end]
    bar[:] = confidence_colors(np.linspace(0.0, 1.0, max(1, bar.shape[1])))[None, : bar.shape[1]]
    draw_text(canvas, "1", (ramp_end, y), pen, BLACK)
