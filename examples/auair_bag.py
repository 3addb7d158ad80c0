"""Make a bag of a video of AU-AIR: images, calibration, altitude, orientation, position and labelled boxes.

    python examples/auair_bag.py auair_sample auair_bag --video 20190905103112
    yolc replay auair_bag places_bag --params-file examples/auair.yaml --no-matching

The telemetry of AU-AIR (Bozcan and Kayacan, ICRA 2020) has altitude, position and heading of the drone. It lacks the
intrinsics and the tilt of the camera, which is turned from frame to frame, against the horizon. The field of view is an
option. The tilt is fitted to the labelled cars: at the right one their boxes have the size of cars on the ground.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from flight_sim.camera import PinholeCamera, camera_pose, camera_with_fov
from perception_common.cli import run
from perception_common.errors import InputError
from replay_ros.bags.datasets.calibration import unrectified_calibration
from replay_ros.bags.messages import camera_info_message, image_message, range_message
from replay_ros.bags.sensor_messages import (
    attitude_message,
    detection_message,
    fix_message,
    true_detections_message,
)
from replay_ros.bags.writer import BagWriter
from yolc_ros.looks.bands import GroundView

FRAME = "camera_optical"
FIELD_OF_VIEW = 82.0  # degrees, horizontal; not published, near what the images show
POSITION_DEVIATION = 3.0  # metres: GPS of a consumer drone
ATTITUDE_DEVIATION = 5.0  # degrees: compass and fitted tilt
CAR_WIDTH = 3.4  # metres of the ground that the box of a car is wide, on average over its headings
TILTS = np.arange(15.0, 90.5, 0.5)  # degrees below the horizon


def main(arguments: list[str] | None = None) -> int:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder with coco.json and images")
    parser.add_argument("out", type=Path, help="bag to write")
    parser.add_argument("--video", help="date and time in the file names (default: the first one)")
    parser.add_argument("--fov", type=float, default=FIELD_OF_VIEW, help="horizontal field of view, degrees")
    given = parser.parse_args(arguments)
    content = json.loads((given.source / "coco.json").read_text(encoding="utf-8"))
    images = frames_of(content, given.video)
    boxes: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for each in content["annotations"]:
        boxes[each["image_id"]].append(each)
    names = {each["id"]: each["name"] for each in content["categories"]}
    with BagWriter(given.out, "mcap", force=False) as bag:
        for image in images:
            tilt = write_frame(bag, given.source, image, boxes[image["id"]], names, given.fov)
            fitted = "no car is labelled: no orientation" if tilt is None else f"tilt {tilt:g} degrees"
            print(f"{Path(image['file_name']).name}: {image['altitude_m']:.1f} m, {fitted}")
    return 0


def frames_of(content: Mapping[str, Any], video: str | None) -> list[Mapping[str, Any]]:
    """Return the images of a video in the order of their times. Raises InputError for an unknown one."""
    videos = sorted({each["video"] for each in content["images"]})
    if video is not None and video not in videos:
        raise InputError(f"there is no video {video}; known are {', '.join(videos)}")
    chosen = video or videos[0]
    return sorted((each for each in content["images"] if each["video"] == chosen), key=stamp_of)


def stamp_of(image: Mapping[str, Any]) -> int:
    """Return the time of an image in nanoseconds of its day; "ms" counts microseconds from the begin of the video."""
    time = image["time"]
    seconds = 3600 * time["hour"] + 60 * time["min"] + time["sec"]
    return round(seconds * 1e9 + time["ms"] * 1e3)


def fitted_tilt(camera: PinholeCamera, altitude: float, boxes: np.ndarray) -> float | None:
    """Return the tilt below the horizon, degrees, at which boxes of cars (N, 4) x y w h fit best; None without any."""
    if not len(boxes):
        return None
    x, bottom = boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + 0.8 * boxes[:, 3]
    misfits = []
    for tilt in np.radians(TILTS):
        down = (0.0, math.cos(tilt), math.sin(tilt))
        view = GroundView(altitude, down, (camera.fx, camera.fy), (camera.cx, camera.cy))
        widths = boxes[:, 2] / np.maximum(view.pixels_per_metre(x, bottom), 1e-6)
        misfits.append(float(np.median(np.abs(np.log(widths / CAR_WIDTH)))))
    return float(TILTS[int(np.argmin(misfits))])


def write_frame(
    bag: BagWriter,
    folder: Path,
    image: Mapping[str, Any],
    boxes: Sequence[Mapping[str, Any]],
    names: Mapping[int, str],
    fov: float,
) -> float | None:
    """Write the messages of an image, the image last; return its tilt, degrees, None where it is unknown."""
    types, stamp = bag.types, stamp_of(image)
    camera = camera_with_fov(image["width"], image["height"], fov)
    calibration = unrectified_calibration(camera.width, camera.height, camera.matrix, np.zeros(5))
    pixels = cv2.imread(str(folder / image["file_name"]))
    if pixels is None:
        raise InputError(f"{folder / image['file_name']}: cannot be read")
    corners = np.array([each["bbox"] for each in boxes], np.float64).reshape(-1, 4)
    is_car = np.array([names[each["category_id"]] == "Car" for each in boxes], bool)
    tilt = fitted_tilt(camera, image["altitude_m"], corners[is_car])
    bag.write("camera/camera_info", camera_info_message(types, calibration, stamp, FRAME), stamp)
    bag.write("altitude", range_message(types, image["altitude_m"], stamp, FRAME), stamp)
    latitude, longitude, height = image["latitude"], image["longitude"], image["altitude_m"]
    deviations = (POSITION_DEVIATION,) * 3
    bag.write("fix", fix_message(types, latitude, longitude, height, deviations, stamp, FRAME), stamp)
    if tilt is not None:
        heading = math.pi / 2 - image["roll_pitch_yaw"][2]  # from clockwise of north to counter-clockwise of east
        rotation = camera_pose(np.zeros(3), heading, -math.radians(tilt))[:3, :3]
        covariance = math.radians(ATTITUDE_DEVIATION) ** 2 * np.eye(3)
        bag.write("imu", attitude_message(types, rotation, covariance, stamp, FRAME), stamp)
    truth = [
        detection_message(
            types,
            class_id=each["category_id"],
            class_name=names[each["category_id"]],
            score=1.0,
            center=(x + width / 2, y + height / 2),
            size=(width, height),
        )
        for each, (x, y, width, height) in zip(boxes, corners.tolist(), strict=True)
    ]
    size = (camera.width, camera.height)
    bag.write("ground_truth/detections", true_detections_message(types, truth, size, stamp, FRAME), stamp)
    bag.write("camera/image", image_message(types, pixels, "bgr8", stamp, FRAME), stamp)
    return tilt


if __name__ == "__main__":
    run(main)
