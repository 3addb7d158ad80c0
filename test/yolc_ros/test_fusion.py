"""Fusion of the whole image and its crops: every object exactly once, wherever it lies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolc_ros.boxes import ScoredBoxes
from yolc_ros.clusters import Region
from yolc_ros.fusion import Fused, fuse, fuse_as_release, inner_distance

SIZE = (1000, 800)
MIDDLE = Region(300, 200, 700, 600, 1, 1.5)
TOUCHING = Region(700, 200, 900, 600, 1, 1.5)
OVERLAPPING = Region(600, 300, 950, 700, 1, 1.5)
CORNER = Region(0, 0, 200, 150, 1, 1.5)

Box = tuple[float, float, float, float]


def scored(boxes: list[Box], score: float, labels: list[int] | None = None) -> ScoredBoxes:
    count = len(boxes)
    return ScoredBoxes(
        np.array(boxes, np.float32).reshape(count, 4),
        np.full(count, score, np.float32),
        np.zeros(count, np.int64) if labels is None else np.array(labels, np.int64),
    )


def seen_in(region: Region, objects: list[Box], shift: float = 0.0) -> list[Box]:
    """Boxes of a perfect detector in a crop: the visible parts of the objects, displaced by `shift` pixels."""
    found = []
    for x0, y0, x1, y1 in objects:
        part = (max(x0, region.x0), max(y0, region.y0), min(x1, region.x1), min(y1, region.y1))
        if part[2] - part[0] > 3 and part[3] - part[1] > 3:
            moved = [value + shift for value in part]
            found.append(
                (
                    max(moved[0], region.x0),
                    max(moved[1], region.y0),
                    min(moved[2], region.x1),
                    min(moved[3], region.y1),
                )
            )
    return found


def fuse_passes(objects: list[Box], regions: list[Region], image_score: float = 0.6, shift: float = 0.0) -> Fused:
    of_crops = [scored(seen_in(region, objects, shift), 0.8) for region in regions]
    return fuse(scored(objects, image_score), of_crops, regions, SIZE, nms_iou=0.5)


def test_an_object_in_the_middle_of_a_region_is_taken_from_the_crop():
    fused = fuse_passes([(400, 300, 450, 340)], [MIDDLE])
    assert fused.found.scores.tolist() == [pytest.approx(0.8)]
    assert fused.region.tolist() == [0]


def test_an_object_outside_all_regions_is_taken_from_the_image():
    fused = fuse_passes([(100, 650, 150, 700)], [MIDDLE, CORNER])
    assert fused.found.boxes.tolist() == [[100, 650, 150, 700]]
    assert fused.region.tolist() == [-1]


@pytest.mark.parametrize("share_inside", [0.1, 0.4, 0.6, 0.95])
def test_an_object_across_one_border_is_found_once_and_whole(share_inside):
    left = 700 - 60 * share_inside
    box = (left, 300.0, left + 60, 340.0)
    fused = fuse_passes([box], [MIDDLE])
    np.testing.assert_allclose(fused.found.boxes, [box], rtol=1e-6)
    assert fused.region.tolist() == [-1]


@pytest.mark.parametrize("image_score", [0.5, 0.9])
@pytest.mark.parametrize("other", [TOUCHING, OVERLAPPING])
def test_an_object_across_two_regions_is_found_once(other, image_score):
    """Cut by both touching regions; whole in the overlapping one."""
    box = (670.0, 400.0, 740.0, 450.0)
    fused = fuse_passes([box], [MIDDLE, other], image_score)
    np.testing.assert_allclose(fused.found.boxes, [box], rtol=1e-6)
    assert fused.region.tolist() == ([1] if other is OVERLAPPING else [-1])


def test_an_object_in_the_overlap_of_two_regions_is_found_once():
    fused = fuse_passes([(630, 400, 670, 440)], [MIDDLE, OVERLAPPING])
    assert len(fused.found) == 1


def test_an_object_larger_than_its_region_is_taken_from_the_image():
    box = (250.0, 150.0, 760.0, 640.0)
    fused = fuse_passes([box], [MIDDLE])
    assert fused.found.boxes.tolist() == [list(box)]


@pytest.mark.parametrize("box", [(0, 0, 40, 30), (0, 60, 30, 100), (5, 1, 60, 50)])
def test_regions_cut_no_objects_at_the_image_border(box):
    """The outer sides of the region are those of the image, so an object that touches them is complete."""
    fused = fuse_passes([box], [CORNER])
    assert fused.region.tolist() == [0]
    assert fused.found.boxes.tolist() == [list(box)]


def test_an_object_across_an_inner_border_of_a_corner_region_is_taken_from_the_image():
    fused = fuse_passes([(180, 20, 240, 60)], [CORNER])
    assert fused.found.boxes.tolist() == [[180, 20, 240, 60]]


def test_a_cut_object_is_dropped_even_if_it_has_another_class():
    """The visible half of a truck may be detected as a van."""
    of_image, of_crops = scored([(600, 300, 800, 360)], 0.5, [5]), [scored([(600, 300, 700, 360)], 0.9, [4])]
    fused = fuse(of_image, of_crops, [MIDDLE], SIZE, nms_iou=0.5)
    assert fused.found.labels.tolist() == [5]


@pytest.mark.parametrize("image_score", [0.5, 0.9])
def test_near_the_border_a_crop_box_replaces_an_equal_image_box(image_score):
    """A few pixels from the border both boxes are kept by rules 1 and 2; their IoU (0.78) is below nms_iou."""
    of_image, of_crops = scored([(655, 300, 695, 330)], image_score), [scored([(660, 302, 697, 330)], 0.8)]
    fused = fuse(of_image, of_crops, [MIDDLE], SIZE, nms_iou=0.9)
    assert fused.region.tolist() == [0]


def test_a_piece_that_ends_just_before_the_border_is_dropped():
    """The crop box of a cut object is a little too small, so it does not touch the border."""
    of_image = scored([(650, 300, 730, 340)], 0.5)
    of_crops = [scored([(651, 301, 695, 339)], 0.9)]
    fused = fuse(of_image, of_crops, [MIDDLE], SIZE, nms_iou=0.5)
    assert fused.found.boxes.tolist() == [[650, 300, 730, 340]]


def test_a_piece_is_dropped_where_another_crop_shows_the_whole_object():
    box = (650.0, 400.0, 730.0, 440.0)
    of_crops = [scored([(651, 401, 695, 439)], 0.9), scored([box], 0.8)]
    fused = fuse(scored([box], 0.5), of_crops, [MIDDLE, OVERLAPPING], SIZE, nms_iou=0.9)
    assert fused.found.boxes.tolist() == [list(box)]
    assert fused.region.tolist() == [1]


def test_a_small_object_well_inside_is_kept_beside_a_large_one_across_the_border():
    large, small = (350.0, 300.0, 800.0, 500.0), (400.0, 350.0, 430.0, 370.0)
    fused = fuse_passes([large, small], [MIDDLE])
    assert sorted(fused.found.boxes.tolist()) == [list(large), list(small)]


def test_an_image_box_well_inside_is_dropped_if_the_crop_finds_nothing():
    fused = fuse(scored([(400, 300, 450, 340)], 0.6), [scored([], 0.8)], [MIDDLE], SIZE, nms_iou=0.5)
    assert len(fused.found) == 0
    assert fused.found.boxes.shape == (0, 4)
    assert fused.region.shape == (0,)


def test_without_regions_the_image_boxes_are_returned_best_first():
    of_image = ScoredBoxes(
        np.array([[0, 0, 10, 10], [50, 50, 70, 70]], np.float32), np.array([0.3, 0.7], np.float32), np.array([1, 0])
    )
    fused = fuse(of_image, [], [], SIZE, nms_iou=0.5)
    assert fused.found.scores.tolist() == [pytest.approx(0.7), pytest.approx(0.3)]
    assert fused.region.tolist() == [-1, -1]


def test_boxes_of_different_classes_do_not_suppress_each_other():
    """A person on a motorcycle: two boxes at one position, at the border of a region."""
    box = (600.0, 300.0, 695.0, 340.0)
    of_image = scored([box, box], 0.6, [1, 9])
    of_crops = [scored([box, box], 0.8, [1, 9])]
    fused = fuse(of_image, of_crops, [MIDDLE], SIZE, nms_iou=0.5)
    assert sorted(fused.found.labels.tolist()) == [1, 9]


def test_the_distance_from_inner_borders():
    boxes = np.array([[310, 230, 400, 300], [650, 300, 720, 340], [0, 0, 10, 10]], np.float32)
    assert inner_distance(boxes, MIDDLE, SIZE).tolist() == [10, -20, -300]
    assert inner_distance(np.array([[1, 2, 150, 100.0]]), CORNER, SIZE).tolist() == [50]
    whole = Region(0, 0, 1000, 800, 0, 1.5)
    assert inner_distance(boxes, whole, SIZE).tolist() == [np.inf] * 3


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Box], list[Region]]:
    """Objects on a grid, so that none overlaps another, and up to three regions anywhere."""
    slots = draw(st.lists(st.integers(0, 79), min_size=1, max_size=25, unique=True))
    objects = []
    for slot in slots:
        x, y = slot % 10 * 100, slot // 10 * 100
        w, h = draw(st.integers(8, 90)), draw(st.integers(8, 90))
        dx, dy = draw(st.integers(0, 100 - w)), draw(st.integers(0, 100 - h))
        objects.append((float(x + dx), float(y + dy), float(x + dx + w), float(y + dy + h)))
    regions = []
    for _ in range(draw(st.integers(0, 3))):
        x0, y0 = draw(st.integers(0, 800)), draw(st.integers(0, 600))
        x1, y1 = draw(st.integers(x0 + 100, 1000)), draw(st.integers(y0 + 100, 800))
        regions.append(Region(x0, y0, x1, y1, 0, 1.5))
    return objects, regions


@settings(deadline=None, max_examples=300)
@given(scene=scenes(), image_score=st.sampled_from([0.5, 0.9]), shift=st.sampled_from([-1.0, 0.0, 1.0]))
def test_every_object_of_a_random_scene_is_found_exactly_once(scene, image_score, shift):
    """The image boxes are exact; the crop boxes are the visible parts, displaced by up to one pixel."""
    objects, regions = scene
    fused = fuse_passes(objects, regions, image_score, shift)
    assert len(fused.found) == len(objects)
    for box in objects:
        distance = np.abs(fused.found.boxes - np.array(box)).max(axis=1)
        assert (distance <= 1.01).sum() == 1


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**31), nms=st.sampled_from([None, 0.5]))
def test_the_merge_of_the_release_equals_a_slow_implementation(seed: int, nms: float | None) -> None:
    """A whole-image box fully inside a region is dropped; the boxes of the crops are added; NMS only if asked for."""
    rng = np.random.default_rng(seed)
    regions = [MIDDLE, OVERLAPPING, CORNER]

    def random_boxes(count: int, low: tuple[int, int], high: tuple[int, int]) -> ScoredBoxes:
        corner = rng.integers(low, np.array(high) - 30, (count, 2))
        boxes = np.concatenate([corner, np.minimum(corner + rng.integers(10, 300, (count, 2)), high)], axis=1)
        return ScoredBoxes(boxes.astype(np.float32), rng.random(count).astype(np.float32), rng.integers(0, 2, count))

    of_image = random_boxes(40, (0, 0), SIZE)
    of_image.boxes[0] = (MIDDLE.x0, MIDDLE.y0, MIDDLE.x1, MIDDLE.y1)  # fills its region
    of_crops = [random_boxes(10, (r.x0, r.y0), (r.x1, r.y1)) for r in regions]

    kept = []
    for box, score, label in zip(of_image.boxes, of_image.scores, of_image.labels, strict=True):
        x0, y0, x1, y1 = box
        if not any(r.x0 <= x0 and r.y0 <= y0 and x1 <= r.x1 and y1 <= r.y1 for r in regions):
            kept.append((float(score), tuple(box), int(label), -1))
    for index, found in enumerate(of_crops):
        for box, score, label in zip(found.boxes, found.scores, found.labels, strict=True):
            kept.append((float(score), tuple(box), int(label), index))
    kept.sort(key=lambda each: -each[0])

    def iou(a: tuple, b: tuple) -> float:
        shared = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
        return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)

    expected: list = []
    for each in kept:
        if nms is None or not any(each[2] == other[2] and iou(each[1], other[1]) > nms for other in expected):
            expected.append(each)
    fused = fuse_as_release(of_image, of_crops, regions, nms)
    rows = zip(fused.found.scores, fused.found.boxes, fused.found.labels, fused.region, strict=True)
    assert [(float(score), tuple(box), int(label), int(region)) for score, box, label, region in rows] == expected
    assert len(expected) < 40 + 30


def test_the_merge_of_the_release_keeps_what_ours_drops() -> None:
    """An object on the border of a region: the whole box of the image, and the cut one of the crop."""
    whole, cut = (280, 300, 340, 340), (300, 300, 340, 340)
    of_image, of_crops = scored([whole], 0.6), [scored([cut], 0.8)]
    assert len(fuse(of_image, of_crops, [MIDDLE], SIZE, nms_iou=0.9).found) == 1
    assert len(fuse_as_release(of_image, of_crops, [MIDDLE], nms_iou=None).found) == 2
