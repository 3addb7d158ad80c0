import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.datasets.supervision import depth_warp, homography_warp, true_matches

WIDTH, HEIGHT, STRIDE = 96, 64, 8


def everywhere(points):
    return np.ones(len(points), bool)


def matches_of(H):
    return true_matches(
        HEIGHT, WIDTH, STRIDE, homography_warp(H, everywhere), homography_warp(np.linalg.inv(H), everywhere)
    )


def test_an_image_matches_itself_everywhere():
    matches = matches_of(np.eye(3))
    cells = np.arange(WIDTH // STRIDE * (HEIGHT // STRIDE))
    assert np.array_equal(matches.cells0, cells)
    assert np.array_equal(matches.cells1, cells)
    assert np.allclose(matches.points1, np.column_stack([cells % 12, cells // 12]) * 8)


def test_the_remainder_of_a_shift_is_left_to_the_fine_stage():
    H = np.array([[1, 0, 18.5], [0, 1, -2.0], [0, 0, 1]])
    matches = matches_of(H)
    assert (matches.cells1 - matches.cells0 == 2).all()
    centres = np.column_stack([matches.cells1 % 12, matches.cells1 // 12]) * 8
    assert np.allclose(matches.points1 - centres, [2.5, -2.0])
    assert len(matches.cells0) == 10 * 8  # two columns leave the image


@settings(deadline=None, max_examples=40)
@given(
    angle=st.floats(-np.pi, np.pi),
    scale=st.floats(0.6, 1.6),
    shift=st.tuples(st.floats(-20, 20), st.floats(-20, 20)),
    tilt=st.floats(-1e-3, 1e-3),
)
def test_matches_are_one_to_one_and_within_half_a_cell(angle, scale, shift, tilt):
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    centre = np.array([[1, 0, WIDTH / 2], [0, 1, HEIGHT / 2], [0, 0, 1]])
    H = centre @ np.array([[c, -s, shift[0]], [s, c, shift[1]], [tilt, 0, 1]]) @ np.linalg.inv(centre)
    matches = matches_of(H)
    assert len(set(matches.cells0)) == len(matches.cells0)
    assert len(set(matches.cells1)) == len(matches.cells1)
    centres1 = np.column_stack([matches.cells1 % 12, matches.cells1 // 12]) * 8.0
    assert (np.abs(matches.points1 - centres1) <= 4 + 1e-6).all()
    # Independent computation: the true point of each matched cell, one by one.
    for cell, point in zip(matches.cells0, matches.points1, strict=True):
        x, y, w = H @ [cell % 12 * 8.0, cell // 12 * 8.0, 1.0]
        assert np.allclose([x / w, y / w], point, atol=1e-3)


def test_points_behind_the_plane_of_a_homography_are_not_matched():
    H = np.array([[1, 0, 0], [0, 1, 0], [-1 / 48, 0, 1]])  # maps x = 48 to infinity
    _, seen = homography_warp(H, everywhere)(np.array([[40.0, 8.0], [48.0, 8.0], [60.0, 8.0]]))
    assert seen.tolist() == [True, False, False]


K = np.array([[80.0, 0, 47.5], [0, 80.0, 31.5], [0, 0, 1]])


def test_the_depth_warp_of_a_plane_agrees_with_its_homography():
    depth0, depth1 = np.full((HEIGHT, WIDTH), 10.0), np.full((HEIGHT, WIDTH), 8.0)
    T_1_0 = np.eye(4)
    T_1_0[:3, 3] = [0.5, -0.25, -2.0]  # the camera moves forward by 2
    warp01 = depth_warp(depth0, K, depth1, K, T_1_0, 0.01)
    n = np.array([0, 0, 1.0])
    H = K @ (np.eye(3) + np.outer(T_1_0[:3, 3], n) / 10.0) @ np.linalg.inv(K)
    points = np.random.default_rng(0).uniform([30, 20], [60, 45], (50, 2))
    warped, seen = warp01(points)
    expected, _ = homography_warp(H, everywhere)(points)
    assert seen.all()
    assert np.allclose(warped, expected)


def test_cells_hidden_in_the_other_view_are_not_matched():
    depth0 = np.full((HEIGHT, WIDTH), 10.0)
    depth1 = depth0.copy()
    depth1[:, 48:] = 5.0  # an occluding object
    depth1[:8] = 0  # unknown
    depth1[8:16] = np.inf  # sky
    _, seen = depth_warp(depth0, K, depth1, K, np.eye(4), 0.02)(
        np.array([[16.0, 32.0], [80.0, 32.0], [16.0, 4.0], [16.0, 12.0], [-50.0, 32.0]])
    )
    assert seen.tolist() == [True, False, False, False, False]
