"""Pictures of what the nodes answered: boxes and cluster regions on frames, matches between keyframes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from loftr_ros.drawing import draw_matches
from loftr_ros.geometry.two_view import Geometry
from perception_common.image import to_rgb
from perception_common.stamps import stamp_ns
from replay_ros.bags.reader import Bag, find_image_topic, open_bag
from yolc_ros.drawing import draw_detections

DETECTIONS = "yolc_ros/msg/DetectionArray"
CORRESPONDENCES = "yolc_ros/msg/Correspondences"
RELATIVE_POSE = "yolc_ros/msg/RelativePose"


def draw_answers(bag_path: Path, folder: Path, image_topic: str | None = None, limit: int = 6) -> list[Path]:
    """Draw up to `limit` detection arrays and keyframe pairs of an answers bag, evenly chosen, as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    with open_bag(bag_path) as bag:
        detections = spread(_of_type(bag, DETECTIONS), limit)
        poses = {(pose.older_id, pose.newer_id): pose for pose in _of_type(bag, RELATIVE_POSE)}
        neighbours = [pair for pair in _of_type(bag, CORRESPONDENCES) if pair.newer.id == pair.older.id + 1]
        pairs = spread(neighbours, limit)
        stamps = [stamp_ns(message.header) for message in detections]
        stamps += [stamp_ns(keyframe.header) for pair in pairs for keyframe in (pair.older, pair.newer)]
        images = _images(bag, find_image_topic(bag, image_topic), set(stamps))
    written = []
    for message in detections:
        path = folder / f"detections_{stamp_ns(message.header)}.png"
        written.append(_write(path, picture_of_detections(images[stamp_ns(message.header)], message)))
    for pair in pairs:
        path = folder / f"matches_{pair.older.id:04d}_{pair.newer.id:04d}.png"
        image0, image1 = images[stamp_ns(pair.older.header)], images[stamp_ns(pair.newer.header)]
        pose = poses.get((pair.older.id, pair.newer.id))
        written.append(_write(path, picture_of_matches(image0, image1, pair, pose)))
    return written


def picture_of_detections(image: np.ndarray, message: Any) -> np.ndarray:
    """Draw a DetectionArray on its image, (H, W, 3) RGB."""
    found = message.detections
    names = sorted({(each.class_id, each.class_name) for each in found})
    class_names = [""] * (max((number for number, _ in names), default=-1) + 1)
    for number, name in names:
        class_names[number] = name
    centers = np.array([[each.center_x, each.center_y] for each in found]).reshape(-1, 2)
    sizes = np.array([[each.size_x, each.size_y] for each in found]).reshape(-1, 2)
    return draw_detections(
        image,
        np.hstack([centers - sizes / 2, centers + sizes / 2]),
        np.array([each.class_id for each in found], int),
        np.array([each.score for each in found]),
        class_names,
        np.array([[each.x0, each.y0, each.x1, each.y1] for each in message.regions]).reshape(-1, 4),
        title=f"{message.model}: {len(found)} objects, {len(message.regions)} clusters",
        trained=message.trained,
    )


def picture_of_matches(image0: np.ndarray, image1: np.ndarray, message: Any, pose: Any | None) -> np.ndarray:
    """Draw Correspondences between their two images, (H, W, 3) RGB each; `pose`: the pair's RelativePose."""
    geometry = f": {Geometry(pose.geometry).name}, parallax {pose.parallax:.1f} deg" if pose else ""
    return draw_matches(
        image0,
        image1,
        np.stack([message.x0, message.y0], axis=1),
        np.stack([message.x1, message.y1], axis=1),
        np.asarray(message.confidence),
        np.asarray(message.inlier, bool),
        title=f"{message.model}: keyframes {message.older.id} and {message.newer.id}{geometry}",
        trained=message.trained,
    )


def spread(items: Sequence[Any], limit: int) -> list[Any]:
    """Return at most `limit` items, evenly spread over the sequence."""
    if len(items) <= limit:
        return list(items)
    return [items[index] for index in np.linspace(0, len(items) - 1, limit).round().astype(int)]


def _of_type(bag: Bag, type_name: str) -> list[Any]:
    return [item.message for item in bag.messages([topic.name for topic in bag.of_type(type_name)])]


def _images(bag: Bag, topic: str, stamps: Iterable[int]) -> dict[int, np.ndarray]:
    wanted = set(stamps)
    return {
        stamp_ns(item.message.header): to_rgb(item.message)
        for item in bag.messages([topic])
        if stamp_ns(item.message.header) in wanted
    }


def _write(path: Path, picture: np.ndarray) -> Path:
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return path
