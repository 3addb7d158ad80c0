"""Average precision compared with pycocotools and with values by hand."""

from __future__ import annotations

import contextlib
import io
import math

import numpy as np
import pytest

from yolc_ros.training.average_precision import ClassResult, average_precision

NONE = np.zeros((0, 4))


def random_image(rng: np.random.Generator) -> ClassResult:
    corner = rng.uniform(0, 150, (rng.integers(0, 9), 2))
    true = np.hstack([corner, corner + rng.uniform(8, 40, corner.shape)])
    found = [box + rng.normal(0, 3, 4) for box in true if rng.random() < 0.8]
    found += [np.array([*c, *(c + rng.uniform(8, 40, 2))]) for c in rng.uniform(0, 150, (rng.integers(0, 6), 2))]
    boxes = np.array(found).reshape(-1, 4)
    ignored = np.array([[0.0, 0.0, 60.0, 60.0]]) if rng.random() < 0.5 else NONE
    return ClassResult(boxes, rng.permutation(len(boxes)) / 7 + rng.random(), true, ignored)


def coco_ap50(images: list[ClassResult]) -> float:
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    annotations, results = [], []
    for image_id, image in enumerate(images, start=1):
        for crowd, rows in ((0, image.true_boxes), (1, image.ignored)):
            for x0, y0, x1, y1 in rows:
                area = (x1 - x0) * (y1 - y0)
                box = {"image_id": image_id, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0], "area": area}
                annotations.append({"id": len(annotations) + 1, "iscrowd": crowd, **box})
        for (x0, y0, x1, y1), score in zip(image.boxes, image.scores, strict=True):
            box = {"image_id": image_id, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0]}
            results.append({"score": score, **box})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = {
            "images": [{"id": i + 1} for i in range(len(images))],
            "annotations": annotations,
            "categories": [{"id": 1}],
        }
        truth.createIndex()
        evaluation = cocoeval.COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return float(evaluation.eval["precision"][0, :, 0, 0, 2].mean())


@pytest.mark.parametrize("seed", range(8))
def test_equals_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = [random_image(rng) for _ in range(12)]
    assert average_precision(images) == pytest.approx(coco_ap50(images), abs=1e-9)


def test_two_of_three_objects_and_a_false_positive() -> None:
    true = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], float)
    found = np.array([[0, 0, 10, 10], [60, 0, 70, 10], [20, 0, 30, 10]], float)
    result = ClassResult(found, np.array([0.9, 0.8, 0.7]), true, NONE)
    # precision 1 up to a recall of 1/3 (34 of 101 recalls), 2/3 up to 2/3 (33), 0 beyond
    assert average_precision([result]) == pytest.approx((34 + 33 * 2 / 3) / 101)


def test_a_second_detection_of_an_object_is_a_false_positive() -> None:
    box = np.array([[0, 0, 10, 10]], float)
    twice = ClassResult(
        np.repeat(box, 2, 0), np.array([0.9, 0.8]), np.array([[0, 0, 10, 10], [50, 50, 60, 60.0]]), NONE
    )
    assert average_precision([twice]) == pytest.approx(51 / 101)


def test_without_detections_it_is_zero_and_without_objects_nan() -> None:
    box = np.array([[0, 0, 10, 10]], float)
    assert average_precision([ClassResult(NONE, np.zeros(0), box, NONE)]) == 0
    assert math.isnan(average_precision([ClassResult(box, np.ones(1), NONE, NONE)]))
    assert math.isnan(average_precision([]))
