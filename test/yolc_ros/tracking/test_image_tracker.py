"""The motion of the camera measured in images, and told by matches afterwards."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from yolc_ros.boxes import ScoredBoxes
from yolc_ros.tracking.camera_motion import CameraMotion, MatchedImages, ground_homography
from yolc_ros.tracking.image_tracker import ImageTracker
from yolc_ros.tracking.matches import matched_images
from yolc_ros.tracking.tracker import TrackingSettings
from yolc_ros.tracking.tracks import TrackStatus

WIDTH, HEIGHT = 640, 480
STEP_NS = 200_000_000


@pytest.fixture(scope="module")
def ground():
    """A texture of blobs, (H, W, 3) uint8."""
    rng = np.random.default_rng(1)
    noise = rng.random((1200, 3000, 1)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 3.0)
    scaled = np.clip((blurred - blurred.mean()) / blurred.std() * 50 + 128, 0, 255).astype(np.uint8)
    return np.repeat(scaled.reshape(1200, 3000, 1), 3, axis=2)


def view(ground, x, y, turn=0.0):
    """The image of a camera at (x, y), turned by radians, and the homography (3, 3) from the ground, pixel centres."""
    c, s = np.cos(turn), np.sin(turn)
    H = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1.0, 0, -x], [0, 1, -y], [0, 0, 1]])
    return cv2.warpPerspective(ground, H, (WIDTH, HEIGHT)), H


def boxes_at(points, H):
    """Boxes of 20 x 12 pixels around points of the ground, in pixels with centres at integers plus a half."""
    moved = np.column_stack([points, np.ones(len(points))]) @ H.T
    centres, half = moved[:, :2] / moved[:, 2:] + 0.5, np.array([10.0, 6.0])
    boxes = np.column_stack([centres - half, centres + half])
    return ScoredBoxes(boxes, np.full(len(points), 0.9), np.zeros(len(points), np.int64))


def test_the_flow_gives_the_motion_of_the_camera_to_a_fraction_of_a_pixel(ground):
    motion = CameraMotion()
    before, H0 = view(ground, 300.0, 200.0)
    after, H1 = view(ground, 325.5, 188.0, turn=0.06)
    cv2.rectangle(before, (300, 200), (380, 260), (255, 0, 0), -1)  # a large object that moves the other way
    cv2.rectangle(after, (330, 215), (410, 275), (255, 0, 0), -1)
    assert motion.update(before, np.zeros((0, 4))) is None
    found = motion.update(after, np.array([[300.0, 200.0, 381.0, 261.0]]))
    corners = np.array([[0, 0, 1], [WIDTH, 0, 1], [WIDTH, HEIGHT, 1], [0, HEIGHT, 1]]).T
    half = np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    expected = half @ H1 @ np.linalg.inv(H0) @ np.linalg.inv(half) @ corners
    moved = found @ corners
    np.testing.assert_allclose(moved[:2] / moved[2], expected[:2] / expected[2], atol=0.5)


def test_an_image_without_texture_gives_no_motion():
    motion, blank = CameraMotion(), np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    assert [motion.update(blank, np.zeros((0, 4))) for _ in range(2)] == [None, None]


def test_matches_that_do_not_agree_give_no_homography():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 400, (60, 2))
    assert ground_homography(points, rng.uniform(0, 400, (60, 2)), (WIDTH, HEIGHT)) is None
    assert ground_homography(points[:5], points[:5] + 3.0, (WIDTH, HEIGHT)) is None


def fly(ground, tracker, told):
    """Three images of small steps, a jump that the flow cannot follow, and two more; returns the tracks of each."""
    places = np.array([[700.0 + 30 * k, 500.0] for k in range(6)])
    offsets = [(500, 300), (510, 300), (520, 300), (300, 60), (310, 60), (320, 60)]
    tracks, homographies = [], []
    for number, (x, y) in enumerate(offsets):
        image, H = view(ground, x, y, turn=0.0 if number < 3 else 0.9)
        homographies.append(H)
        tracks.append(tracker.track(number * STEP_NS, image, boxes_at(places, H)))
        if number == 3 and told:
            points = np.random.default_rng(0).uniform([500, 300], [900, 600], (50, 2))
            carried = [cv2.perspectiveTransform(points[None], homographies[k])[0] for k in (1, 3)]
            tracker.add_matches(MatchedImages(STEP_NS, 3 * STEP_NS, *carried))
    return tracks


def test_matches_bring_the_ids_back_where_the_flow_lost_the_ground(ground):
    tracks = fly(ground, ImageTracker(1, TrackingSettings()), told=True)
    assert [each.camera_known for each in tracks] == [False, True, True, False, True, True]
    ids = [each.ids[each.detections >= 0].tolist() for each in tracks]
    assert ids[:3] == [[1, 2, 3, 4, 5, 6]] * 3
    assert ids[4] == ids[5] == ids[0]
    assert (tracks[4].statuses == TrackStatus.TRACKED).all()
    lost = fly(ground, ImageTracker(1, TrackingSettings()), told=False)
    assert lost[4].ids[lost[4].detections >= 0].tolist() != ids[0]


def test_matches_of_images_that_are_not_remembered_change_nothing(ground):
    tracker = ImageTracker(1, TrackingSettings())
    image, H = view(ground, 500, 300)
    places = np.array([[700.0, 500.0]])
    tracker.track(0, image, boxes_at(places, H))
    tracker.add_matches(MatchedImages(-STEP_NS, 0, np.zeros((50, 2)), np.zeros((50, 2))))
    assert tracker.track(STEP_NS, image, boxes_at(places, H)).ids.tolist() == [1]
    assert tracker.describe()["camera motions from matches"] == "0"


def test_correspondences_are_read_without_those_on_objects():
    def keyframe(sec):
        return SimpleNamespace(header=SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=5)))

    message = SimpleNamespace(
        older=keyframe(1), newer=keyframe(2), trained=True, dynamic=[0, 1], x0=[1, 2], y0=[3, 4], x1=[5, 6], y1=[7, 8]
    )
    matches = matched_images(message)
    assert (matches.older_ns, matches.newer_ns) == (1_000_000_005, 2_000_000_005)
    assert (matches.points0.tolist(), matches.points1.tolist()) == ([[1, 3]], [[5, 7]])
    message.trained = False
    assert matched_images(message) is None


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 4001, 3), (4001, 1, 3), (2, 2, 3)])
def test_the_motion_between_tiny_images_is_unknown(shape):
    motion, image = CameraMotion(), np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    assert motion.update(image, np.zeros((0, 4))) is None
    assert motion.update(image, np.array([[0.0, 0.0, 1.0, 1.0]])) is None
