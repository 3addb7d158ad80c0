"""What is published of tracks: the message, the trails of the markers, and the debug image."""

import numpy as np
import pytest
from std_msgs.msg import Header

from yolc_ros.detector import Detections
from yolc_ros.msg import Track
from yolc_ros.ros.messages import DEBUG_IMAGE, DETECTIONS, MARKERS, TRACKS, frame_messages
from yolc_ros.tracking.tracker import ImageInput, Tracker

SIZE = (320, 240)
STEP_NS = 200_000_000


def detections(*centres):
    places = np.array(centres, np.float32).reshape(-1, 2)
    half = np.array([12.0, 8.0], np.float32)
    boxes = np.hstack([places - half, places + half])
    count = len(places)
    labels = np.ones(count, np.int64)
    return Detections(boxes, np.full(count, 0.75, np.float32), labels, np.arange(count), (), ("car", "van"))


def published(found, tracks):
    picture = np.full((SIZE[1], SIZE[0], 3), 60, np.uint8)
    options = {"model": "yolc_lite", "trained": True, "seconds": 0.0, "wants": lambda topic: True}
    return dict(frame_messages(Header(frame_id="camera"), picture, found, tracks, **options))


@pytest.fixture(scope="module")
def third():
    """Detections and tracks of the third image: one object moves, one is lost, one is new."""
    tracker = Tracker(2)
    images = [
        detections((100, 100), (200, 60)),
        detections((106, 100), (200, 60)),
        detections((40, 200), (112, 100)),
    ]
    for number, found in enumerate(images):
        tracks = tracker.update(ImageInput(number * STEP_NS, found.scored, SIZE, np.eye(3)))
    return found, tracks


def test_every_field_of_a_track_is_told(third):
    message = published(*third)[TRACKS]
    lost, moving, new = message.tracks
    assert [each.track_id for each in message.tracks] == [1, 2, 3]
    assert [each.status for each in message.tracks] == [Track.LOST, Track.TRACKED, Track.NEW]
    assert [each.confirmed for each in message.tracks] == [True, True, False]
    assert [each.hits for each in message.tracks] == [2, 3, 1]
    assert [each.detection.region for each in message.tracks] == [-1, 1, 0]
    assert (moving.detection.class_name, moving.detection.class_id, moving.detection.score) == ("van", 1, 0.75)
    assert (moving.detection.center_x, moving.detection.center_y) == pytest.approx((112.0, 100.0), abs=1.0)
    assert (moving.velocity_x, moving.velocity_y) == pytest.approx((30.0, 0.0), abs=5.0)
    assert (moving.age, moving.unseen) == pytest.approx((0.4, 0.0))
    assert (lost.age, lost.unseen) == pytest.approx((0.4, 0.2))
    assert (new.age, new.velocity_x) == (0.0, 0.0)
    assert (message.header.frame_id, message.image_width, message.image_height) == ("camera", *SIZE)
    assert (message.camera_known, message.model, message.trained) == (True, "yolc_lite", True)


def test_tracks_come_before_the_detections_which_end_an_image(third):
    topics = list(published(*third))
    assert topics.index(TRACKS) + 1 == topics.index(DETECTIONS)
    assert TRACKS not in published(third[0], None)


def test_markers_end_with_the_trails_of_confirmed_tracks(third):
    points = published(*third)[MARKERS].points[8 * 2 :]
    lines = [((a.x, a.y), (b.x, b.y)) for a, b in zip(points[::2], points[1::2], strict=True)]
    assert len(lines) == 2 * 2  # two tracks, three places each
    assert lines[3][0] == pytest.approx((106.0, 100.0), abs=1.5)
    assert lines[3][1] == pytest.approx((112.0, 100.0), abs=1.5)


def test_the_debug_image_shows_tracks(third):
    found, tracks = third
    with_tracks, without = (
        np.frombuffer(bytes(published(found, each)[DEBUG_IMAGE].data), np.uint8).reshape(SIZE[1], SIZE[0], 3)
        for each in (tracks, None)
    )
    changed = (with_tracks != without).any(axis=2)
    assert changed[55:65, 185:215].any()  # the box of the lost one
    assert changed[99:101, 103:109].any()  # the trail
    assert not changed[190:235, 20:60].any()  # the new one is not confirmed
