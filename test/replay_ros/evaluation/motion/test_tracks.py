"""Tracks from messages of simulated points: lengths, and reprojection errors of the added noise."""

from types import SimpleNamespace

import numpy as np
import pytest

from perception_common.geometry import inverse, so3_exp, transform
from perception_common.tum import Trajectory
from replay_ros.evaluation.motion.tracks import camera_of, track_figures

K = np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]])
STEP = 100_000_000
POSES = [transform(so3_exp(np.array([0, 0.02 * k, 0])), np.array([0.5 * k, 0, 0])) for k in range(4)]


def keyframe(number):
    seconds, nanoseconds = divmod(number * STEP, 1_000_000_000)
    header = SimpleNamespace(stamp=SimpleNamespace(sec=seconds, nanosec=nanoseconds))
    return SimpleNamespace(
        id=number, header=header, width=640, height=480, k_original=K.ravel(), d=np.zeros(5),
        distortion_model="plumb_bob",
    )  # fmt: skip


def messages(noise, last):
    """Matches of neighbouring keyframes up to `last`; point n has id n in all of them."""
    rng = np.random.default_rng(0)
    points = rng.uniform([-2, -1.5, 5], [3, 1.5, 10], (100, 3))
    seen = []
    for T in POSES:
        local = points @ inverse(T)[:3, :3].T + inverse(T)[:3, 3]
        pixels = (local / local[:, 2:]) @ K.T
        seen.append((pixels[:, :2] + noise * rng.normal(size=(100, 2))).astype(np.float32))
    ids = np.arange(100, dtype=np.uint32)
    return [
        SimpleNamespace(
            older=keyframe(k), newer=keyframe(k + 1), x0=seen[k][:, 0], y0=seen[k][:, 1], x1=seen[k + 1][:, 0],
            y1=seen[k + 1][:, 1], id0=ids, id1=ids,
        )
        for k in range(last)
    ]  # fmt: skip


def truth(offset=0):
    return Trajectory.from_matrices(np.arange(4) * STEP + offset, POSES)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_lengths_and_reprojection_errors(noise):
    found = track_figures(messages(noise, 3), truth())
    assert (found.tracks, found.mean_length, found.share_of_3) == (100, 4, 1)
    # Eight coordinates minus three of the point leave sqrt(5 / 8) of the noise; its median length is 1.18 times that.
    assert found.reprojection_px == pytest.approx(noise * 1.18 * np.sqrt(5 / 8), rel=0.15, abs=1e-3)


def test_a_single_pair_makes_tracks_of_two():
    found = track_figures(messages(0.0, 1), truth())
    assert (found.mean_length, found.share_of_3) == (2, 0)


def test_observed_over_visible_and_continued():
    """A point counts as continued when the keyframe before has it too, and as observed where it is in the image."""
    whole = track_figures(messages(0.0, 3), truth())
    assert whole.observed_share == pytest.approx(1.0, abs=0.1)
    assert whole.continued_share == 1.0
    cut = messages(0.0, 3)
    for k in (1, 2):  # each pair has tracks of its own
        cut[k].id0 = cut[k].id1 = np.arange(100 * k, 100 * k + 100, dtype=np.uint32)
    found = track_figures(cut, truth())
    assert found.continued_share == 0.0
    half = messages(0.0, 3)
    half[2].id0 = half[2].id1 = np.where(np.arange(100) < 50, np.arange(100), np.arange(200, 300)).astype(np.uint32)
    seen = np.isfinite(half[2].x0)
    in_view = [inside(half[1].x0, half[1].y0) & seen, inside(half[0].x0, half[0].y0) & seen]
    expected = (in_view[1].sum() + in_view[0][:50].sum()) / (in_view[1].sum() + in_view[0].sum())
    assert track_figures(half, truth()).continued_share == pytest.approx(expected)


def test_wrong_matches_count_neither_way():
    wrong = messages(0.0, 3)
    wrong[2].y1[:30] += 40.0
    wrong[2].id1 = np.where(np.arange(100) < 30, np.arange(500, 600), np.arange(100)).astype(np.uint32)
    assert track_figures(wrong, truth()).continued_share == 1.0


def inside(x, y):
    return (x >= -0.5) & (x <= 639.5) & (y >= -0.5) & (y <= 479.5)


def test_no_error_without_truth_and_no_figures_without_matches():
    assert track_figures(messages(0.5, 3), None).reprojection_px is None
    assert track_figures(messages(0.5, 3), truth(10 * STEP)).reprojection_px is None
    assert track_figures(messages(0.5, 3), None).observed_share is None
    assert track_figures(messages(0.5, 3), None).continued_share is None
    assert track_figures([], truth()) is None


def test_uncalibrated_cameras():
    blank = keyframe(0)
    blank.k_original = np.zeros(9)
    assert camera_of(blank) is None
    np.testing.assert_array_equal(camera_of(keyframe(0)).matrix, K)
