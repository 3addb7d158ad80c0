"""What is odd about header stamps is counted and named."""

import pytest

from replay_ros.result.image_stamps import describe_stamps, summarise_stamps

SECOND = 10**9


def seconds(*values):
    return [round(value * SECOND) for value in values]


def test_regular_stamps_are_not_mentioned():
    stamps = seconds(1, 2, 3, 4)
    found = summarise_stamps(stamps, seconds(1.1, 2.1, 3.1, 4.1))
    assert list(describe_stamps(found)) == []
    assert (found.images, found.interval_s, found.delay_s) == (4, 1.0, pytest.approx(0.1))


def test_missing_and_repeated_stamps_are_counted_apart():
    found = summarise_stamps(seconds(0, 0, 5, 5, 5, 6), seconds(1, 2, 3, 4, 5, 6))
    assert (found.unstamped, found.repeated, found.jumps_back) == (2, 2, 0)
    told = " / ".join(describe_stamps(found))
    assert "2 of 6 images have no stamp (0)" in told
    assert "2 of 6 images repeat the stamp of an earlier one" in told


def test_stamps_that_jump_back_are_named_with_their_place():
    found = summarise_stamps(seconds(1, 2, 3, 1, 2, 1.5), seconds(1, 2, 3, 4, 5, 6))
    assert (found.jumps_back, found.first_jump, found.largest_jump_s) == (2, 3, 2.0)
    assert any("jump back 2 times, first at image 3, at most by 2.000 s" in told for told in describe_stamps(found))


def test_a_gap_of_the_camera_differs_from_one_of_the_recorder():
    gap, even = seconds(0.1, 1.1, 2.1, 5.1, 6.1), seconds(0.1, 1.1, 2.1, 3.1, 4.1)
    found = summarise_stamps(gap, even)
    assert (found.gaps, found.largest_gap_s, found.gap_after, found.received_gaps) == (1, 3.0, 2, 0)
    assert any("recorded without a gap" in told for told in describe_stamps(found))
    late = summarise_stamps(even, gap)
    assert (late.gaps, late.received_gaps, late.largest_received_gap_s) == (0, 1, 3.0)
    assert any("arrived late, none is missing" in told for told in describe_stamps(late))


def test_an_image_that_cannot_be_read_has_no_stamp_and_is_no_jump():
    found = summarise_stamps([*seconds(1, 2), None, *seconds(4, 3)], seconds(1, 2, 3, 4, 5))
    assert (found.images, found.unstamped, found.repeated) == (5, 0, 0)
    assert (found.jumps_back, found.first_jump) == (1, 4)
    assert summarise_stamps([None], [1]).images == 1


def test_another_clock_is_named():
    assert any("of another clock" in told for told in describe_stamps(summarise_stamps([1, 2], seconds(900, 901))))


@pytest.mark.parametrize("stamps", [[], [5], [0]])
def test_few_images_give_a_summary(stamps):
    assert summarise_stamps(stamps, stamps).images == len(stamps)
