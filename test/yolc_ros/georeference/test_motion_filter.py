"""Filters along a track, against least squares and Monte Carlo with known errors."""

import numpy as np
import pytest

from yolc_ros.georeference.ground_tracks import GroundTracks, TrackSettings
from yolc_ros.georeference.motion_filter import MeasuredPlace, begin, predict, stopped, update
from yolc_ros.georeference.projection import GroundPoints

ERRORS = 10


def derivatives(rng):
    return rng.normal(size=(3, ERRORS)) * ([2.0] * 3 + [0.5] * 7)


def noise(rng):
    A = rng.normal(size=(3, 3))
    return A @ A.T + 0.1 * np.eye(3)


def run(measured, constant):
    estimate = begin(measured[0], constant, None)
    for each in measured[1:]:
        estimate, _ = update(predict(estimate, 0.5, 1.0), each, constant)
    return estimate


def test_without_constant_errors_the_place_is_the_weighted_mean():
    rng = np.random.default_rng(0)
    measured = [MeasuredPlace(rng.normal(size=3), derivatives(rng), noise(rng)) for _ in range(6)]
    estimate = run(measured, np.zeros(ERRORS))
    weights = [np.linalg.inv(each.errors @ each.errors.T + each.noise) for each in measured]
    covariance = np.linalg.inv(np.sum(weights, axis=0))
    mean = covariance @ np.sum([w @ each.place for w, each in zip(weights, measured, strict=True)], axis=0)
    np.testing.assert_allclose(estimate.state, mean, atol=1e-9)
    np.testing.assert_allclose(estimate.covariance, covariance, atol=1e-9)


def test_a_constant_error_does_not_average_out():
    """All the same view: the covariance falls to that of the constant error and not below it."""
    rng = np.random.default_rng(1)
    J, constant = derivatives(rng), np.full(ERRORS, 0.5)
    estimate = run([MeasuredPlace(np.zeros(3), J, 1e-6 * np.eye(3))] * 400, constant)
    np.testing.assert_allclose(estimate.covariance, 0.5 * J @ J.T * (1 + 1 / 400), atol=1e-3)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_errors_along_changing_views_have_the_covariance_of_the_filter(share):
    rng = np.random.default_rng(2)
    views = [(derivatives(rng), noise(rng)) for _ in range(8)]
    constant = np.full(ERRORS, share)
    errors = []
    for _ in range(1500):
        b = np.sqrt(share) * rng.normal(size=ERRORS)
        measured = [
            MeasuredPlace(
                J @ (b + np.sqrt(1 - share) * rng.normal(size=ERRORS)) + np.linalg.cholesky(R) @ rng.normal(size=3),
                J,
                R,
            )
            for J, R in views
        ]
        estimate = run(measured, constant)
        errors.append(estimate.state)
    nees = np.einsum("ki,ij,kj->k", errors, np.linalg.inv(estimate.covariance), errors) / 3
    assert 0.92 < nees.mean() < 1.08


def points_of(place, sigma, count=1):
    J = np.zeros((count, 3, ERRORS))
    J[:, :, 4:7] = sigma * np.eye(3)
    return GroundPoints(
        np.atleast_2d(place).astype(float), J, np.tile(1e-4 * np.eye(3), (count, 1, 1)), np.zeros(count), ("",) * count
    )


def follow(path, sigma=0.5, share=0.3, rate=4.0, seed=0):
    rng = np.random.default_rng(seed)
    tracks, b = GroundTracks(TrackSettings(np.full(ERRORS, share))), np.sqrt(share) * sigma * rng.normal(size=3)
    for k, place in enumerate(path):
        noisy = place + b + np.sqrt(1 - share) * sigma * rng.normal(size=3)
        tracks = tracks.with_image(int(k / rate * 1e9), [7], points_of(noisy, sigma))
        yield tracks.tracks[7]


def test_a_parked_object_rests_and_a_driving_one_moves():
    parked = list(follow(np.tile([5.0, 2.0, 0.0], (60, 1))))
    assert not any(track.is_moving for track in parked)
    assert parked[-1].observations == 60
    driving = list(follow(np.outer(np.arange(40) / 4.0, [6.0, -3.0, 0.0])))
    assert driving[-1].is_moving
    np.testing.assert_allclose(driving[-1].velocity[0], [6.0, -3.0, 0.0], atol=1.0)


def test_an_object_that_starts_and_stops_is_seen_to():
    stands, drives = np.zeros((40, 3)), np.outer(np.arange(40) / 4.0, [5.0, 0.0, 0.0])
    tracks = list(follow(np.concatenate([stands, drives, np.tile(drives[-1], (60, 1))])))
    assert not tracks[39].is_moving
    assert tracks[60].is_moving
    assert not tracks[-1].is_moving
    np.testing.assert_allclose(tracks[-1].place[0], drives[-1], atol=1.2)


def test_tracks_are_forgotten_and_objects_without_id_are_not_kept():
    tracks = GroundTracks(TrackSettings(np.zeros(ERRORS)))
    tracks = tracks.with_image(0, [0, 3], points_of(np.zeros((2, 3)), 1.0, 2))
    assert list(tracks.tracks) == [3]
    tracks = tracks.with_image(11 * 10**9, [4], points_of(np.zeros(3), 1.0))
    assert list(tracks.tracks) == [4]
    tracks = tracks.with_image(10**9, [5], points_of(np.zeros(3), 1.0))  # the clock restarted
    assert list(tracks.tracks) == [5]


def test_predictions_move_moving_tracks_alone():
    *_, track = follow(np.outer(np.arange(40) / 4.0, [6.0, -3.0, 0.0]))
    tracks = GroundTracks(TrackSettings(np.zeros(ERRORS)), {7: track})
    later = tracks.predicted(track.stamp_ns + 10**9, [7, 8])
    np.testing.assert_allclose(later[0] - track.place[0], track.velocity[0])
    assert np.isnan(later[1]).all()
    assert stopped(track.moving).state.shape == (3,)


def test_the_order_of_objects_does_not_matter():
    places = np.random.default_rng(3).normal(size=(4, 3))
    forward = GroundTracks(TrackSettings(np.zeros(ERRORS))).with_image(0, [1, 2, 3, 4], points_of(places, 1.0, 4))
    backward = GroundTracks(TrackSettings(np.zeros(ERRORS))).with_image(
        0, [4, 3, 2, 1], points_of(places[::-1], 1.0, 4)
    )
    for key in (1, 2, 3, 4):
        np.testing.assert_array_equal(forward.tracks[key].place[0], backward.tracks[key].place[0])
