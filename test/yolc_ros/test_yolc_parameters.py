"""What the parameters of yolc_node make of the detector's settings."""

import numpy as np

from perception_common.config import from_mapping
from yolc_ros.boxes import ScoredBoxes, suppress_duplicates
from yolc_ros.detector import DetectorSettings
from yolc_ros.parameters import YolcParameters


def test_the_defaults_are_those_of_the_detector_but_for_the_size_of_the_image():
    settings = YolcParameters().detector
    defaults = DetectorSettings()
    assert (settings.merge, settings.nms_iou, settings.scores) == (defaults.merge, defaults.nms_iou, defaults.scores)


def test_the_merge_of_the_release_is_chosen_by_name():
    assert from_mapping(YolcParameters, {"lsm_merge": "release"}).detector.merge == "release"


def test_nms_at_an_iou_of_1_removes_nothing():
    """As without NMS, also for boxes that are there twice, whatever float32 makes of their areas."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 2000, (300, 2))
    boxes = np.hstack([corners, corners + rng.uniform(0.1, 300, (300, 2))]).astype(np.float32)
    found = ScoredBoxes(np.vstack([boxes, boxes]), rng.random(600).astype(np.float32), np.zeros(600, np.int64))
    iou = from_mapping(YolcParameters, {"nms_iou": 1.0}).detector.nms_iou
    assert suppress_duplicates(found, iou).tolist() == suppress_duplicates(found, None).tolist()
    assert len(suppress_duplicates(found, 0.99)) == 300
