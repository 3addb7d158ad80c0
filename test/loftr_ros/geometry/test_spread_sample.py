"""The sample of matches for a fit: spread over the view, with large weights, deterministic."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.geometry.rays import ray_pairs
from loftr_ros.geometry.sampling import grid_cells, spread_sample
from perception_common.cameras.camera import Camera

CAMERA = Camera.from_matrix(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), 640, 480)


def pairs_of(points, weights=None):
    return ray_pairs(points, points, CAMERA, CAMERA, weights)[0]


@given(st.integers(0, 300), st.integers(1, 300), st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_a_sample_has_the_requested_size_without_duplicates(matches, count, seed):
    pairs = pairs_of(np.random.default_rng(seed).uniform(0, 480, (matches, 2)))
    chosen = spread_sample(pairs, count)
    assert len(chosen) == min(matches, count)
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(chosen, spread_sample(pairs, count))


@given(st.integers(2, 300), st.integers(1, 200), st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_every_cell_gives_its_heaviest_match_then_the_next(matches, count, seed):
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 6, matches) / 5.0  # with ties
    pairs = pairs_of(rng.uniform(0, 200, (matches, 2)), weights)
    cells = grid_cells(pairs, 16)
    queues = [sorted(np.flatnonzero(cells == cell), key=lambda i: -weights[i]) for cell in range(256)]
    rounds = [[queue[k] for queue in queues if len(queue) > k] for k in range(matches)]
    expected = [i for members in rounds for i in sorted(members, key=lambda i: -weights[i])][:count]
    np.testing.assert_array_equal(spread_sample(pairs, count), sorted(expected))


def test_a_dense_cluster_does_not_displace_the_rest():
    rng = np.random.default_rng(0)
    crowd, rest = rng.uniform(0, 30, (1000, 2)), rng.uniform([40, 40], [640, 480], (100, 2))
    chosen = spread_sample(pairs_of(np.concatenate([crowd, rest])), 150)
    assert (chosen >= 1000).sum() == 100


def test_the_heaviest_of_matches_in_one_place_are_taken():
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.1, 1.0, 500)
    points = np.repeat(rng.uniform(0, 480, (50, 2)), 10, axis=0)
    chosen = spread_sample(pairs_of(points, weights), 50)
    heaviest = weights.reshape(50, 10).argmax(axis=1) + 10 * np.arange(50)
    assert np.isin(chosen, heaviest).mean() > 0.8  # two places may share a cell


def test_identical_matches_can_be_sampled():
    assert len(spread_sample(pairs_of(np.full((50, 2), 7.0)), 20)) == 20
