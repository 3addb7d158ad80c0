"""Pairs, errors and the area under the curve, against fine sampling and exact geometry."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.datasets.image_pairs import (
    area_under_recall,
    estimate_plain_pose,
    pose_degrees,
    read_gray,
    read_pairs,
    resizing,
)
from perception_common.errors import InputError

K = np.array([[400.0, 0, 320], [0, 400.0, 240], [0, 0, 1]])


def moved(x, y, z):
    T = np.eye(4)
    T[:3, :3] = cv2.Rodrigues(np.array([0.1, -0.2, 0.3]))[0]
    T[:3, 3] = [x, y, z]
    return T


@settings(deadline=None, max_examples=50)
@given(errors=st.lists(st.floats(0, 180), min_size=1, max_size=30))
def test_the_area_is_that_of_a_fine_sampling_of_the_curve(errors):
    # The curve rises linearly between sorted errors, from (0, 0), and is flat after the last one within the limit.
    values = np.sort(np.array(errors))
    knots_x = np.concatenate([[0.0], values])
    knots_y = np.arange(len(knots_x)) / len(values)
    x = (np.arange(20000) + 0.5) / 20000 * 10
    within = values < 10
    last = knots_y[np.count_nonzero(within)]
    y = np.interp(x, knots_x[: within.sum() + 1], knots_y[: within.sum() + 1], right=last)
    assert area_under_recall(np.array(errors), 10) == pytest.approx(y.mean(), abs=2e-3)


@pytest.mark.parametrize(("errors", "expected"), [([0.0, 0.0], 1.0), ([180.0] * 3, 0.0), ([5.0], 0.0), ([2.5], 0.75)])
def test_areas_by_hand(errors, expected):
    assert area_under_recall(errors, 5) == pytest.approx(expected)


def test_the_pose_of_perfect_matches_has_no_error():
    rng = np.random.default_rng(0)
    T_ab = moved(1.0, 0.2, -0.1)
    X_a = rng.uniform([-3, -2, 4], [3, 2, 9], (200, 3))
    X_b = X_a @ T_ab[:3, :3].T + T_ab[:3, 3]
    points_a, points_b = ((X @ K.T)[:, :2] / X[:, 2:] for X in (X_a, X_b))
    estimated, inliers = estimate_plain_pose(points_a, points_b, K, K)
    assert pose_degrees(estimated, T_ab) < 0.1
    assert inliers.mean() > 0.95
    assert pose_degrees(estimated, moved(-1.0, -0.2, 0.1)) > 170


@pytest.mark.parametrize("count", [0, 4])
def test_too_few_matches_give_no_pose(count):
    points = np.random.default_rng(0).uniform(0, 100, (count, 2))
    assert estimate_plain_pose(points, points, K, K) is None


def test_what_is_no_pose_is_180_degrees_off():
    assert pose_degrees(None, moved(1, 0, 0)) == 180
    assert pose_degrees(moved(0, 0, 0), moved(1, 0, 0)) == 180


def test_without_true_translation_the_rotation_counts():
    assert pose_degrees(np.eye(4), moved(0, 0, 0)) == pytest.approx(np.degrees(np.sqrt(0.14)))


def test_resizing_maps_pixel_centres_to_those_of_area_averages():
    # The mean of pixels 2 and 3 becomes pixel 1 of the image at half the size.
    assert np.allclose(resizing((480, 640), (240, 320)) @ [2.5, 2.5, 1], [1, 1, 1])


class TestReadPairs:
    POSED = {"a": "a.png", "b": "b.png", "K_a": K.tolist(), "K_b": K.tolist(), "T_ab": np.eye(4).tolist()}  # noqa: RUF012

    def write(self, folder, content):
        path = folder / "pairs.json"
        path.write_text(json.dumps(content))
        return path

    def test_poses_and_homographies(self, tmp_path):
        flat = {"a": "a.png", "b": "c.png", "H_ab": np.eye(3).tolist()}
        posed, plane = read_pairs(self.write(tmp_path, {"pairs": [self.POSED, flat]}))
        assert posed.path_b == tmp_path / "b.png"
        assert np.array_equal(posed.K_a, K)
        assert posed.H_ab is None
        assert np.array_equal(plane.H_ab, np.eye(3))
        assert plane.T_ab is None

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ({"pairs": []}, "holds no pairs"),
            ([], "is no pairs.json"),
            ({"pairs": [{"a": "a.png", "b": "b.png"}]}, "pair 0: needs a, b"),
            ({"pairs": [POSED | {"K_a": [1]}]}, "pair 0: K_a must be 3x3"),
        ],
    )
    def test_what_is_wrong_is_said_in_one_line(self, tmp_path, content, message):
        with pytest.raises(InputError, match=message) as caught:
            read_pairs(self.write(tmp_path, content))
        assert "\n" not in str(caught.value)

    def test_missing_files_are_named(self, tmp_path):
        with pytest.raises(InputError, match=r"nothing\.json: cannot be read"):
            read_pairs(tmp_path / "nothing.json")
        with pytest.raises(InputError, match=r"a\.png: is missing"):
            read_gray(tmp_path / "a.png")
