"""Protocols against pycocotools, against slow implementations of VisDrone and UAVDT, and computed by hand."""

import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from replay_ros.evaluation.detection.metrics import CURVE_POINTS, score_detections
from replay_ros.evaluation.detection.protocols import (
    PROTOCOLS,
    ImageDetections,
    ImageTruth,
    drop_ignored,
    split_disjoint,
)

CLASSES = ("car", "bus", "truck")


def truth(boxes, labels=None, crowd=(), unscored=(), regions=()):
    boxes = np.array(boxes, float).reshape(-1, 4)
    marks = np.zeros((2, len(boxes)), bool)
    marks[0, list(crowd)] = True
    marks[1, list(unscored)] = True
    labels = np.zeros(len(boxes), int) if labels is None else np.array(labels, int)
    return ImageTruth(boxes, labels, *marks, np.array(regions, float).reshape(-1, 4))


def found(boxes, scores, labels=None):
    boxes = np.array(boxes, float).reshape(-1, 4)
    return ImageDetections(
        boxes, np.array(scores, float), np.zeros(len(boxes), int) if labels is None else np.array(labels, int)
    )


def random_scene(rng, objects=12, false_ones=8):
    """Boxes of all sizes, most detected with noise, some twice, with crowds, ignored regions and false detections."""
    corner, size = rng.integers(0, 300, (objects, 2)), rng.integers(6, 140, (objects, 2))
    boxes = np.hstack([corner, corner + size]).astype(float)
    labels = rng.integers(0, len(CLASSES), objects)
    seen = np.flatnonzero(rng.random(objects) < 0.8)
    seen = np.concatenate([seen, rng.permutation(seen)[:3]])
    noisy = boxes[seen] + rng.normal(0, 0.06, (len(seen), 4)) * np.tile(size[seen], 2)
    noisy[:, 2:] = np.maximum(noisy[:, 2:], noisy[:, :2] + 1)
    other = rng.integers(0, 300, (false_ones, 2)).astype(float)
    every = np.vstack([noisy, np.hstack([other, other + rng.integers(6, 140, (false_ones, 2))])])
    every_label = np.concatenate([labels[seen], rng.integers(0, len(CLASSES), false_ones)])
    crowd = np.flatnonzero(rng.random(objects) < 0.15)
    unscored = np.flatnonzero(rng.random(objects) < 0.1)
    regions = [[0, 0, 90, 90], [60, 60, 150, 130]] if rng.random() < 0.6 else []
    return truth(boxes, labels, crowd, unscored, regions), found(every, rng.random(len(every)).round(2), every_label)


def coco_evaluation(truths, detections, limits, package="pycocotools"):
    """Accumulated results of pycocotools or a package with its interface; the last axes are (class, size, limit)."""
    is_faster = package == "faster_coco_eval"
    coco = pytest.importorskip(package if is_faster else "pycocotools.coco")
    cocoeval = pytest.importorskip(package if is_faster else "pycocotools.cocoeval")
    annotations, results = [], []
    for image_id, (true, seen) in enumerate(zip(truths, detections, strict=True), start=1):
        for (x0, y0, x1, y1), label, crowd in zip(true.boxes, true.labels, true.crowd, strict=True):
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image_id, "category_id": int(label) + 1, "iscrowd": int(crowd)}
                | {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0)}
            )
        for (x0, y0, x1, y1), score, label in zip(seen.boxes, seen.scores, seen.labels, strict=True):
            results.append({"image_id": image_id, "category_id": int(label) + 1, "score": float(score)})
            results[-1]["bbox"] = [x0, y0, x1 - x0, y1 - y0]
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = coco.COCO()
        dataset.dataset = {
            "images": [{"id": index + 1} for index in range(len(truths))],
            "annotations": annotations,
            "categories": [{"id": index + 1} for index in range(len(CLASSES))],
        }
        dataset.createIndex()
        evaluator = cocoeval.COCOeval_faster if is_faster else cocoeval.COCOeval
        evaluation = evaluator(dataset, dataset.loadRes(results), "bbox")
        evaluation.params.maxDets = list(limits)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval


