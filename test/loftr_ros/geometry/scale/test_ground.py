"""The ground plane among roofs, trees and wrong matches above and below it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.geometry.scale.ground import find_ground
from perception_common.geometry import angle_between, so3_exp

HEIGHT = 60.0
ROTATION, TRANSLATION = so3_exp(np.array([0.02, -0.05, 0.1])), np.array([0.8, 0.6, 0.0])
BASE = 12.0  # metres


def town(roofs, noise, seed, down, count=500, trees=0.1, wrong=0.04):
    """Rays of matches: a share of `roofs` at five heights from 4 to 25 m, trees between 0 and 12 m, wrong depths."""
    rng = np.random.default_rng(seed)
    rays = np.insert(rng.uniform(-0.6, 0.6, (count, 2)), 2, 1.0, axis=1)
    kind = rng.choice(4, count, p=[1 - roofs - trees - wrong, roofs, trees, wrong])
    above = np.select(
        [kind == 1, kind == 2, kind == 3],
        [rng.choice([4, 8, 11, 16, 25], count), rng.uniform(0, 12, count), rng.uniform(-60, 40, count)],
        0.0,
    )
    points = rays * ((HEIGHT - above) / (rays @ down))[:, None]
    newer = (points - BASE * TRANSLATION) @ ROTATION
    observed = [p / p[:, 2:] for p in (points, newer)]
    disturbed = [x + np.insert(noise * rng.normal(size=(count, 2)), 2, 0.0, axis=1) for x in observed]
    return disturbed, kind == 0


@pytest.mark.parametrize("tilt", [0.0, 0.5], ids=["nadir", "oblique"])
@pytest.mark.parametrize("roofs", [0.0, 0.3, 0.55])
@pytest.mark.parametrize("noise", [0.0, 1 / 500])
def test_roofs_do_not_bias_the_height(tilt, roofs, noise):
    down = np.array([0.0, np.sin(tilt), np.cos(tilt)])
    errors = []
    for seed in range(8):
        rays, level = town(roofs, noise, seed, down)
        ground = find_ground(*rays, ROTATION, TRANSLATION, noise, down)
        assert ground.on[level].mean() > 0.9
        errors.append(BASE / (ground.plane @ down) / HEIGHT - 1)
    assert abs(np.mean(errors)) < 0.004 + 4 * noise


def height_error(above_of):
    """Mean relative error of the height over eight scenes; above_of(rng, ground (N, 2)) gives heights, metres."""
    down, errors = np.array([0.0, 0.0, 1.0]), []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        rays = np.insert(rng.uniform(-0.6, 0.6, (500, 2)), 2, 1.0, axis=1)
        points = rays * (HEIGHT - above_of(rng, HEIGHT * rays[:, :2]))[:, None]
        newer = (points - BASE * TRANSLATION) @ ROTATION
        views = [p / p[:, 2:] + np.insert(rng.normal(size=(500, 2)) / 3000, 2, 0.0, axis=1) for p in (points, newer)]
        ground = find_ground(*views, ROTATION, TRANSLATION, 1 / 3000, down)
        errors.append(BASE / (ground.plane @ down) / HEIGHT - 1)
    return np.mean(errors)


def test_grass_and_cars_do_not_lift_the_ground():
    """Four of ten matches are up to 1.2 m high, within 2 % of the altitude. A plane through all would be 0.4 % off."""

    def grass(rng, ground):
        return np.where(rng.random(len(ground)) < 0.4, rng.uniform(0.0, 1.2, len(ground)), 0.0)

    assert abs(height_error(grass)) < 0.0015


def test_the_height_of_uneven_ground_is_that_of_its_mean():
    """Undulations of 0.3 m (RMS); a lower envelope would be 0.5 % off or more."""

    def undulations(rng, ground):
        x, y = (ground / [7.0, 9.0] + rng.uniform(0, 2 * np.pi, 2)).T
        return 0.3 * (np.sin(x) + np.sin(y))

    assert abs(height_error(undulations)) < 0.003


def test_refitting_follows_a_small_change_of_the_pose():
    """One Newton step on the same matches is the fit anew, to a tenth of the change."""
    down, noise = np.array([0.0, np.sin(0.5), np.cos(0.5)]), 1 / 2000
    rays, _ = town(0.3, noise, 5, down)
    ground = find_ground(*rays, ROTATION, TRANSLATION, noise, down)
    turned = so3_exp(np.array([2e-3, 0.0, 0.0])) @ ROTATION
    anew = find_ground(*rays, turned, TRANSLATION, noise, down).plane
    change = np.linalg.norm(anew - ground.plane)
    assert np.linalg.norm(ground.refitted(*rays, turned, TRANSLATION) - anew) < 0.1 * change


def test_a_slope_of_ten_degrees_is_ground():
    down, noise = np.array([0.0, np.sin(0.5), np.cos(0.5)]), 1 / 700
    normal = so3_exp(np.array([0.0, np.radians(10), 0.0])) @ down
    rays, level = town(0.3, noise, 3, normal)
    ground = find_ground(*rays, ROTATION, TRANSLATION, noise, down)
    assert ground.on[level].mean() > 0.9
    assert np.degrees(angle_between(ground.plane, normal)) < 1.0


def test_the_ground_is_found_without_gravity():
    down = np.array([0.0, np.sin(0.3), np.cos(0.3)])
    rays, level = town(0.4, 1 / 1000, 1, down)
    ground = find_ground(*rays, ROTATION, TRANSLATION, 1 / 1000)
    assert np.degrees(angle_between(ground.plane, down)) < 1.5
    assert ground.on[level].mean() > 0.9


def test_the_covariance_matches_repeated_views():
    """Over 200 noise samples of an exact pose, the normalised squared error of the plane has the mean 3."""
    down = np.array([0.0, np.sin(0.5), np.cos(0.5)])
    truth = down / HEIGHT * BASE
    squares = []
    for seed in range(200):
        rays, _ = town(0.0, 1 / 700, seed, down, count=200, trees=0.0, wrong=0.0)
        ground = find_ground(*rays, ROTATION, TRANSLATION, 1 / 700)
        squares.append((ground.plane - truth) @ np.linalg.solve(ground.covariance, ground.plane - truth))
    assert np.mean(squares) == pytest.approx(3.0, rel=0.25)


@given(st.integers(0, 40), st.integers(0, 1000), st.sampled_from(["random", "point", "line", "parallel", "nan"]))
@settings(deadline=None, max_examples=40)
def test_no_input_raises(count, seed, kind):
    rng = np.random.default_rng(seed)
    x0, x1 = (np.insert(rng.uniform(-1, 1, (count, 2)), 2, 1.0, axis=1) for _ in range(2))
    if kind == "point":
        x0[:], x1[:] = [0.1, 0.2, 1.0], [0.3, 0.2, 1.0]
    elif kind == "line":
        x0[:, 1], x1[:, 1] = 0.0, 0.0
    elif kind == "parallel":
        x1 = x0 @ ROTATION
    elif kind == "nan":
        x0[::2] = np.nan
    for gravity in (None, np.array([0.0, 0.0, 1.0])):
        ground = find_ground(x0, x1, ROTATION, TRANSLATION, 1e-3, gravity)
        if ground is not None:
            assert np.isfinite(ground.plane).all()
            assert ground.on.shape == (count,)
