import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.datasets.posed_views import PosedView


@settings(deadline=None, max_examples=30)
@given(
    size=st.tuples(st.integers(64, 200), st.integers(64, 200)),
    goal=st.tuples(st.integers(64, 160), st.integers(64, 160)),
)
def test_the_intrinsics_of_a_fitted_view_fit_its_image(size, goal):
    width, height = size
    K = np.array([[90.0, 0, width / 2 - 0.5], [0, 95.0, height / 2 - 0.5], [0, 0, 1]])
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    image = np.clip(x + 0.0 * y, 0, 255).astype(np.uint8)  # gray level = column
    view = PosedView(image, x + 1, K, np.eye(4)).fitted(*goal)
    assert view.image.shape == view.depth.shape == goal[::-1]
    # The column shown by a pixel of the fitted view, from both intrinsics.
    columns = (np.arange(goal[0]) - view.K[0, 2]) / view.K[0, 0] * K[0, 0] + K[0, 2]
    inner = slice(4, -4)
    middle = goal[1] // 2
    scale = max(1.0, K[0, 0] / view.K[0, 0])
    assert np.abs(view.image[middle].astype(float) - columns)[inner].max() < 1 + 0.5 * scale
    assert np.abs(view.depth[middle] - 1 - columns)[inner].max() <= 0.51 * scale + 0.5


def test_the_optical_axis_remains_in_the_middle():
    K = np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]])
    view = PosedView(np.zeros((480, 640), np.uint8), np.ones((480, 640)), K, np.eye(4)).fitted(240, 240)
    assert np.allclose(view.K, [[250, 0, 119.5], [0, 250, 119.5], [0, 0, 1]])
    assert cv2.countNonZero(view.image) == 0
