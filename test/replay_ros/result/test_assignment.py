"""Messages of a recorded replay are assigned to images also where stamps repeat or are missing."""

import numpy as np
import pytest

from replay_ros.result.assignment import Moment, assign_to_images

STAMPS = {
    "increasing": [1, 2, 3, 4, 5, 6],
    "starting over": [1, 2, 3, 1, 2, 3],
    "missing": [0] * 6,
    "mixed": [0, 0, 7, 7, 8, 0],
}


@pytest.mark.parametrize("kind", sorted(STAMPS))
@pytest.mark.parametrize("seed", range(20))
def test_answers_at_the_times_of_their_images_are_found_whatever_the_stamps(kind, seed):
    """Offline and in lockstep an answer is recorded when its image was; any of the images may have none."""
    images = [Moment(stamp, 10 * number) for number, stamp in enumerate(STAMPS[kind])]
    answered = np.flatnonzero(np.random.default_rng(seed).random(6) < 0.7).tolist()
    assert assign_to_images(images, [images[number] for number in answered]) == answered


def test_later_answers_are_assigned_where_the_stamp_says_it_or_all_are_there():
    images = [Moment(1, 0), Moment(2, 10), Moment(1, 20), Moment(2, 30)]
    assert assign_to_images(images, [Moment(1, 5), Moment(1, 26), Moment(2, 33)]) == [0, 2, None]
    assert assign_to_images(images[:2], [Moment(1, 35), Moment(2, 36)]) == [0, 1]


def test_messages_of_other_images_are_assigned_to_none():
    assert assign_to_images([Moment(1, 0)], [Moment(9, 0)]) == [None]
    assert assign_to_images([], [Moment(9, 0)]) == [None]