def mean_of_valid(values):
    return values[values > -1].mean() if (values > -1).any() else None


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("name", "strict", "wide"), [("coco", 100, 100), ("coco-500", 500, 500), ("yolc-release", 100, 1000)]
)
@pytest.mark.parametrize("package", ["pycocotools", "faster_coco_eval"])
def test_the_coco_protocols_equal_pycocotools(name, strict, wide, seed, package):
    rng = np.random.default_rng(seed)
    # More than 100 detections of a class in one image, so that the limits matter.
    scenes = [random_scene(rng) for _ in range(8)] + [random_scene(rng, 400, 300)]
    truths, detections = zip(*scenes, strict=True)
    scores = score_detections(truths, detections, CLASSES, PROTOCOLS[name])
    expected = coco_evaluation(truths, detections, sorted({strict, wide}), package)
    few, many = expected["precision"][..., 0], expected["precision"][..., -1]
    figures = (few[:, :, :, 0], many[0, :, :, 0], many[5, :, :, 0])
    assert (scores.ap, scores.ap50, scores.ap75) == pytest.approx(tuple(map(mean_of_valid, figures)), abs=1e-9)
    for index, size in enumerate(("small", "medium", "large"), start=1):
        assert scores.by_size[size] == pytest.approx(mean_of_valid(many[:, :, :, index]), abs=1e-9)
    for label, name_of_class in enumerate(CLASSES):
        assert scores.by_class[name_of_class].ap50 == pytest.approx(mean_of_valid(many[0, :, label, 0]), abs=1e-9)


@pytest.mark.parametrize("name", ["coco", "coco-500", "yolc-release"])
def test_recalls_equal_those_of_pycocotools(name):
    rng = np.random.default_rng(7)
    scenes = [random_scene(rng) for _ in range(4)] + [random_scene(rng, 400, 300)]
    truths, detections = zip(*scenes, strict=True)
    limits = PROTOCOLS[name].recall_limits
    recall = score_detections(truths, detections, CLASSES, PROTOCOLS[name]).recall
    expected = coco_evaluation(truths, detections, limits)["recall"]
    assert list(recall) == [str(limit) for limit in limits]
    for index, limit in enumerate(limits):
        assert recall[str(limit)] == pytest.approx(mean_of_valid(expected[:, :, 0, index]), abs=1e-9)


# --- VisDrone's rules, implemented slowly ------------------------------------------------------------------------


def overlap(a, b):
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def share_in_regions(box, regions, side=600):
    """Share of a box in the union of the regions, pixel by pixel as VisDrone's toolkit counts (pixels from 1)."""
    is_ignored = np.zeros((side, side), bool)
    for x0, y0, x1, y1 in regions:
        left, top, width, height = (max(1, int(value)) for value in (x0, y0, x1 - x0, y1 - y0))
        for x in range(left, left + width + 1):
            is_ignored[top : top + height + 1, x] = True
    x, y, width, height = (max(1, int(value + 0.5)) for value in (*box[:2], box[2] - box[0], box[3] - box[1]))
    covered = sum(is_ignored[v, u] for u in range(x + 1, x + width + 1) for v in range(y + 1, y + height + 1))
    return covered / (width * height)


def slow_visdrone(truths, detections):
    """AP at each IoU, (10,).

    Objects with score 0 are matched like ignored regions, but count as objects and in the weight of their class.
    """
    scenes, weights = [], dict.fromkeys(range(len(CLASSES)), 0)
    for true, seen in zip(truths, detections, strict=True):
        objects = [
            (tuple(box), int(label), bool(crowd or unscored), not crowd)
            for box, label, crowd, unscored in zip(true.boxes, true.labels, true.crowd, true.unscored, strict=True)
            if share_in_regions(box, true.regions) < 0.5
        ]
        everything = [
            (float(score), tuple(box), int(label))
            for box, score, label in zip(seen.boxes, seen.scores, seen.labels, strict=True)
            if share_in_regions(box, true.regions) < 0.5
        ]
        everything = sorted(everything, key=lambda each: -each[0])[:500]
        scenes.append((objects, everything))
        for label in {label for _, label, _, counted in objects if counted}:
            weights[label] += 1
    result = []
    for min_iou in np.linspace(0.5, 0.95, 10):
        values = {label: slow_class(scenes, label, min_iou) for label in weights if weights[label]}
        result.append(sum(values[label] * weights[label] for label in values) / sum(weights.values()))
    return result


