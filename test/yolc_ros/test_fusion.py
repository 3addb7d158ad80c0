"""Joining the looks: every object exactly once, wherever it lies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolc_ros.clusters import Region
from yolc_ros.decoding import ScoredBoxes
from yolc_ros.fusion import Fused, fuse, inner_distance

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
    """What a perfect detector finds in a crop: the visible parts, here displaced by `shift` pixels."""
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


def look(objects: list[Box], regions: list[Region], coarse_score: float = 0.6, shift: float = 0.0) -> Fused:
    refined = [scored(seen_in(region, objects, shift), 0.8) for region in regions]
    return fuse(scored(objects, coarse_score), refined, regions, SIZE, nms_iou=0.5)


def test_an_object_in_the_middle_of_a_region_is_the_refined_one():
    fused = look([(400, 300, 450, 340)], [MIDDLE])
    assert fused.found.scores.tolist() == [pytest.approx(0.8)]
    assert fused.regions.tolist() == [0]


def test_an_object_outside_of_all_regions_is_the_coarse_one():
    fused = look([(100, 650, 150, 700)], [MIDDLE, CORNER])
    assert fused.found.boxes.tolist() == [[100, 650, 150, 700]]
    assert fused.regions.tolist() == [-1]


@pytest.mark.parametrize("share_inside", [0.1, 0.4, 0.6, 0.95])
def test_an_object_across_one_edge_is_whole_and_once(share_inside):
    left = 700 - 60 * share_inside
    box = (left, 300.0, left + 60, 340.0)
    fused = look([box], [MIDDLE])
    np.testing.assert_allclose(fused.found.boxes, [box], rtol=1e-6)
    assert fused.regions.tolist() == [-1]


@pytest.mark.parametrize("coarse_score", [0.5, 0.9])
@pytest.mark.parametrize("other", [TOUCHING, OVERLAPPING])
def test_an_object_across_two_regions_is_there_once(other, coarse_score):
    """Cut by both touching regions; whole in the overlapping one."""
    box = (670.0, 400.0, 740.0, 450.0)
    fused = look([box], [MIDDLE, other], coarse_score)
    np.testing.assert_allclose(fused.found.boxes, [box], rtol=1e-6)
    assert fused.regions.tolist() == ([1] if other is OVERLAPPING else [-1])


def test_an_object_in_the_overlap_of_two_regions_is_there_once():
    fused = look([(630, 400, 670, 440)], [MIDDLE, OVERLAPPING])
    assert len(fused.found) == 1


def test_an_object_larger_than_its_region_is_the_coarse_one():
    box = (250.0, 150.0, 760.0, 640.0)
    fused = look([box], [MIDDLE])
    assert fused.found.boxes.tolist() == [list(box)]


@pytest.mark.parametrize("box", [(0, 0, 40, 30), (0, 60, 30, 100), (5, 1, 60, 50)])
def test_at_the_image_border_nothing_is_cut(box):
    """The region's outer sides are the image's: an object that touches them is as whole as it gets."""
    fused = look([box], [CORNER])
    assert fused.regions.tolist() == [0]
    assert fused.found.boxes.tolist() == [list(box)]


def test_an_object_across_an_inner_edge_of_a_corner_region_is_coarse():
    fused = look([(180, 20, 240, 60)], [CORNER])
    assert fused.found.boxes.tolist() == [[180, 20, 240, 60]]


def test_a_cut_object_is_dropped_even_where_it_looks_like_another_class():
    """Half a truck may look like a van."""
    coarse, refined = scored([(600, 300, 800, 360)], 0.5, [5]), [scored([(600, 300, 700, 360)], 0.9, [4])]
    fused = fuse(coarse, refined, [MIDDLE], SIZE, nms_iou=0.5)
    assert fused.found.labels.tolist() == [5]


@pytest.mark.parametrize("coarse_score", [0.5, 0.9])
def test_near_the_border_a_coarse_box_yields_to_an_equal_refined_one(coarse_score):
    """A few pixels from the border both may speak; they agree (IoU 0.78) less than suppression asks for."""
    coarse, refined = scored([(655, 300, 695, 330)], coarse_score), [scored([(660, 302, 697, 330)], 0.8)]
    fused = fuse(coarse, refined, [MIDDLE], SIZE, nms_iou=0.9)
    assert fused.regions.tolist() == [0]


def test_a_piece_that_ends_just_short_of_the_border_yields_to_the_whole():
    """The refined look has drawn the visible part of a cut object a little too small, so it does not touch."""
    coarse = scored([(650, 300, 730, 340)], 0.5)
    refined = [scored([(651, 301, 695, 339)], 0.9)]
    fused = fuse(coarse, refined, [MIDDLE], SIZE, nms_iou=0.5)
    assert fused.found.boxes.tolist() == [[650, 300, 730, 340]]


def test_a_piece_yields_to_the_look_of_a_region_that_has_it_whole():
    box = (650.0, 400.0, 730.0, 440.0)
    refined = [scored([(651, 401, 695, 439)], 0.9), scored([box], 0.8)]
    fused = fuse(scored([box], 0.5), refined, [MIDDLE, OVERLAPPING], SIZE, nms_iou=0.9)
    assert fused.found.boxes.tolist() == [list(box)]
    assert fused.regions.tolist() == [1]


def test_a_small_object_well_inside_stays_beside_a_large_one_across_the_border():
    large, small = (350.0, 300.0, 800.0, 500.0), (400.0, 350.0, 430.0, 370.0)
    fused = look([large, small], [MIDDLE])
    assert sorted(fused.found.boxes.tolist()) == [list(large), list(small)]


def test_what_the_second_look_denies_is_gone():
    fused = fuse(scored([(400, 300, 450, 340)], 0.6), [scored([], 0.8)], [MIDDLE], SIZE, nms_iou=0.5)
    assert len(fused.found) == 0
    assert fused.found.boxes.shape == (0, 4)
    assert fused.regions.shape == (0,)


def test_without_regions_the_coarse_boxes_come_back_best_first():
    coarse = ScoredBoxes(
        np.array([[0, 0, 10, 10], [50, 50, 70, 70]], np.float32), np.array([0.3, 0.7], np.float32), np.array([1, 0])
    )
    fused = fuse(coarse, [], [], SIZE, nms_iou=0.5)
    assert fused.found.scores.tolist() == [pytest.approx(0.7), pytest.approx(0.3)]
    assert fused.regions.tolist() == [-1, -1]


def test_classes_are_told_apart():
    """A person on a motorcycle: two boxes at one place, at the border of a region."""
    box = (600.0, 300.0, 695.0, 340.0)
    coarse = scored([box, box], 0.6, [1, 9])
    refined = [scored([box, box], 0.8, [1, 9])]
    fused = fuse(coarse, refined, [MIDDLE], SIZE, nms_iou=0.5)
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
@given(scene=scenes(), coarse_score=st.sampled_from([0.5, 0.9]), shift=st.sampled_from([-1.0, 0.0, 1.0]))
def test_every_object_of_a_random_scene_is_found_exactly_once(scene, coarse_score, shift):
    """The coarse look is exact, the refined ones see what the crop shows, a pixel beside."""
    objects, regions = scene
    fused = look(objects, regions, coarse_score, shift)
    assert len(fused.found) == len(objects)
    for box in objects:
        distance = np.abs(fused.found.boxes - np.array(box)).max(axis=1)
        assert (distance <= 1.01).sum() == 1
