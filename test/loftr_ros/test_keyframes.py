"""The keyframe policy, without a network."""

import numpy as np
import pytest

from loftr_ros.keyframes import KeyframePolicy, Outcome, decide, is_too_soon, median_displacement

POLICY = KeyframePolicy(min_interval=0.5, max_interval=3.0, max_displacement=0.2, min_matches=100, lost_matches=20)


@pytest.mark.parametrize(
    ("seconds", "matches", "displacement", "outcome"),
    [
        (1.0, 500, 0.1, Outcome.TRACKED),
        (1.0, 500, 0.21, Outcome.KEYFRAME),
        (1.0, 99, 0.1, Outcome.KEYFRAME),
        (3.0, 500, 0.0, Outcome.KEYFRAME),
        (1.0, 19, 0.0, Outcome.LOST),
        (1.0, 0, 0.0, Outcome.LOST),
    ],
)
def test_decisions(seconds, matches, displacement, outcome):
    decision = decide(POLICY, seconds, matches, displacement)
    assert decision.outcome == outcome
    assert decision.reason
    assert decision.makes_keyframe == (outcome != Outcome.TRACKED)


def test_an_image_too_soon_is_not_matched():
    assert is_too_soon(POLICY, 0.4).outcome == Outcome.SKIPPED
    assert is_too_soon(POLICY, 0.5) is None


def test_displacement_is_a_fraction_of_the_long_side():
    points = np.array([[0.0, 0], [10, 0], [20, 0]])
    assert median_displacement(points, points + np.array([30, 40]), 500) == pytest.approx(0.1)
    assert median_displacement(np.zeros((0, 2)), np.zeros((0, 2)), 500) == 0
