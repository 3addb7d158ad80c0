"""Metres from altitude, depth and odometry on scenes with known size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.geometry.scale.sources import (
    FactorEstimate,
    ScaleSource,
    choose_scale,
    scale_from_altitude,
    scale_from_depth,
    scale_from_odometry,
    scaled,
    unknown_scale,
)
from perception_common.geometry import so3_exp

DOWN = np.array([0.0, np.sin(0.3), np.cos(0.3)])  # a camera that looks forward by 17 degrees


def ground(height=20.0, count=300, relief=0.0, seed=0):
    """Points (N, 3) of level ground `height` below the older camera, along DOWN."""
    rng = np.random.default_rng(seed)
    rays = np.insert(rng.uniform(-0.5, 0.5, (count, 2)), 2, 1.0, axis=1)
    points = rays * (height / (rays @ DOWN))[:, None]
    return points * (1 + relief * rng.normal(size=(count, 1)))


def seen(points, rotation, translation, noise=0.0, seed=1):
    rng = np.random.default_rng(seed)
    newer = (points - translation) @ rotation
    rays = [p / p[:, 2:] for p in (points, newer)]
    return [x + noise * np.column_stack([rng.normal(size=(len(x), 2)), np.zeros(len(x))]) for x in rays]


ROTATION, TRANSLATION = so3_exp(np.array([0.02, -0.05, 0.1])), np.array([3.0, 1.0, 0.5])
LENGTH = float(np.linalg.norm(TRANSLATION))
POSE = ROTATION, TRANSLATION / LENGTH


@given(st.floats(3, 200), st.floats(0.5, 3.0))
@settings(deadline=None, max_examples=20)
def test_altitude_gives_the_length_of_the_translation(height, length):
    translation = POSE[1] * length * height / 20
    rays = seen(ground(height), ROTATION, translation)
    scale = scale_from_altitude(*rays, *POSE, FactorEstimate(height, 0.02 * height), DOWN)
    assert scale.source == ScaleSource.ALTITUDE
    assert scale.value == pytest.approx(np.linalg.norm(translation), rel=1e-6)
    assert np.sqrt(scale.variance) == pytest.approx(0.02 * scale.value, rel=1e-3)


def test_without_a_direction_the_altitude_is_that_along_the_normal_of_the_plane():
    rays = seen(ground(), ROTATION, TRANSLATION)
    along_beam = FactorEstimate(20.0 / DOWN[2], 0.2)  # a range finder along the optical axis
    for scale in (
        scale_from_altitude(*rays, *POSE, FactorEstimate(20.0, 0.2)),
        scale_from_altitude(*rays, *POSE, along_beam, np.array([0.0, 0.0, 1.0])),
    ):
        assert scale.value == pytest.approx(LENGTH, rel=1e-6)


def test_two_percent_of_noise_in_the_altitude_is_three_percent_in_the_translation():
    rng = np.random.default_rng(5)
    errors = []
    for seed in range(50):
        rays = seen(ground(relief=0.01, seed=seed), ROTATION, TRANSLATION, noise=1 / 800, seed=seed)
        altitude = FactorEstimate(20.0 * (1 + 0.02 * rng.normal()), 0.4)
        errors.append(scale_from_altitude(*rays, *POSE, altitude, DOWN).value / LENGTH - 1)
    assert np.sqrt(np.mean(np.square(errors))) < 0.03


def test_depths_give_the_length_and_holes_and_wrong_depths_do_not_disturb():
    points = ground(relief=0.2)
    rays = seen(points, ROTATION, TRANSLATION)
    measured = points[:, 2].copy()
    measured[:50] = np.nan
    measured[50:80] = 0.0
    measured[80:140] *= 3.0
    scale = scale_from_depth(*rays, *POSE, measured)
    assert scale.source == ScaleSource.DEPTH
    assert scale.value == pytest.approx(LENGTH, rel=1e-6)
    assert np.sqrt(scale.variance) == pytest.approx(0.02 * LENGTH, rel=0.01)


def test_odometry_gives_the_length_and_its_variance_along_the_motion():
    across = np.eye(3) - np.outer(POSE[1], POSE[1])
    covariance = 0.04 * np.outer(POSE[1], POSE[1]) + 9.0 * across
    scale = scale_from_odometry(POSE[1], TRANSLATION, covariance)
    assert scale.source == ScaleSource.ODOMETRY
    assert scale.value == pytest.approx(LENGTH)
    assert scale.variance == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("scale", "word"),
    [
        (lambda rays: scale_from_altitude(*rays, *POSE, FactorEstimate(20.0, 0.4, age=2.0)), "old"),
        (lambda rays: scale_from_altitude(*rays, *POSE, FactorEstimate(-1.0, 0.4)), "-1 m"),
        (lambda rays: scale_from_altitude(*rays, *POSE, FactorEstimate(np.nan, 0.4)), "nan m"),
        (lambda rays: scale_from_altitude(*rays, *POSE, FactorEstimate(20.0, 10.0)), "only to 50 %"),
        (lambda rays: scale_from_altitude(*rays, *POSE, FactorEstimate(20.0, 0.4), -DOWN), "no ground"),
        (lambda rays: scale_from_altitude(*(x[:3] for x in rays), *POSE, FactorEstimate(20.0, 0.4)), "3 matches"),
        (lambda rays: scale_from_depth(*rays, *POSE, np.full(300, np.nan)), "0 matches"),
        (lambda rays: scale_from_depth(*rays, *POSE, np.geomspace(1, 1000, 300)), "agree on one scale"),
        (lambda rays: scale_from_depth(*rays, *POSE, np.ones(300), age=1.0), "old"),
        (lambda _: scale_from_odometry(POSE[1], np.zeros(3), np.eye(3)), "no motion"),
        (lambda _: scale_from_odometry(POSE[1], -TRANSLATION, 0.01 * np.eye(3)), "180 degrees"),
        (lambda _: scale_from_odometry(POSE[1], np.full(3, np.nan), np.eye(3)), "not finite"),
    ],
)
def test_what_cannot_be_believed_is_unknown_and_says_why(scale, word):
    result = scale(seen(ground(), ROTATION, TRANSLATION))
    assert result.source == ScaleSource.UNKNOWN
    assert word in result.reason
    assert result.value == 1.0


def test_roofs_over_half_of_the_ground_do_not_bend_the_scale():
    rng = np.random.default_rng(0)
    above = np.where(rng.random(400) < 0.55, rng.choice([3.0, 5.0, 8.0], 400), 0.0)
    points = ground(count=400) * (1 - above / 20.0)[:, None]
    rays = seen(points, ROTATION, TRANSLATION, noise=1 / 1500)
    scale = scale_from_altitude(*rays, *POSE, FactorEstimate(20.0, 0.1), DOWN, noise=1 / 1500, gravity=DOWN)
    assert scale.value == pytest.approx(LENGTH, rel=0.005)


def test_the_altitudes_of_both_images_are_averaged_and_must_agree_with_the_motion():
    rays = seen(ground(), ROTATION, TRANSLATION)
    height1 = 20.0 - TRANSLATION @ DOWN  # of the newer camera
    older = FactorEstimate(20.0 * 1.02, 0.4)
    mean = scale_from_altitude(*rays, *POSE, older, DOWN, newer=FactorEstimate(height1 * 0.98, 0.02 * height1))
    assert mean.value == pytest.approx(LENGTH, rel=2e-3)
    assert np.sqrt(mean.variance) == pytest.approx(0.02 * LENGTH, rel=0.03)
    over_a_roof = scale_from_altitude(*rays, *POSE, older, DOWN, newer=FactorEstimate(height1 - 6.0, 0.3))
    assert over_a_roof.source == ScaleSource.UNKNOWN
    assert "not that of this ground" in over_a_roof.reason
    stale = scale_from_altitude(*rays, *POSE, older, DOWN, newer=FactorEstimate(height1 - 6.0, 0.3, age=9.0))
    assert stale.value == pytest.approx(1.02 * LENGTH)


def test_scattered_points_are_no_ground():
    rng = np.random.default_rng(0)
    points = ground() * rng.uniform(0.3, 3.0, (300, 1))
    rays = seen(points, ROTATION, TRANSLATION)
    result = scale_from_altitude(*rays, *POSE, FactorEstimate(20.0, 0.4), DOWN)
    assert result.source == ScaleSource.UNKNOWN
    assert "no ground" in result.reason


def test_the_most_precise_source_is_chosen_and_a_contradiction_is_unknown():
    precise = scale_from_odometry(POSE[1], TRANSLATION, 0.001 * np.eye(3))
    coarse = scale_from_odometry(POSE[1], 1.05 * TRANSLATION, 0.1 * np.eye(3))
    other = scale_from_odometry(POSE[1], 2.0 * TRANSLATION, 0.01 * np.eye(3))
    assert choose_scale([coarse, unknown_scale("nothing"), precise]) is precise
    contradiction = choose_scale([precise, other])
    assert contradiction.source == ScaleSource.UNKNOWN
    assert "3.20 m" in contradiction.reason
    assert choose_scale([unknown_scale("no altitude"), unknown_scale("no depth")]).reason == "no altitude; no depth"
    assert choose_scale([]).source == ScaleSource.UNKNOWN


@pytest.mark.slow
@pytest.mark.parametrize("source", ["altitude", "both altitudes", "depth", "odometry"])
def test_the_covariance_in_metres_is_that_of_disturbed_poses_and_measurements(source):
    """Monte Carlo: disturb the pose as its covariance says and the measurement as its deviation says."""
    rng = np.random.default_rng(3)
    points = ground(relief=0.1 if source == "depth" else 0.0)
    rays = seen(points, ROTATION, TRANSLATION)
    root = 0.003 * rng.normal(size=(6, 6))
    root[:3] = (np.eye(3) - np.outer(POSE[1], POSE[1])) @ root[:3]  # not along the translation
    covariance = root @ root.T

    def scale_of(rotation, translation, error):
        if source == "both altitudes":  # whose errors are one
            height1 = 20.0 - TRANSLATION @ DOWN
            newer = FactorEstimate(height1 * (1 + error), 0.01 * height1)
            older = FactorEstimate(20 * (1 + error), 0.2)
            return scale_from_altitude(*rays, rotation, translation, older, DOWN, newer=newer)
        if source == "altitude":
            return scale_from_altitude(*rays, rotation, translation, FactorEstimate(20 * (1 + error), 0.2), DOWN)
        if source == "depth":
            return scale_from_depth(*rays, rotation, translation, points[:, 2] * (1 + error), relative_deviation=0.01)
        measured = TRANSLATION * (1 + error)
        return scale_from_odometry(translation, measured, (0.01 * LENGTH) ** 2 * np.eye(3))

    translations = []
    for _ in range(500):
        error = root @ rng.normal(size=6)
        rotation, direction = so3_exp(error[3:]) @ ROTATION, POSE[1] + error[:3]
        direction /= np.linalg.norm(direction)
        translations.append(scale_of(rotation, direction, 0.01 * rng.normal()).value * direction)

    unseen = covariance.copy()
    unseen[:3, :3] += 1e6 * np.outer(POSE[1], POSE[1])
    translation, metric = scaled(POSE[1], unseen, scale_of(*POSE, 0.0))

    np.testing.assert_allclose(translation, TRANSLATION, rtol=1e-6)
    sampled = np.cov(np.array(translations).T)
    deviations = np.sqrt(np.diag(metric[:3, :3]))
    np.testing.assert_allclose(
        sampled / np.outer(deviations, deviations), metric[:3, :3] / np.outer(deviations, deviations), atol=0.15
    )
    np.testing.assert_allclose(metric[3:, 3:], covariance[3:, 3:], atol=1e-9)


def test_an_unknown_scale_changes_nothing():
    covariance = np.diag([1.0, 2, 3, 4, 5, 6])
    translation, same = scaled(POSE[1], covariance, unknown_scale("none"))
    np.testing.assert_array_equal(translation, POSE[1])
    np.testing.assert_array_equal(same, covariance)
