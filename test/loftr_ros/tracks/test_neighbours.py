"""Grid hashing beside the search through all pairs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from loftr_ros.tracks.neighbours import nearest_within, pairs_within, thin_out

coordinates = st.floats(-50, 50, allow_nan=False, width=32)
points = st.lists(st.tuples(coordinates, coordinates), max_size=25).map(lambda rows: np.array(rows).reshape(-1, 2))
radii = st.sampled_from([0.3, 1.0, 4.0, 17.0])


@given(points, points, radii)
@settings(deadline=None)
def test_all_pairs_within_the_radius_are_found(points0, points1, radius):
    distances = cdist(points0, points1) if len(points0) and len(points1) else np.zeros((len(points0), len(points1)))
    index0, index1 = pairs_within(points0, points1, radius)
    assert set(zip(index0, index1, strict=True)) == set(zip(*np.nonzero(distances <= radius), strict=True))
    assert len(index0) == (distances <= radius).sum()
    assert np.all(np.diff(index0) >= 0)


@given(points, points, radii)
@settings(deadline=None)
def test_the_nearest_one_is_found(points0, points1, radius):
    nearest = nearest_within(points0, points1, radius)
    for point, index in zip(points0, nearest, strict=True):
        distances = np.linalg.norm(points1 - point, axis=1)
        if index < 0:
            assert not (distances <= radius).any()
        else:
            assert distances[index] == distances.min() <= radius


@given(points, radii)
@settings(deadline=None)
def test_chosen_points_keep_their_distance_and_stand_for_all(points, radius):
    stands = thin_out(points, radius)
    chosen: list[int] = []
    for index, point in enumerate(points):  # greedy, by its definition
        near = [other for other in chosen if np.linalg.norm(points[other] - point) <= radius]
        assert stands[index] == (near[0] if near else index)
        if not near:
            chosen.append(index)