def slow_class(scenes, label, min_iou):
    verdicts, count = [], 0
    for objects, everything in scenes:
        free = [box for box, of, ignored, _ in objects if of == label and not ignored]
        ignored_ones = [box for box, of, ignored, _ in objects if of == label and ignored]
        count += sum(of == label and counted for _, of, _, counted in objects)
        for score, box, of in everything:
            if of != label:
                continue
            ious = [overlap(box, other) / (area(box) + area(other) - overlap(box, other)) for other in free]
            if ious and max(ious) >= min_iou:
                free.pop(len(ious) - 1 - ious[::-1].index(max(ious)))
                verdicts.append((score, True))
            elif not any(overlap(box, other) / area(box) >= min_iou for other in ignored_ones):
                verdicts.append((score, False))
    verdicts.sort(key=lambda each: -each[0])
    curve, hits = [], 0
    for number, (_, is_hit) in enumerate(verdicts, start=1):
        hits += is_hit
        curve.append((hits / count, hits / number))
    total, last = 0.0, 0.0
    for index, (recall, _) in enumerate(curve):
        total += (recall - last) * max(precision for _, precision in curve[index:])
        last = recall
    return total


@pytest.mark.parametrize("seed", range(5))
def test_official_visdrone_equals_a_slow_implementation(seed):
    rng = np.random.default_rng(seed)
    scenes = [random_scene(rng) for _ in range(5)]
    truths, detections = zip(*scenes, strict=True)
    slow = slow_visdrone(truths, detections)
    scores = score_detections(truths, detections, CLASSES, PROTOCOLS["official-visdrone"])
    assert (scores.ap, scores.ap50, scores.ap75) == pytest.approx((np.mean(slow), slow[0], slow[5]), abs=1e-9)


