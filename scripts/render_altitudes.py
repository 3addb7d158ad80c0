"""Renders views of simulated flights at chosen altitudes, with their boxes, camera and tilt, as a COCO folder.

example: python scripts/render_altitudes.py views --size 1920 1080 --altitudes 15 25 40 60 90 130 200 --views 4
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from flight_sim.classes import CLASS_NAMES
from flight_sim.flight import SimulatedFrame
from flight_sim.sampling import ViewOptions, sample_view
from flight_sim.scene import build_scene
from yolc_ros.datasets.simulated import JPEG_QUALITY, annotated


def main() -> None:
    """Render the views that are missing, and write coco.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the images and of coco.json")
    parser.add_argument("--size", type=int, nargs=2, default=(1920, 1080), metavar=("W", "H"), help="pixels")
    parser.add_argument("--altitudes", type=float, nargs="+", default=(15, 25, 40, 60, 90, 130, 200), help="metres")
    parser.add_argument("--views", type=int, default=6, help="of each altitude; each is of a scene of its own")
    parser.add_argument("--seed", type=int, default=5_000_000, help="of the first view")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(given.views):
        seed = given.seed + number
        scene = build_scene(seed)
        for altitude in given.altitudes:
            options = ViewOptions(altitude_m=(altitude, altitude))
            frame = sample_view(seed, tuple(given.size), options, scene)
            name = f"{altitude:03.0f}m_{seed}.jpg"
            bgr = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(given.out / name), bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            images.append({"id": len(images), "file_name": name, **_view(frame)})
            annotations += _boxes(frame, len(images) - 1, len(annotations))
            print(name, flush=True)
    categories = [{"id": index, "name": name} for index, name in enumerate(CLASS_NAMES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (given.out / "coco.json").write_text(json.dumps(content), encoding="utf-8")


def _view(frame: SimulatedFrame) -> dict[str, Any]:
    """Return size, altitude, tilt and camera of a frame, as `evaluate_detection --scale ground` reads them."""
    camera, pose = frame.truth.camera, frame.truth.T_world_camera
    forward = pose[:3, 2]
    return {
        "width": camera.width,
        "height": camera.height,
        "altitude_m": float(pose[2, 3]),
        "pitch_deg": -math.degrees(math.asin(float(np.clip(forward[2], -1, 1)))),
        "down": (-pose[2, :3]).tolist(),
        "focal_px": camera.fx,
    }


def _boxes(frame: SimulatedFrame, image: int, first: int) -> list[dict[str, Any]]:
    boxes, hidden = annotated(frame.truth.boxes)
    found = []
    for index, corners in enumerate((boxes.xyxy.astype(float) + 0.5).tolist()):
        x0, y0, x1, y1 = corners
        found.append(
            {
                "id": first + index,
                "image_id": image,
                "category_id": int(boxes.class_ids[index]),
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": (x1 - x0) * (y1 - y0),
                "iscrowd": int(hidden[index]),
            }
        )
    return found


if __name__ == "__main__":
    main()
