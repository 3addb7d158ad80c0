import math

import numpy as np
import pytest

from replay_ros.reliability.bench import Answer
from replay_ros.reliability.camera import STEP, make_ground, picture
from replay_ros.reliability.overload import p99
from replay_ros.reliability.soak import MIB, Sample, slope_mib


def test_the_slope_of_memory_ignores_the_warm_up():
    warm_up = [Sample(100 * n, round(MIB * (100 + 50 * n)), 10, 5) for n in range(30)]
    steady = [Sample(100 * n, round(MIB * (1600 + 0.02 * n)), 10, 5) for n in range(30, 100)]
    assert slope_mib(warm_up + steady) == pytest.approx(2.0, rel=0.01)


def test_the_slope_of_nothing_is_no_number():
    assert math.isnan(slope_mib([]))


def test_p99_takes_the_answers_of_its_time_only():
    answers = [Answer(stamp_ns=10**9 * n, arrival_s=n + (0.1 if n < 50 else 9.0)) for n in range(100)]
    assert p99(answers, 0.0, 50.0) == pytest.approx(0.1)
    assert p99(answers, 60.0, 200.0) == pytest.approx(9.0)
    assert math.isnan(p99(answers, 500.0, 600.0))


def test_the_camera_moves_over_the_ground_there_and_back():
    ground = make_ground(400, 60)
    starts = {number: picture(ground, number, 160, 60) for number in range(500)}
    assert all(image.shape == (60, 160) for image in starts.values())
    span = (400 - 160) // STEP
    np.testing.assert_array_equal(starts[0], ground[:, 240:])
    np.testing.assert_array_equal(starts[span], ground[:, :160])
    np.testing.assert_array_equal(starts[2 * span], ground[:, 240:])
