"""The choice of frames, and the size of their pictures."""

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from replay_ros.report.pictures import choose_frames, describe_choice, encode_picture, spread_evenly


def test_few_frames_are_all_chosen():
    assert choose_frames(5, [3], [0, 4], 5) == [0, 1, 2, 3, 4]
    assert describe_choice(5, 5) == "All 5 frames are shown."


@given(st.integers(1, 400), st.integers(1, 60), st.data())
def test_frames_to_check_are_chosen_within_the_limit(count, limit, data):
    frames = st.lists(st.integers(0, count - 1), max_size=12, unique=True)
    to_check, keyframes = data.draw(frames), sorted(data.draw(frames))
    chosen = choose_frames(count, to_check, keyframes, limit)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(count, limit)
    assert set(to_check[:limit]) <= set(chosen)


def test_other_frames_are_spread_over_the_flight():
    chosen = choose_frames(1000, [17], [], 50)
    assert {0, 17, 999} <= set(chosen)
    assert max(np.diff(chosen)) <= 25
    assert "50 of 1000 frames are shown" in describe_choice(len(chosen), 1000)


def test_pictures_keep_the_byte_limit_and_the_aspect_ratio():
    noise = np.random.default_rng(0).integers(0, 255, (1080, 1920, 3)).astype(np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), 2)
    data = encode_picture(image, 70_000)
    assert len(data) <= 70_000
    height, width = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    assert width / height == 1920 / 1080
    assert width >= 480


def test_small_pictures_keep_their_size_and_colours():
    image = np.zeros((120, 160, 3), np.uint8)
    image[:, :, 0] = 200  # red
    decoded = cv2.imdecode(np.frombuffer(encode_picture(image, 100_000), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == image.shape
    assert abs(int(decoded[60, 80, 2]) - 200) < 8


def test_items_are_spread_evenly_with_both_ends():
    assert spread_evenly(list(range(10)), 4) == [0, 3, 6, 9]
    assert spread_evenly([1, 2], 4) == [1, 2]
    assert spread_evenly([], 4) == spread_evenly([1, 2], 0) == []
