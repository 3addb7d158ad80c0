"""Matches on traffic: flagged by detections, and without influence on the pose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_sim.classes import CLASS_NAMES
from loftr_ros.geometry.two_view.ambiguity import MotionPrior
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.relative_pose import Geometry, TwoViewSettings
from loftr_ros.sensors.dynamic import dynamic_matches, estimate_without_traffic, inside_any, moving_boxes
from loftr_ros.sensors.readings import DetectedObjects
from loftr_ros.sensors.settings import VEHICLES_AND_PEOPLE, DynamicSettings
from loftr_ros.sensors.suite import FrameReadings
from perception_common.geometry import pose_error
from perception_common.sensors.buffer import Aged

ONE_PIXEL = TwoViewSettings(threshold=1.0)


def detections(truth):
    boxes = truth.boxes.clearly_visible()
    names = tuple(CLASS_NAMES[k] for k in boxes.class_ids)
    xyxy = boxes.xyxy.astype(float)
    return DetectedObjects(0, truth.camera.width, truth.camera.height, xyxy, np.ones(len(boxes)), names)


def jammed(traffic, noise=0.4, standing=300, driving=200):
    """Pairs with 40 % of their matches on vehicles that drive in one direction."""
    for index, pair in enumerate(traffic):
        rng = np.random.default_rng(index)
        still, moving = pair.standing(rng, standing, noise), pair.driving(rng, driving, noise)
        if len(still[0]) == standing and len(moving[0]) == driving:
            order = rng.permutation(standing + driving)
            points = [np.concatenate(both)[order] for both in zip(still, moving, strict=True)]
            readings = [FrameReadings(0, objects=Aged(detections(truth), 0.0)) for truth in (pair.older, pair.newer)]
            yield pair, points, readings, order >= standing


def mean_errors(traffic, **choice):
    """Mean errors (rotation, direction, degrees) without and with `estimate_without_traffic`; a failure is 90."""
    errors = []
    for pair, points, readings, _ in jammed(traffic):
        known = {"prior": MotionPrior(down=pair.gravity())}
        cameras = pair.camera, pair.camera
        moving = dynamic_matches(*points, *cameras, *readings, DynamicSettings(**choice))
        poses = [
            estimate_relative_pose(*points, *cameras, ONE_PIXEL, **known),
            estimate_without_traffic(*points, *cameras, moving, ONE_PIXEL, **known),
        ]
        errors.append([pose_error(pose.matrix, pair.T) for pose in poses])
    assert len(errors) >= 8
    return np.nan_to_num(np.array(errors), nan=90.0).mean(axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("weight", [0.0, 0.2], ids=["masked", "down-weighted"])
def test_the_errors_from_40_percent_of_matches_on_traffic_are_more_than_halved(traffic, weight):
    plain, without = mean_errors(traffic, weight=weight)
    assert (without < 0.5 * plain).all(), (plain, without)
    assert without[1] < 1.0


@pytest.mark.slow
def test_moving_vehicles_are_flagged_and_most_other_matches_are_not(traffic):
    for pair, points, readings, driving in jammed(traffic):
        moving = dynamic_matches(*points, pair.camera, pair.camera, *readings)
        assert moving.reason == ""
        assert moving.flags[driving].mean() > 0.9
        assert moving.flags[~driving].mean() < 0.5  # parked vehicles are flagged too
        np.testing.assert_array_equal(moving.weights, np.where(moving.flags, 0.0, 1.0))


def test_flagged_matches_with_a_weight_are_used_where_the_others_are_too_few(flown):
    """With all matches flagged there is a pose only with a weight."""
    pair = flown[0]
    points = pair.standing(np.random.default_rng(0), 300, 0.3)
    size = pair.camera.width, pair.camera.height
    everywhere = DetectedObjects(0, *size, np.array([[0.0, 0.0, *size]]), np.ones(1), ("car",))
    readings = [FrameReadings(0, objects=Aged(everywhere, 0.0))] * 2
    poses = []
    for weight in (0.0, 0.2):
        moving = dynamic_matches(*points, size, size, *readings, DynamicSettings(weight=weight))
        assert moving.flags.all()
        poses.append(estimate_without_traffic(*points, pair.camera, pair.camera, moving, ONE_PIXEL))
    assert poses[0].geometry == Geometry.FAILED
    assert poses[1].geometry in (Geometry.GENERAL, Geometry.PLANAR)


CAR = DetectedObjects(
    0, 200, 100, np.array([[19.5, 9.5, 39.5, 19.5], [100, 50, 110, 60]]), np.array([0.9, 0.2]), ("car", "car")
)


def test_boxes_grow_by_a_margin_and_with_the_age_of_the_detections():
    plain = DynamicSettings(enlarge=0.0, margin=0.0, tolerance=1.0)
    (exact,), _ = moving_boxes(FrameReadings(0, objects=Aged(CAR, 0.0)), (200, 100), plain)
    np.testing.assert_allclose(exact, [19.5, 9.5, 39.5, 19.5])
    (twice,), _ = moving_boxes(FrameReadings(0, objects=Aged(CAR, 0.0)), (400, 200), plain)
    np.testing.assert_allclose(twice, [39.5, 19.5, 79.5, 39.5])  # (20, 10) to (40, 20) from the corner of the image
    larger = DynamicSettings(enlarge=0.1, margin=2.0, tolerance=1.0, speed=2.0)
    (grown,), _ = moving_boxes(FrameReadings(0, objects=Aged(CAR, 0.5)), (200, 100), larger)
    np.testing.assert_allclose(grown - exact, [-24, -23, 24, 23])  # 2 + 0.1 * (20, 10) + 2 * 0.5 * 20


@pytest.mark.parametrize(
    ("readings", "settings", "count", "reason"),
    [
        (FrameReadings(0), DynamicSettings(), 0, "no detections"),
        (FrameReadings(0, objects=Aged(CAR, 0.3)), DynamicSettings(), 0, "0.30 s away"),
        (FrameReadings(0, objects=Aged(CAR, 0.0)), DynamicSettings(), 1, ""),
        (FrameReadings(0, objects=Aged(CAR, 0.0)), DynamicSettings(score=0.1), 2, ""),
        (FrameReadings(0, objects=Aged(CAR, 0.0)), DynamicSettings(classes=("bus",)), 0, ""),
    ],
)
def test_which_detections_count_as_moving(readings, settings, count, reason):
    boxes, why = moving_boxes(readings, (200, 100), settings)
    assert boxes.shape == (count, 4)
    assert reason in why
    assert bool(why) == bool(reason)


def test_all_classes_of_visdrone_may_move():
    assert set(VEHICLES_AND_PEOPLE) == set(CLASS_NAMES)


@given(st.integers(0, 30), st.integers(0, 5), st.integers(0, 1000))
def test_inside_any_agrees_with_a_loop(count, boxes, seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 10, (count, 2))
    corners = np.sort(rng.uniform(0, 10, (boxes, 2, 2)), axis=1).reshape(boxes, 4)
    expected = [any(a <= x <= c and b <= y <= d for a, b, c, d in corners) for x, y in points]
    assert inside_any(points, corners).tolist() == expected
