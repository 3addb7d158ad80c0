"""SIFT behind the same seam as LoFTR: matches of a known homography, ids that persist, odd images."""

import cv2
import numpy as np
import pytest

from loftr_ros.frontend import Frontend, FrontendSettings
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.keyframes.policy import KeyframePolicy
from loftr_ros.matcher_choice import load_matcher
from loftr_ros.sift_matcher import RATIO, SiftMatcher
from perception_common.backends.devices import choose_device
from perception_common.errors import InputError

H = np.array([[0.95, -0.1, 30.0], [0.12, 1.02, -15.0], [5e-5, -4e-5, 1.0]])
EVERY = KeyframePolicy(max_interval=0.0)  # every image becomes a keyframe


@pytest.fixture(scope="module")
def views(small_flight):
    """An image and the same image warped by H, larger than `max_side` of the tests."""
    image = cv2.resize(small_flight.images[0], (640, 480), interpolation=cv2.INTER_CUBIC)
    return image, cv2.warpPerspective(image, H, (640, 480))


def match(images, settings):
    matcher = SiftMatcher(settings)
    return matcher.match(*(matcher.encode(image) for image in images))


@pytest.mark.parametrize("max_side", [0, 400])
def test_matches_agree_with_the_homography_in_pixels_of_the_original(views, max_side):
    matches = match(views, MatcherSettings(max_side=max_side))
    expected = cv2.perspectiveTransform(matches.points0[None].astype(np.float64), H)[0]
    errors = np.linalg.norm(matches.points1 - expected, axis=1)
    assert len(matches) > 100
    assert np.median(errors) < 0.5 * 640 / (max_side or 640)
    assert (errors < 3.0).mean() > 0.9
    assert matches.size0 == matches.size1 == (640, 480)


def test_confidence_is_the_ratio_test_and_orders_the_matches(views):
    matches = match(views, MatcherSettings(max_side=0))
    assert (np.diff(matches.confidence) <= 0).all()
    assert matches.confidence.min() > 1 - RATIO - 1e-6
    strict = match(views, MatcherSettings(max_side=0, threshold=0.5))
    kept = matches.confidence > 0.5
    np.testing.assert_array_equal(strict.points0, matches.points0[kept])
    few = match(views, MatcherSettings(max_side=0, max_matches=7))
    np.testing.assert_array_equal(few.points1, matches.points1[:7])


def test_matches_are_mutual_as_opencv_finds_them(views):
    """OpenCV's cross check finds the same pairs among those that pass the ratio test."""
    matcher = SiftMatcher(MatcherSettings(max_side=0))
    image0, image1 = (matcher.encode(view) for view in views)
    crossed = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(image0.descriptors, image1.descriptors)
    mutual = {(each.queryIdx, each.trainIdx) for each in crossed}
    matches = matcher.match(image0, image1)
    assert len(matches) > 100
    assert set(zip(matches.cells0.tolist(), matches.cells1.tolist(), strict=True)) <= mutual
    assert len(np.unique(matches.points0, axis=0)) == len(np.unique(matches.points1, axis=0)) == len(matches)


def test_the_spread_follows_the_scale_of_the_keypoint(views):
    matcher = SiftMatcher(MatcherSettings(max_side=0))
    image0, image1 = (matcher.encode(view) for view in views)
    matches = matcher.match(image0, image1)
    ratio = matches.spread / image1.scales[matches.cells1]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)
    expected = cv2.perspectiveTransform(matches.points0[None].astype(np.float64), H)[0]
    error = 1.4826 * np.median(np.abs(matches.points1 - expected) / matches.spread[:, None])
    assert 0.2 < error < 2.0  # of the promised standard deviation


@pytest.mark.parametrize("shape", [(1, 1), (7, 513), (40, 40)])
def test_images_without_keypoints_have_no_matches(shape, views):
    matcher = SiftMatcher()
    blank = matcher.encode(np.full(shape, 90, np.uint8))
    for pair in ((blank, blank), (blank, matcher.encode(views[0])), (matcher.encode(views[0]), blank)):
        matches = matcher.match(*pair)
        assert len(matches) == 0
        assert matches.points0.shape == matches.points1.shape == (0, 2)
        assert len(matches.spread) == len(matches.cells0) == 0


def test_colour_images_are_refused():
    with pytest.raises(InputError, match="to_gray"):
        SiftMatcher().encode(np.zeros((4, 4, 3), np.uint8))


def test_a_keypoint_keeps_its_id_in_every_pair_of_its_keyframe(small_flight):
    frontend = Frontend(SiftMatcher(), FrontendSettings(policy=EVERY))
    ids = {}
    repeated = 0
    for stamp, image in zip(small_flight.stamps_ns, small_flight.images, strict=True):
        for pair in frontend.process(stamp, image, small_flight.camera).pairs:
            sides = ((pair.older.id, pair.matches.points0, pair.ids0), (pair.newer.id, pair.matches.points1, pair.ids1))
            for keyframe, points, names in sides:
                inlier = pair.motion.inliers
                for point, name in zip(points[inlier].tolist(), names[inlier].tolist(), strict=True):
                    key = (keyframe, *point)
                    repeated += key in ids
                    assert ids.setdefault(key, name) == name
    assert repeated > 50


def test_the_front_end_finds_the_motion_with_sift(small_flight):
    frontend = Frontend(SiftMatcher(), FrontendSettings(policy=EVERY))
    results = [
        frontend.process(stamp, image, small_flight.camera)
        for stamp, image in zip(small_flight.stamps_ns, small_flight.images, strict=True)
    ]
    pairs = [pair for result in results for pair in result.pairs]
    assert len(pairs) == 7
    for pair in pairs:
        assert pair.motion.geometry in (Geometry.GENERAL, Geometry.PLANAR)
        true = small_flight.motion(pair.older.id, pair.newer.id)[:3, 3]
        cosine = pair.motion.translation @ true / np.linalg.norm(true)
        assert np.degrees(np.arccos(np.clip(cosine, -1, 1))) < 10
    assert frontend.model == "sift"
    assert frontend.trained


def test_the_model_name_chooses_the_matcher():
    policy = choose_device("cpu")
    assert load_matcher("sift", "default", policy).name == "sift"
    assert load_matcher("loftr_lite", "default", policy).name == "loftr_lite"
    with pytest.raises(InputError, match="has no weights"):
        load_matcher("sift", "some.safetensors", policy)
    with pytest.raises(InputError, match="has no weights"):
        load_matcher("sift", "default", policy, sha256="ab")
