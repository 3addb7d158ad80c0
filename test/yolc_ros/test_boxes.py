"""Scored boxes: non-maximum suppression compared with a plain loop, moving, mirroring and concatenation."""

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from yolc_ros.boxes import ScoredBoxes, concatenate, suppress_duplicates


def iou(a: np.ndarray, b: np.ndarray) -> float:
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(w, 0) * max(h, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0


def naive_nms(found: ScoredBoxes, max_iou: float) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(found)), key=lambda i: (-found.scores[i], i)):
        if all(found.labels[i] != found.labels[j] or iou(found.boxes[i], found.boxes[j]) <= max_iou for j in kept):
            kept.append(i)
    return kept


def random_boxes(seed: int, count: int, spread: float = 100.0) -> ScoredBoxes:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, spread, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 30, (count, 2))], axis=1).astype(np.float32)
    scores = rng.integers(1, 50, count).astype(np.float32) / 50  # with ties
    return ScoredBoxes(boxes, scores, rng.integers(0, 3, count))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), count=st.integers(0, 120), max_iou=st.sampled_from([0.1, 0.3, 0.6]))
def test_suppression_equals_a_plain_loop(seed, count, max_iou):
    found = random_boxes(seed, count)
    assert suppress_duplicates(found, max_iou).tolist() == naive_nms(found, max_iou)


def test_suppression_across_blocks_equals_a_plain_loop():
    found = dataclasses.replace(random_boxes(0, 700, spread=300), labels=np.zeros(700, np.int64))
    kept = suppress_duplicates(found, 0.4).tolist()
    assert kept == naive_nms(found, 0.4)
    assert 256 < len(kept) < 700


def test_classes_do_not_suppress_each_other():
    boxes = np.tile(np.array([[0, 0, 10, 10]], np.float32), (3, 1))
    found = ScoredBoxes(boxes, np.array([0.5, 0.9, 0.7], np.float32), np.array([0, 0, 1]))
    assert suppress_duplicates(found, 0.5).tolist() == [1, 2]


def test_the_concatenation_of_no_sets_has_all_fields():
    nothing = concatenate([])
    assert (nothing.boxes.shape, nothing.scores.shape, nothing.labels.shape) == ((0, 4), (0,), (0,))
    assert (nothing.boxes.dtype, nothing.scores.dtype, nothing.labels.dtype) == (np.float32, np.float32, np.int64)
    assert len(concatenate([nothing, random_boxes(0, 4)])) == 4


def test_moving_and_mirroring():
    found = ScoredBoxes(np.array([[1, 2, 4, 8]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
    assert found.shifted(10, 20).boxes.tolist() == [[11, 22, 14, 28]]
    assert found.mirrored(50).boxes.tolist() == [[46, 2, 49, 8]]
    assert found.shifted(10, 20).boxes.dtype == found.mirrored(50).boxes.dtype == np.float32
