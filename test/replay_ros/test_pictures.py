"""Pictures from a bag of answers."""

import cv2
import numpy as np
import pytest

from replay_ros.bags.calibration import uncalibrated
from replay_ros.bags.messages import camera_info_message, header, image_message, new
from replay_ros.bags.writer import BagWriter
from replay_ros.pictures import draw_answers, spread


def keyframe(types, number, stamp):
    return new(
        types,
        "yolc_ros/msg/Keyframe",
        header=header(types, stamp, "camera"),
        id=number,
        width=160,
        height=120,
        k=np.zeros(9),
        k_original=np.zeros(9),
        distortion_model="",
        d=np.zeros(0),
    )


def correspondences(types, older, newer, stamp, trained):
    count = 30
    rng = np.random.default_rng(0)
    columns = {name: rng.uniform(5, 100, count).astype(np.float32) for name in ("x0", "y0", "x1", "y1")}
    return new(
        types,
        "yolc_ros/msg/Correspondences",
        header=header(types, stamp, "camera"),
        older=older,
        newer=newer,
        **columns,
        confidence=np.full(count, 0.7, np.float32),
        spread=np.ones(count, np.float32),
        id0=np.arange(count, dtype=np.uint32),
        id1=np.arange(count, dtype=np.uint32),
        inlier=(np.arange(count) % 2).astype(np.uint8),
        dynamic=np.zeros(count, np.uint8),
        model="loftr_lite",
        trained=trained,
    )


def detections(types, stamp, trained):
    box = new(
        types,
        "yolc_ros/msg/Detection",
        class_id=3,
        class_name="car",
        score=0.9,
        center_x=60.0,
        center_y=50.0,
        size_x=40.0,
        size_y=20.0,
        region=-1,
    )
    return new(
        types,
        "yolc_ros/msg/DetectionArray",
        header=header(types, stamp, "camera"),
        image_width=160,
        image_height=120,
        detections=[box],
        regions=[],
        model="yolc_lite",
        trained=trained,
        inference_seconds=0.1,
    )


@pytest.fixture(params=[True, False], ids=["trained", "untrained"])
def answers(request, tmp_path):
    image = np.full((120, 160, 3), 90, np.uint8)
    with BagWriter(tmp_path / "answers") as bag:
        frames = []
        for index in range(9):
            stamp = 10**9 * (index + 1)
            bag.write("camera/image", image_message(bag.types, image, "bgr8", stamp, "camera"), stamp)
            info = camera_info_message(bag.types, uncalibrated(160, 120), stamp, "camera")
            bag.write("camera/camera_info", info, stamp)
            bag.write("yolc/detections", detections(bag.types, stamp, request.param), stamp)
            frames.append(keyframe(bag.types, index, stamp))
            if index:
                pair = correspondences(bag.types, frames[-2], frames[-1], stamp, request.param)
                bag.write("loftr/correspondences", pair, stamp)
    return tmp_path / "answers", request.param


def test_pictures_show_the_answers_and_whether_the_weights_are_trained(answers, tmp_path):
    bag, trained = answers
    written = draw_answers(bag, tmp_path / "pictures", limit=3)
    assert [path.stem.split("_")[0] for path in written] == ["detections"] * 3 + ["matches"] * 3
    for path in written:
        picture = cv2.imread(str(path))
        assert picture.std() > 5  # something is drawn on the plain gray image
        blue, _, red = picture[-3:].reshape(-1, 3).mean(axis=0)
        assert (red > blue + 60) == (not trained)  # the warning banner is red


def test_spread_is_even_and_keeps_both_ends():
    assert spread(list(range(10)), 4) == [0, 3, 6, 9]
    assert spread([1, 2], 4) == [1, 2]
    assert spread([], 4) == []
