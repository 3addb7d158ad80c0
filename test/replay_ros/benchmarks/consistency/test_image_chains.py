"""Chains of images of simulated flights: exact poses, and courses that are what they claim."""

import numpy as np
import pytest

from replay_ros.benchmarks.consistency.image_chains import render_chain


@pytest.mark.slow
def test_a_turn_stays_on_the_spot_and_a_flight_moves():
    turn = render_chain("turn", 3, 2, (64, 48))
    survey = render_chain("survey", 3, 3, (64, 48))
    np.testing.assert_array_equal(turn.poses[0][:3, 3], turn.poses[1][:3, 3])
    assert np.trace(turn.poses[0][:3, :3].T @ turn.poses[1][:3, :3]) < 3
    steps = np.linalg.norm(np.diff([pose[:3, 3] for pose in survey.poses], axis=0), axis=1)
    assert (steps > 2).all()
    assert (steps < 15).all()
    assert [image.shape for image in survey.images] == [(48, 64)] * 3
    assert survey.camera.width == 64
