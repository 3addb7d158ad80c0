import numpy as np
import pytest

from perception_common.timing.windows import LatencyWindow, RateWindow


def test_percentiles_are_of_the_last_values():
    window = LatencyWindow(size=100)
    for value in [*[1000.0] * 50, *range(1, 101)]:
        window.add(float(value))
    assert window.count == 100
    assert window.p50 == 50.5
    assert window.p95 == pytest.approx(95.05)


def test_a_single_latency_is_every_percentile():
    window = LatencyWindow()
    window.add(0.25)
    assert (window.count, window.p50, window.p95) == (1, 0.25, 0.25)


def test_percentiles_of_an_empty_window_are_nan():
    window = LatencyWindow()
    assert window.count == 0
    assert np.isnan([window.p50, window.p95]).all()


def test_a_steady_rate():
    window = RateWindow(seconds=2.0)
    for frame in range(300):
        window.add(1000 + frame / 30)
    assert window.rate(1000 + 299 / 30) == pytest.approx(30, abs=0.5)


def test_the_rate_falls_without_events():
    window = RateWindow(seconds=2.0)
    assert window.rate(0.0) == 0.0
    for stamp in (10.0, 10.5, 11.0):
        window.add(stamp)
    assert [window.rate(now) for now in (11.0, 12.0, 12.5, 13.0)] == [1.5, 1.0, 0.5, 0.0]
