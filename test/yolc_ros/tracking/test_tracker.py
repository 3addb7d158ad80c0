"""Ids over simulated images: objects on a plane, a camera that moves and turns, missed and false detections."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_common.errors import InputError
from yolc_ros.boxes import ScoredBoxes
from yolc_ros.tracking.tracker import ImageInput, Tracker, TrackingSettings
from yolc_ros.tracking.tracks import TrackStatus

SIZE = (1280, 720)
STEP_NS = 200_000_000


def boxes_at(centres, sides=(24.0, 14.0), scores=0.8, labels=0):
    centres = np.asarray(centres, np.float64).reshape(-1, 2)
    half = np.asarray(sides) / 2
    count = len(centres)
    return ScoredBoxes(
        np.concatenate([centres - half, centres + half], axis=1),
        np.full(count, scores, np.float64),
        np.full(count, labels, np.int64),
    )


def shift(x, y, turn=0.0):
    """A camera motion: a turn about the middle of the image, radians, and a shift, pixels."""
    c, s = np.cos(turn), np.sin(turn)
    to_middle = np.array([[1.0, 0.0, -640.0], [0.0, 1.0, -360.0], [0.0, 0.0, 1.0]])
    back = np.array([[1.0, 0.0, 640.0 + x], [0.0, 1.0, 360.0 + y], [0.0, 0.0, 1.0]])
    return back @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) @ to_middle


def update(tracker, stamp_ns, found, size, homography=None):
    return tracker.update(ImageInput(stamp_ns, found, size, homography))


def carried(H, points):
    moved = np.column_stack([points, np.ones(len(points))]) @ H.T
    return moved[:, :2] / moved[:, 2:]


def test_a_parked_row_keeps_its_ids_while_the_camera_jumps_by_more_than_a_car():
    tracker, H = Tracker(3), shift(-31.0, 12.0, 0.05)
    centres = np.array([[400.0 + 30.0 * number, 300.0] for number in range(12)])
    first = update(tracker, 0, boxes_at(centres), SIZE)
    assert first.ids.tolist() == list(range(1, 13))
    for number in range(1, 6):
        centres = carried(H, centres)
        tracks = update(tracker, number * STEP_NS, boxes_at(centres), SIZE, H)
        assert tracks.ids[np.argsort(tracks.detections)].tolist() == list(range(1, 13))
    np.testing.assert_allclose(tracks.velocities, 0.0, atol=3.0)
    assert tracks.confirmed.all()
    assert (tracks.hits == 6).all()
    np.testing.assert_allclose(tracks.ages, 1.0)


def test_the_velocity_is_that_over_the_ground():
    tracker, H = Tracker(1), shift(20.0, 0.0)
    for number in range(12):
        centre = np.array([[200.0 + 20.0 * number + 8.0 * number, 300.0 - 4.0 * number]])  # camera and own motion
        tracks = update(tracker, number * STEP_NS, boxes_at(centre), SIZE, H if number else None)
    np.testing.assert_allclose(tracks.velocities, [[40.0, -20.0]], atol=3.0)


def test_a_hidden_object_is_lost_and_found_again():
    tracker = Tracker(1)
    nothing = boxes_at(np.zeros((0, 2)))
    statuses = []
    for number in range(10):
        centre = [[200.0 + 6.0 * number, 300.0]]
        seen = nothing if 4 <= number < 7 else boxes_at(centre)
        tracks = update(tracker, number * STEP_NS, seen, SIZE, np.eye(3))
        statuses.append(TrackStatus(tracks.statuses[0]))
        assert tracks.ids.tolist() == [1]
        if number in (4, 5, 6):
            assert tracks.detections.tolist() == [-1]
            np.testing.assert_allclose(tracks.boxes[0, :2], [200.0 + 6.0 * number - 12, 293.0], atol=4.0)
    new, tracked, found, lost = TrackStatus.NEW, TrackStatus.TRACKED, TrackStatus.FOUND_AGAIN, TrackStatus.LOST
    assert statuses == [new, tracked, tracked, tracked, lost, lost, lost, found, tracked, tracked]


def test_tracks_end_after_a_while_and_ids_are_not_used_again():
    tracker = Tracker(1, TrackingSettings(max_lost=1.0))
    for number in range(3):
        update(tracker, number * STEP_NS, boxes_at([[300.0, 300.0]]), SIZE, np.eye(3))
    nothing = boxes_at(np.zeros((0, 2)))
    kept = [len(update(tracker, number * STEP_NS, nothing, SIZE, np.eye(3))) for number in range(3, 10)]
    assert kept == [1, 1, 1, 1, 1, 0, 0]
    assert update(tracker, 2_000_000_000, boxes_at([[300.0, 300.0]]), SIZE, np.eye(3)).ids.tolist() == [2]
    tracker.forget()
    assert update(tracker, 0, boxes_at([[300.0, 300.0]]), SIZE).ids.tolist() == [3]


def test_a_weak_detection_continues_a_track_but_begins_none():
    tracker = Tracker(1, TrackingSettings(high_score=0.5))
    assert len(update(tracker, 0, boxes_at([[300.0, 300.0]], scores=0.35), SIZE)) == 0
    update(tracker, STEP_NS, boxes_at([[300.0, 300.0]]), SIZE, np.eye(3))
    tracks = update(tracker, 2 * STEP_NS, boxes_at([[301.0, 300.0]], scores=0.35), SIZE, np.eye(3))
    assert tracks.statuses.tolist() == [TrackStatus.TRACKED]
    assert tracks.scores.tolist() == [0.35]


def test_the_class_is_that_of_most_detections():
    tracker = Tracker(3)
    for number, label in enumerate((0, 2, 0, 0)):
        tracks = update(tracker, number * STEP_NS, boxes_at([[300.0, 300.0]], labels=label), SIZE, np.eye(3))
    assert tracks.ids.tolist() == [1]
    assert tracks.labels.tolist() == [0]


def test_a_stamp_that_is_not_later_begins_anew():
    tracker = Tracker(1)
    update(tracker, STEP_NS, boxes_at([[300.0, 300.0]]), SIZE)
    tracks = update(tracker, STEP_NS, boxes_at([[300.0, 300.0]]), SIZE, np.eye(3))
    assert tracks.ids.tolist() == [2]


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_detections_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    one, other, H = Tracker(2), Tracker(2), shift(5.0, 3.0, 0.02)
    centres = rng.uniform([100, 100], [1100, 600], (15, 2))
    for number in range(4):
        centres = carried(H, centres)
        seen = centres[rng.random(len(centres)) > 0.2]
        found = boxes_at(seen + rng.normal(size=seen.shape), scores=0.5)
        order = rng.permutation(len(seen))
        first = update(one, number * STEP_NS, found, SIZE, H)
        second = update(other, number * STEP_NS, found.select(order), SIZE, H)
        np.testing.assert_array_equal(first.ids, second.ids)
        np.testing.assert_array_equal(first.boxes, second.boxes)
        np.testing.assert_array_equal(first.detections, np.where(second.detections >= 0, order[second.detections], -1))


def test_bad_settings_are_refused():
    with pytest.raises(InputError, match="max_lost"):
        TrackingSettings(max_lost=0.0)