class TestVisDroneByHand:
    def score(self, truths, detections):
        return score_detections(truths, detections, CLASSES, PROTOCOLS["official-visdrone"])

    def test_classes_are_weighted_by_their_images(self):
        # Cars: in three images, all found. Buses: in one, not found.
        box = [10, 10, 50, 50]
        truths = [truth([box]), truth([box]), truth([box, [60, 60, 90, 90]], [0, 1])]
        detections = [found([box], [0.9])] * 3
        assert self.score(truths, detections).ap == pytest.approx(3 / 4)
        unweighted = score_detections(truths, detections, CLASSES, PROTOCOLS["coco"])
        assert unweighted.ap == pytest.approx(1 / 2)

    def test_the_area_over_all_points_differs_from_101_recalls(self):
        # One of three objects is found: an area of 1/3, but 34 of 101 recalls.
        boxes = [[0, 0, 20, 20], [40, 0, 60, 20], [80, 0, 100, 20]]
        truths, detections = [truth(boxes)], [found(boxes[:1], [0.9])]
        assert self.score(truths, detections).ap == pytest.approx(1 / 3)
        assert score_detections(truths, detections, CLASSES, PROTOCOLS["coco"]).ap == pytest.approx(34 / 101)

    def test_the_limit_of_500_holds_for_all_classes_of_an_image(self):
        box = [10.0, 10, 50, 50]
        crowd = [[100.0, 100, 120, 120]] * 500
        detections = [found([*crowd, box], [0.5] * 500 + [0.4], [1] * 500 + [0])]
        assert self.score([truth([box])], detections).ap == 0
        detections = [found([*crowd, box], [0.5] * 500 + [0.6], [1] * 500 + [0])]
        assert self.score([truth([box])], detections).ap == 1

    def test_boxes_in_ignored_regions_are_dropped(self):
        # A false detection and a missed object; two regions together cover half of each.
        regions = [[1, 1, 21, 61], [11, 1, 31, 61]]
        truths = [truth([[1, 1, 61, 61], [100, 100, 140, 140]], regions=regions)]
        detections = [found([[1, 11, 61, 51], [100, 100, 140, 140]], [0.9, 0.8])]
        assert self.score(truths, detections).ap == 1
        smaller = [truth([[1, 1, 61, 61], [100, 100, 140, 140]], regions=[[1, 1, 30, 61]])]
        assert self.score(smaller, detections).ap < 1

    @pytest.mark.parametrize(("region", "is_dropped"), [((16, 1, 60, 60), True), ((1, 1, 14, 60), False)])
    def test_regions_have_one_more_pixel_at_the_left(self, region, is_dropped):
        # Both regions cover 4 of 10 columns of the box; the toolkit counts 5 of the first one.
        kept, _ = drop_ignored(truth([[10, 10, 20, 20]], regions=[region]), found([], []))
        assert len(kept.boxes) == 1 - is_dropped

    @pytest.mark.parametrize("seed", range(4))
    def test_small_boxes_at_the_borders_of_regions_are_dropped_as_the_toolkit_drops_them(self, seed):
        rng = np.random.default_rng(seed)
        regions = [[0, 0, 40, 30], [35, 20, 60, 90], [80, 80, 120, 110]]
        near = np.array(regions)[rng.integers(0, 3, 400)][:, rng.permutation(4)[:2]] + rng.integers(-12, 13, (400, 2))
        boxes = np.hstack([near.clip(0), near.clip(0) + rng.integers(1, 14, (400, 2))]).astype(float)
        noisy = boxes + rng.uniform(0, 0.9, (400, 4)) * [1, 1, 2, 2]
        kept = drop_ignored(truth(boxes, regions=regions), found(noisy, rng.random(400)))
        for each, every in zip(kept, (boxes, noisy), strict=True):
            expected = np.array([box for box in every if share_in_regions(box, regions) < 0.5])
            assert 50 < len(expected) < 380
            np.testing.assert_array_equal(each.boxes, expected)

    def test_objects_with_score_0_are_never_found_and_count_in_recall_and_weights(self):
        box, other = [10, 10, 50, 50], [100, 100, 140, 140]
        for detections in ([found([box], [0.5])], [found([box, other], [0.5, 0.9])]):
            scores = self.score([truth([box, other], unscored=[1])], detections)
            assert (scores.ap, scores.recall["500"]) == (0.5, 0.5)
            assert (scores.operating.hits, scores.operating.false, scores.operating.missed) == (1, 0, 0)
            # pycocotools has no such marks.
            scores = score_detections([truth([box, other], unscored=[1])], detections, CLASSES, PROTOCOLS["coco"])
            assert (scores.ap == 1) == (len(detections[0].boxes) == 2)
        # Buses: one with score 0 alone. Their AP is 0, and they weigh as much as the cars.
        alone = self.score([truth([box, other], [0, 1], unscored=[1])], [found([box], [0.5])])
        assert alone.ap == 0.5


def test_ap_is_none_without_objects_and_zero_without_detections():
    for protocol in PROTOCOLS.values():
        nothing = score_detections([truth([])], [found([], [])], CLASSES, protocol)
        assert nothing.ap is None
        assert nothing.by_class == {}
        assert score_detections([truth([[0, 0, 9, 9]])], [found([], [])], CLASSES, protocol).ap50 == 0


@settings(deadline=None, max_examples=60)
@given(corners=npst.arrays(int, st.tuples(st.integers(0, 5), st.just(4)), elements=st.integers(0, 12)))
def test_disjoint_boxes_cover_the_same_pixels_once(corners):
    boxes = np.column_stack([corners[:, :2], corners[:, :2] + corners[:, 2:] + 1]).astype(float)
    expected, counted = np.zeros((26, 26), int), np.zeros((26, 26), int)
    for x0, y0, x1, y1 in boxes.astype(int):
        expected[y0:y1, x0:x1] = 1
    for x0, y0, x1, y1 in split_disjoint(boxes).astype(int):
        counted[y0:y1, x0:x1] += 1
    assert np.array_equal(counted, expected)


