import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.training.validation import area_under_recall, read_posed_pairs, relative_pose_error, summarise
from perception_common.errors import InputError

K = np.array([[400.0, 0, 320], [0, 400.0, 240], [0, 0, 1]])


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


def test_perfect_and_failed_poses():
    assert summarise([0.0, 0.0])["auc_5"] == pytest.approx(1.0)
    failed = summarise([180.0] * 3)
    assert (failed["under_5deg"], failed["auc_20"]) == (0.0, 0.0)


def test_the_pose_of_perfect_matches_has_no_error():
    rng = np.random.default_rng(0)
    T_ab = np.eye(4)
    T_ab[:3, :3] = cv2.Rodrigues(np.array([0.1, -0.2, 0.3]))[0]
    T_ab[:3, 3] = [1.0, 0.2, -0.1]
    X_a = rng.uniform([-3, -2, 4], [3, 2, 9], (200, 3))
    X_b = X_a @ T_ab[:3, :3].T + T_ab[:3, 3]
    points_a, points_b = ((X @ K.T)[:, :2] / X[:, 2:] for X in (X_a, X_b))
    assert relative_pose_error(points_a, points_b, K, K, T_ab) < 0.1
    T_ab[:3, 3] = [-1.0, -0.2, 0.1]
    assert relative_pose_error(points_a, points_b, K, K, T_ab) > 170


@pytest.mark.parametrize("count", [0, 4])
def test_too_few_matches_are_a_failure(count):
    points = np.random.default_rng(0).uniform(0, 100, (count, 2))
    assert relative_pose_error(points, points, K, K, np.eye(4)) == 180.0


def test_intrinsics_follow_the_reduced_image(tmp_path):
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((480, 640), np.uint8))
    entry = {"a": "a.png", "b": "b.png", "K_a": K.tolist(), "K_b": K.tolist(), "T_ab": np.eye(4).tolist()}
    (tmp_path / "pairs.json").write_text(json.dumps({"pairs": [entry]}))
    pairs = read_posed_pairs(tmp_path / "pairs.json", max_side=320)
    assert pairs.images["a.png"].shape == (240, 320)
    assert np.allclose(pairs.K["a.png"], [[200, 0, 159.75], [0, 200, 119.75], [0, 0, 1]])


def test_a_file_without_poses_is_an_error(tmp_path):
    (tmp_path / "pairs.json").write_text('{"pairs": [{"a": "x"}]}')
    with pytest.raises(InputError, match=r"pairs\.json"):
        read_posed_pairs(tmp_path / "pairs.json", 640)
