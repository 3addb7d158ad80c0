"""Slices that cover the image, boxes merged as by a slow implementation, and sliced inference with a fake detector."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_common.backends.devices import choose_device
from perception_common.config import load_yaml
from perception_common.resources import find_config
from replay_ros.evaluation.detection.slicing import SlicingConfig, detect_sliced, merge_boxes, slices
from yolc_ros.boxes import ScoredBoxes
from yolc_ros.detector import Detections, Detector, DetectorSettings
from yolc_ros.network.config import YolcConfig
from yolc_ros.network.yolc import Yolc


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(32, 200), st.floats(0, 0.9))
def test_slices_cover_every_pixel_with_the_given_overlap(width, height, size, overlap):
    boxes = slices(width, height, SlicingConfig(size, overlap))
    covered = np.zeros((height, width), bool)
    for x0, y0, x1, y1 in boxes:
        assert (x1 - x0, y1 - y0) == (min(size, width), min(size, height))
        covered[y0:y1, x0:x1] = True
    assert covered.all()
    assert len(np.unique(boxes, axis=0)) == len(boxes)
    starts = np.unique(boxes[:, 0])
    if len(starts) > 1:
        assert np.diff(starts).max() <= max(1, round(size * (1 - overlap)))


def test_slices_of_a_full_hd_image():
    # As in SAHI: steps of 512, with the last column and row shifted back inside the image.
    columns = sorted({int(x) for x in slices(1920, 1080, SlicingConfig(640, 0.2))[:, 0]})
    rows = sorted({int(y) for y in slices(1920, 1080, SlicingConfig(640, 0.2))[:, 1]})
    assert (columns, rows) == ([0, 512, 1024, 1280], [0, 440])


# --- merging -----------------------------------------------------------------------------------------------------


def slow_merge(found, config):
    """(box, index of the highest-scoring box) of each object, in the order of the scores, with plain loops."""
    left = sorted(range(len(found.scores)), key=lambda index: (-found.scores[index], index))
    objects = []
    while left:
        best = left[0]
        members = [index for index in left if index == best or is_same(found, best, index, config)]
        left = [index for index in left if index not in members]
        corners = [found.boxes[index] for index in ([best] if config.merge == "nms" else members)]
        hull = [min(c[0] for c in corners), min(c[1] for c in corners)]
        hull += [max(c[2] for c in corners), max(c[3] for c in corners)]
        objects.append((hull, best))
    return objects


def is_same(found, one, other, config):
    if found.labels[one] != found.labels[other]:
        return False
    a, b = found.boxes[one].astype(float), found.boxes[other].astype(float)
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return width > 0 and height > 0 and width * height >= config.same_share * smaller


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(1, 12)] * 2, st.integers(1, 9), st.integers(0, 1)),
        max_size=25,
    ),
    st.sampled_from(["greedy", "nms"]),
    st.sampled_from([0.3001, 0.5001, 0.8001]),  # no two boxes have exactly this share, where rounding would decide
)
def test_boxes_are_merged_as_by_the_slow_implementation(rows, how, share):
    values = np.array(rows, np.float32).reshape(-1, 6)
    boxes = np.hstack([values[:, :2], values[:, :2] + values[:, 2:4]])
    found = ScoredBoxes(boxes, values[:, 4] / 10, values[:, 5].astype(np.int64))
    config = SlicingConfig(merge=how, same_share=share)
    joined, kept = merge_boxes(found, config)
    expected = slow_merge(found, config)
    assert kept.tolist() == [index for _, index in expected]
    assert joined.tolist() == [list(map(float, box)) for box, _ in expected]


def test_a_cut_object_is_merged_with_the_whole_one():
    whole, left, right = [100, 100, 200, 140], [100, 100, 150, 140], [148, 101, 201, 141]
    found = ScoredBoxes(np.array([left, whole, right], np.float32), np.array([0.9, 0.8, 0.7]), np.zeros(3, np.int64))
    boxes, kept = merge_boxes(found, SlicingConfig())
    # The left piece has the highest score and absorbs the whole box. The right piece overlaps it too little.
    assert boxes.tolist() == [whole, right]
    assert kept.tolist() == [0, 2]


# --- sliced inference --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def detector():
    network = Yolc(load_yaml(YolcConfig, find_config("models/yolc_lite.yaml")))
    return Detector.from_network(network, choose_device("cpu"), DetectorSettings())


@pytest.fixture
def seen(monkeypatch):
    """A detector that finds an 8 x 8 box around each bright pixel; records sizes and scales of its images."""
    inputs = []

    def detect(self, image):
        inputs.append((image.shape[1], image.shape[0], *self.settings.scales))
        assert self.settings.lsm is None
        assert image.flags.c_contiguous
        y, x = np.nonzero(image[:, :, 0])
        boxes = np.stack([x - 4, y - 4, x + 4, y + 4], axis=1).clip(0).astype(np.float32)
        scores = image[y, x, 0].astype(np.float32) / 255
        count = len(boxes)
        return Detections(boxes, scores, np.zeros(count, np.int64), np.full(count, -1), (), self.class_names)

    monkeypatch.setattr(Detector, "detect", detect)
    return inputs


def test_objects_in_several_slices_are_found_once_and_in_image_pixels(detector, seen):
    image = np.zeros((100, 160, 3), np.uint8)
    for x, y, value in ((20, 30, 250), (80, 50, 240), (140, 80, 230)):
        image[y, x] = value
    config = SlicingConfig(size=100, overlap=0.4, zoom=2.0)
    found = detect_sliced(detector, image, config)
    assert seen == [(160, 100, 1.0), (100, 100, 2.0), (100, 100, 2.0)]
    assert found.boxes.tolist() == [[16, 26, 24, 34], [76, 46, 84, 54], [136, 76, 144, 84]]
    assert [(r.x0, r.y0, r.x1, r.y1, r.expected) for r in found.regions] == [(0, 0, 100, 100, 2), (60, 0, 160, 100, 2)]
    assert found.region.tolist() == [-1, -1, -1]
    alone = detect_sliced(detector, image, replace(config, whole_image=False))
    assert alone.boxes.tolist() == found.boxes.tolist()
    assert alone.region.tolist() == [0, 0, 1]


def test_the_limits_of_the_detector_settings_hold(detector, seen):
    image = np.zeros((200, 200, 3), np.uint8)
    image[10::40, 10::40] = 200
    limited = replace(detector, settings=replace(detector.settings, max_side=100, max_detections=7))
    found = detect_sliced(limited, image, SlicingConfig(size=80, zoom=3.0))
    assert len(found.boxes) == len(found.scores) == len(found.labels) == len(found.region) == 7
    assert {scale for width, _, scale in seen if width == 80} == {100 / 80}


def test_an_empty_image_gives_a_complete_result(detector, seen):
    found = detect_sliced(detector, np.zeros((64, 64, 3), np.uint8), SlicingConfig())
    assert found.boxes.shape == (0, 4)
    assert found.region.shape == (0,)
    assert len(found.regions) == 1


@pytest.mark.parametrize("wrong", [{"size": 8}, {"overlap": 1.0}, {"zoom": 0.0}, {"same_share": 0.0}])
def test_invalid_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        SlicingConfig(**wrong)