def test_without_regions_nothing_is_dropped():
    true, seen = random_scene(np.random.default_rng(0))
    kept_truth, kept = drop_ignored(replace(true, regions=np.zeros((0, 4))), seen)
    assert (len(kept_truth.boxes), len(kept.boxes)) == (len(true.boxes), len(seen.boxes))


# --- UAVDT's rules, implemented slowly ---------------------------------------------------------------------------


def slow_uavdt(truths, detections, min_iou):
    """AP of all vehicles as one class, as the toolkit: detections strictly inside an ignored region are dropped."""
    scenes = []
    for true, seen in zip(truths, detections, strict=True):
        objects = [(tuple(box), 0, bool(crowd), not crowd) for box, crowd in zip(true.boxes, true.crowd, strict=True)]
        everything = [
            (float(score), tuple(box), 0)
            for box, score in zip(seen.boxes, seen.scores, strict=True)
            if not any(r[0] < box[0] and r[1] < box[1] and box[2] < r[2] and box[3] < r[3] for r in true.regions)
        ]
        scenes.append((objects, sorted(everything, key=lambda each: -each[0])))
    return slow_class(scenes, 0, min_iou)


@pytest.mark.parametrize("seed", range(5))
def test_uavdt_equals_a_slow_implementation(seed):
    rng = np.random.default_rng(seed)
    truths, detections = zip(*(random_scene(rng) for _ in range(5)), strict=True)
    scores = score_detections(truths, detections, CLASSES, PROTOCOLS["uavdt"])
    expected = [slow_uavdt(truths, detections, iou) for iou in (0.7, 0.5, 0.75)]
    assert (scores.ap, scores.ap50, scores.ap75) == pytest.approx(tuple(expected), abs=1e-9)


class TestUavdtByHand:
    BOX = (10, 10, 50, 50)

    def score(self, truths, detections):
        return score_detections(truths, detections, CLASSES, PROTOCOLS["uavdt"])

    def test_the_class_matters_only_for_the_scores_of_single_classes(self):
        scores = self.score([truth([self.BOX], [0])], [found([self.BOX], [0.9], [1])])
        assert scores.ap == 1
        assert scores.by_class["car"].ap == 0

    def test_an_overlap_of_0_7_is_needed(self):
        for height, expected in ((28, 1), (27, 0)):
            seen = [found([[10, 10, 50, 10 + height]], [0.9])]
            assert self.score([truth([self.BOX])], seen).ap == expected
            assert self.score([truth([self.BOX])], seen).ap50 == 1

    def test_detections_inside_an_ignored_region_are_dropped_and_objects_are_not(self):
        seen = [found([self.BOX, [60, 60, 80, 80]], [0.5, 0.9])]
        assert self.score([truth([self.BOX], regions=[[55, 55, 90, 90]])], seen).ap == 1
        assert self.score([truth([self.BOX], regions=[[60, 55, 90, 90]])], seen).ap == 0.5  # touches its border
        assert self.score([truth([self.BOX], regions=[[0, 0, 90, 90]])], seen).ap == 0


# --- curves and counts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["official-visdrone", "coco-500"])
def test_the_curve_encloses_the_average_precision(protocol):
    rng = np.random.default_rng(3)
    truths, detections = zip(*(random_scene(rng) for _ in range(6)), strict=True)
    for scores in score_detections(truths, detections, CLASSES, PROTOCOLS[protocol]).by_class.values():
        recall, precision = np.array(scores.curve.recall), np.array(scores.curve.precision)
        assert np.all(np.diff(recall) > 0)
        assert np.all(np.diff(scores.curve.score) <= 0)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        if protocol == "official-visdrone":
            area = np.sum(envelope * np.diff(recall, prepend=0))
        else:
            area = np.mean([envelope[recall >= each - 1e-6].max(initial=0) for each in np.linspace(0, 1, 101)])
        assert area == pytest.approx(scores.ap50, abs=1e-4)


