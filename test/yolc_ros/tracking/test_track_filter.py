import numpy as np
import pytest

from yolc_ros.tracking.filter import first_motion, innovation_covariance, predict, slow_innovation_covariance

SIZE = 40.0  # pixels


@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.5, 0.667, 1.0, 2.0])
def test_objects_that_stand_or_walk_are_expected_nearer_than_fast_ones(seconds):
    """The variance is that of two boxes, of a first speed of 1 size/s and of an acceleration of 2 sizes/s^2."""
    sizes = np.full(3, SIZE)
    motion = predict(first_motion(np.zeros((3, 2)), sizes), sizes, seconds)
    slow = slow_innovation_covariance(motion, sizes, np.full(3, seconds))
    box = (0.05 * SIZE) ** 2 + 1.5**2
    expected = 2 * box + (1.0 * SIZE * seconds) ** 2 + (2.0 * SIZE * seconds**2 / 2) ** 2
    np.testing.assert_allclose(slow, np.tile(expected * np.eye(2), (3, 1, 1)), rtol=1e-9)
    assert (np.linalg.eigvalsh(innovation_covariance(motion, sizes) - slow) > 0).all()


def test_several_short_steps_leave_a_covariance_that_is_one():
    sizes = np.full(2, SIZE)
    motion = first_motion(np.zeros((2, 2)), sizes)
    for step in range(1, 6):
        motion = predict(motion, sizes, 0.2)
        assert (np.linalg.eigvalsh(slow_innovation_covariance(motion, sizes, np.full(2, 0.2 * step))) > 0).all()
