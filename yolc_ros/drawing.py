"""Draws detections and tracks: boxes in the colour of their class, cluster regions, counts of classes, trails, ids."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from perception_common.images.drawing import (
    UNTRAINED,
    WHITE,
    Pen,
    TextBox,
    as_canvas,
    draw_banner,
    draw_box,
    draw_dashed_box,
    draw_text,
    measure_text,
    pen_for,
)
from yolc_ros.classes import class_color
from yolc_ros.tracking.tracker import Tracks


def draw_detections(
    image: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray,
    class_names: Sequence[str],
    regions: np.ndarray | None = None,
    *,
    title: str = "",
    trained: bool = True,
) -> np.ndarray:
    """Draw detections on a copy of an image (H, W, 3) RGB or (H, W) gray, uint8 -> (H, W, 3) uint8 RGB.

    boxes: (N, 4) x0, y0, x1, y1 in pixels. labels: (N,) int, index into class_names. scores: (N,) 0 to 1.
    regions: (R, 4) x0, y0, x1, y1 in pixels, cluster regions, or None. trained: False adds a warning banner.

    A class name is written only where it covers no other name and no other object. The counts below the title are in
    the colour of their class, as a legend.
    """
    canvas = as_canvas(image)
    height, width = canvas.shape[:2]
    pen = pen_for(width, height)
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    labels = np.asarray(labels, np.int64).reshape(-1)
    scores = np.asarray(scores, np.float64).reshape(-1)
    regions = np.empty((0, 4)) if regions is None else np.asarray(regions, np.float64).reshape(-1, 4)

    for region in regions:
        draw_dashed_box(canvas, region, WHITE, pen)
    best_first = np.argsort(-scores, kind="stable")
    for index in best_first[::-1]:  # the best is drawn last, on top
        smaller_side = min(boxes[index, 2] - boxes[index, 0], boxes[index, 3] - boxes[index, 1])
        draw_box(canvas, boxes[index], class_color(int(labels[index])), max(1, min(pen.line, int(smaller_side // 8))))
    taken = _draw_summary(canvas, labels, class_names, len(regions), title, pen)
    _draw_names(canvas, boxes[best_first], labels[best_first], scores[best_first], class_names, taken, pen.smaller(0.8))
    if not trained:
        draw_banner(canvas, UNTRAINED, pen)
    return canvas


def draw_tracks(canvas: np.ndarray, tracks: Tracks) -> None:
    """Draw trails and ids of confirmed tracks on an image (H, W, 3) uint8 RGB, in place; lost ones are dashed boxes."""
    height, width = canvas.shape[:2]
    pen = pen_for(width, height).smaller(0.8)
    taken: list[TextBox] = []
    for k in np.flatnonzero(tracks.confirmed).tolist():
        color = class_color(int(tracks.labels[k]))
        trail = tracks.trails[k][np.isfinite(tracks.trails[k]).all(axis=1)]
        cv2.polylines(
            canvas, [np.round(trail - 0.5).astype(np.int32)], False, color, max(1, pen.line // 2), cv2.LINE_AA
        )
        if tracks.detections[k] < 0:
            draw_dashed_box(canvas, tracks.boxes[k], color, pen)
        x, y = int(tracks.boxes[k, 0]), int(np.ceil(tracks.boxes[k, 3]))
        place = measure_text(f"#{tracks.ids[k]}", (x, y), pen)
        if x >= 0 and place.x1 <= width and place.y1 <= height and not any(_overlap(place, other) for other in taken):
            taken.append(draw_text(canvas, f"#{tracks.ids[k]}", (x, y), pen, color, 0.85))


def _draw_summary(
    canvas: np.ndarray, labels: np.ndarray, class_names: Sequence[str], regions: int, title: str, pen: Pen
) -> list[TextBox]:
    """Write the title and, below it, the number of objects of each class; return the areas covered by text."""
    filled: list[TextBox] = []
    y = pen.pad
    if title:
        filled.append(draw_text(canvas, title, (pen.pad, y), pen))
        y = filled[-1].y1 + pen.pad // 2
    x = pen.pad
    entries = [
        (f"{class_names[label]} {np.sum(labels == label)}", class_color(int(label))) for label in np.unique(labels)
    ]
    if regions:
        entries.append((f"clusters {regions}", WHITE))
    for text, color in entries:
        size = measure_text(text, (x, y), pen)
        if size.x1 > canvas.shape[1] - pen.pad and x > pen.pad:
            x, y = pen.pad, size.y1 + pen.pad // 2
        filled.append(draw_text(canvas, text, (x, y), pen, color, 0.9))
        x = filled[-1].x1 + pen.pad // 2
    return filled


def _draw_names(
    canvas: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray,
    class_names: Sequence[str],
    taken: list[TextBox],
    pen: Pen,
) -> None:
    """Write class and score above the boxes (best first) where there is room."""
    height, width = canvas.shape[:2]
    taken = list(taken)
    for index, box in enumerate(boxes):
        text = f"{class_names[labels[index]]} {scores[index]:.2f}"
        size = measure_text(text, (0, 0), pen)
        x = int(np.clip(box[0], 0, max(0, width - size.x1)))
        above, below = int(box[1]) - size.y1, int(np.ceil(box[3]))
        y = above if above >= 0 else below
        place = measure_text(text, (x, y), pen)
        others = np.delete(boxes, index, axis=0)
        hides = (others[:, :2] < (place.x1, place.y1)).all(axis=1) & (others[:, 2:] > (place.x0, place.y0)).all(axis=1)
        if place.y1 > height or hides.any() or any(_overlap(place, other) for other in taken):
            continue
        taken.append(draw_text(canvas, text, (x, y), pen, class_color(int(labels[index])), 0.85))


def _overlap(a: TextBox, b: TextBox) -> bool:
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1