def test_long_curves_are_thinned_and_keep_their_ends():
    count = 5 * CURVE_POINTS
    boxes = np.array([[20 * i, 0, 20 * i + 10, 10] for i in range(count)])
    score = np.linspace(0.9, 0.1, count)
    curve = (
        score_detections(
            [truth(boxes[: count // 2]), truth(boxes[count // 2 :])],
            [found(boxes[: count // 2], score[: count // 2]), found(boxes[count // 2 :], score[count // 2 :])],
            CLASSES,
            PROTOCOLS["yolc-release"],
        )
        .by_class["car"]
        .curve
    )
    assert len(curve.recall) == CURVE_POINTS
    assert (curve.recall[0], curve.recall[-1]) == pytest.approx((1 / count, 1), abs=1e-6)
    assert (curve.score[0], curve.score[-1]) == pytest.approx((0.9, 0.1))


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.8])
def test_counts_at_a_threshold_are_those_of_the_detections_above_it(threshold):
    rng = np.random.default_rng(5)
    truths, detections = zip(*(random_scene(rng) for _ in range(6)), strict=True)
    protocol = PROTOCOLS["coco-500"]
    whole = score_detections(truths, detections, CLASSES, protocol, threshold, "abcdef")
    cut = [seen.select(seen.scores >= threshold) for seen in detections]
    evaluation = coco_evaluation(truths, cut, [500])
    for label, name in enumerate(CLASSES):
        point = whole.by_class[name].operating
        assert point.recall == pytest.approx(evaluation["recall"][0, label, 0, 0])
        assert point.hits + point.missed == whole.by_class[name].objects
        assert point.precision == pytest.approx(point.hits / (point.hits + point.false))
    total = whole.operating
    for part in ("hits", "false", "missed"):
        assert getattr(total, part) == sum(getattr(each.operating, part) for each in whole.by_class.values())
        assert getattr(total, part) == sum(getattr(each, part) for each in whole.by_image)
    assert total.f1 == pytest.approx(2 / (1 / total.precision + 1 / total.recall))
    assert [each.name for each in whole.by_image] == list("abcdef")


@pytest.mark.slow
def test_the_best_operating_point_has_the_highest_f1_of_all_thresholds():
    rng = np.random.default_rng(6)
    truths, detections = zip(*(random_scene(rng) for _ in range(6)), strict=True)
    scores = score_detections(truths, detections, CLASSES, PROTOCOLS["coco-500"])
    every = [
        score_detections(truths, detections, CLASSES, PROTOCOLS["coco-500"], score)
        for score in np.unique(np.concatenate([each.scores for each in detections]))
    ]
    assert scores.best.f1 == pytest.approx(max(each.operating.f1 for each in every))
    assert scores.by_class["car"].best.f1 == pytest.approx(max(each.by_class["car"].operating.f1 for each in every))


def test_operating_points_over_the_score_and_reliability_are_those_of_the_counts():
    """Two cars are found with .9 and .62, a third is missed, and .62 and .3 are wrong."""
    true = truth([[0, 0, 20, 20], [100, 0, 120, 20], [200, 0, 220, 20]])
    boxes = [[0, 0, 20, 20], [100, 0, 120, 20], [50, 50, 60, 60], [70, 70, 90, 90]]
    scores = score_detections([true], [found(boxes, [0.9, 0.62, 0.62, 0.3])], ["car"], PROTOCOLS["coco-500"], 0.5)
    by_score = {point.score: (point.hits, point.false, point.missed) for point in scores.by_score}
    assert by_score[0.05] == by_score[0.3] == (2, 2, 1)
    assert by_score[0.5] == by_score[0.6] == (2, 1, 1)
    assert by_score[0.65] == (1, 0, 2)
    assert by_score[0.95] == (0, 0, 3)
    assert by_score[0.5] == (scores.operating.hits, scores.operating.false, scores.operating.missed)
    assert scores.reliability.error == pytest.approx((2 * abs(0.62 - 0.5) + abs(0.9 - 1)) / 3)
    assert [each.count for each in scores.reliability.bins] == [2, 1]
