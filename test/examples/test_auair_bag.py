"""The example of AU-AIR finds the tilt of the camera by cars of known size, and writes what georeferencing needs."""

import json
import math

import cv2
import numpy as np
import pytest

from flight_sim.camera import camera_pose, camera_with_fov, world_to_camera
from replay_ros.bags.reader import open_bag

pytest.importorskip("pymap3d")


@pytest.fixture(scope="module")
def example(example):
    return example("auair_bag")


def boxes_of_cars(camera, tilt, width_m):
    """Boxes x y w h of flat cars across the view, by projecting their ends on the ground 20 m below."""
    pose = camera_pose(np.array([0.0, 0.0, 20.0]), 0.0, -math.radians(tilt))
    centre = 20 / math.tan(math.radians(tilt))
    boxes = []
    for ahead, left in ((centre, 0.0), (centre + 8.0, -5.0), (centre - 4.0, 6.0)):
        ends = np.array([(ahead, left + width_m / 2, 0.0), (ahead, left - width_m / 2, 0.0)])
        (x0, y0), (x1, y1) = camera.project(world_to_camera(ends, pose))
        boxes.append((x0, (y0 + y1) / 2 - 0.8 * 20, x1 - x0, 20.0))
    return np.array(boxes)


@pytest.mark.parametrize("tilt", [30.0, 45.0, 70.0])
def test_the_tilt_is_found_by_the_width_of_cars(example, tilt):
    camera = camera_with_fov(1920, 1080, 82.0)
    found = example.fitted_tilt(camera, 20.0, boxes_of_cars(camera, tilt, example.CAR_WIDTH))
    assert found == pytest.approx(tilt, abs=1.5)
    assert example.fitted_tilt(camera, 20.0, np.zeros((0, 4))) is None


def test_a_bag_has_sensors_and_labels(example, tmp_path, capsys):
    images = [
        {
            "id": k,
            "file_name": f"{k}.png",
            "width": 192,
            "height": 108,
            "video": "20190829091111",
            "time": {"hour": 9, "min": 11, "sec": 11, "ms": 1e5 * (2 - k)},
            "latitude": 56.2,
            "longitude": 10.2,
            "altitude_m": 20.0,
            "roll_pitch_yaw": [0.0, 0.0, 0.5],
        }
        for k in range(2)
    ]
    for k in range(2):
        cv2.imwrite(str(tmp_path / f"{k}.png"), np.full((108, 192, 3), 90, np.uint8))
    content = {
        "images": images,
        "categories": [{"id": 1, "name": "Car"}],
        "annotations": [{"image_id": 0, "category_id": 1, "bbox": [90, 50, 18, 9]}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content))
    assert example.main([str(tmp_path), str(tmp_path / "bag")]) == 0
    assert "no car is labelled" in capsys.readouterr().out
    with open_bag(tmp_path / "bag") as bag:
        counts = {name: topic.count for name, topic in bag.topics.items()}
        stamps = [item.stamp_ns for item in bag.messages(["/camera/image"])]
    assert counts["/fix"] == counts["/altitude"] == counts["/ground_truth/detections"] == 2
    assert counts["/imu"] == 1
    assert stamps == sorted(stamps)
