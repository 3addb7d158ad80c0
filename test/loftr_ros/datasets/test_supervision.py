import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.datasets.supervision import depth_warp, homography_warp, tolerance_of, true_matches

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


def matches_of_the_release(depth0, depth1, T_1_0):
    """What LoFTR's published training does, cell by cell: warp, round, and keep pairs of cells that warp to each other.

    Depths are not compared. A point is inside if its rounded cell is.
    """
    columns, rows = WIDTH // STRIDE, HEIGHT // STRIDE

    def cell_of(x, y, depth, T):
        z = depth[int(y), int(x)]
        if z == 0:
            return None
        point = T[:3, :3] @ (np.linalg.inv(K) @ [x * z, y * z, z]) + T[:3, 3]
        u, v, w = K @ point
        column, row = round(u / w / STRIDE), round(v / w / STRIDE)
        return row * columns + column if 0 <= column < columns and 0 <= row < rows else None

    def warped(depth, T):
        return [cell_of(n % columns * STRIDE, n // columns * STRIDE, depth, T) for n in range(rows * columns)]

    forth, back = warped(depth0, T_1_0), warped(depth1, np.linalg.inv(T_1_0))
    return [(i, j) for i, j in enumerate(forth) if j is not None and back[j] == i]


def test_the_supervision_of_the_release_compares_no_depths_and_keeps_the_border():
    rng = np.random.default_rng(0)
    depth0 = np.full((HEIGHT, WIDTH), 10.0)
    depth0[:, 60:] = 6.0  # a wall, which hides a part of the ground in the other view
    depth0[rng.random(depth0.shape) < 0.05] = 0
    depth1 = np.full((HEIGHT, WIDTH), 10.4)
    depth1[:, 52:] = 7.5  # nearer, and not at the same depth: the depths do not agree
    T_1_0 = np.eye(4)
    T_1_0[:3, 3] = [-0.43, 0.27, 0.0]
    warps = {
        tolerance: (
            depth_warp(depth0, K, depth1, K, T_1_0, tolerance),
            depth_warp(depth1, K, depth0, K, np.linalg.inv(T_1_0), tolerance),
        )
        for tolerance in (None, tolerance_of("depth", 0.2))
    }
    assert tolerance_of("release", 0.2) is None
    found = {tolerance: true_matches(HEIGHT, WIDTH, STRIDE, *pair) for tolerance, pair in warps.items()}
    release = list(zip(found[None].cells0.tolist(), found[None].cells1.tolist(), strict=True))
    assert release == matches_of_the_release(depth0, depth1, T_1_0)
    ours = list(zip(found[0.2].cells0.tolist(), found[0.2].cells1.tolist(), strict=True))
    assert set(ours) < set(release)
    only_theirs = sorted(set(release) - set(ours))
    points = dict(zip(release, found[None].points1, strict=True))
    outside = [pair for pair in only_theirs if (points[pair] < 0).any()]
    assert outside  # points up to half a cell outside of image 1
    assert all((points[pair] >= -STRIDE / 2).all() for pair in outside)
    assert len(only_theirs) > len(outside)  # and points whose depths do not agree
