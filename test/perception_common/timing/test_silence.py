"""The time without input, by clocks as simulations and replays have them."""

from perception_common.timing.silence import Silence


def test_it_counts_from_the_last_input():
    silence = Silence()
    silence.end(100.0)
    assert silence.seconds(104.0) == 4.0
    silence.end(104.0)
    assert silence.seconds(104.5) == 0.5


def test_a_clock_that_has_not_begun_is_no_silence():
    silence = Silence()
    assert silence.seconds(0.0) == 0.0
    assert silence.seconds(1_700_000_000.0) == 0.0  # the first time that it tells
    assert silence.seconds(1_700_000_006.0) == 6.0


def test_a_clock_that_jumps_back_begins_anew():
    silence = Silence()
    silence.end(100.0)
    assert silence.seconds(50.0) == 0.0
    assert silence.seconds(57.0) == 7.0
