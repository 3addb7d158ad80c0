"""Videos as sequences: times of the container, broken frames, rotation."""

import struct

import cv2
import numpy as np
import pytest

from replay_ros.bags.datasets.formats import open_sequence
from replay_ros.bags.datasets.sequences.frames import BrokenFrame, Frame

VARIABLE = [0, 100, 200, 1200, 2200, 2300, 5300, 5400]  # milliseconds


def picture(number: int, size=(64, 48)) -> np.ndarray:
    return np.full((size[1], size[0], 3), 20 * number, np.uint8)


def write_video(path, count, code="MJPG", size=(64, 48)):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 25.0, size)
    for number in range(count):
        writer.write(picture(number, size))
    writer.release()
    return path


def element(identifier: str, content: bytes) -> bytes:
    """An element of EBML, with a length of 8 bytes."""
    return bytes.fromhex(identifier) + (1 << 56 | len(content)).to_bytes(8, "big") + content


def number(identifier: str, value: int) -> bytes:
    return element(identifier, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def write_matroska(path, frames: list[bytes], times_ms: list[int]):
    """A Matroska file of JPEG frames with these times: the container has no frame rate."""
    head = element("1A45DFA3", number("4286", 1) + element("4282", b"matroska") + number("4287", 4) + number("4285", 2))
    duration = element("4489", struct.pack(">d", times_ms[-1] + 100.0))
    info = element("1549A966", number("2AD7B1", 1_000_000) + element("4D80", b"x") + element("5741", b"x") + duration)
    video = element("E0", number("B0", 64) + number("BA", 48))
    entry = number("D7", 1) + number("73C5", 1) + number("83", 1) + number("9C", 0) + element("86", b"V_MJPEG") + video
    clusters = [
        element("1F43B675", number("E7", time) + element("A3", b"\x81\0\0\x80" + frame))
        for frame, time in zip(frames, times_ms, strict=True)
    ]
    path.write_bytes(head + element("18538067", info + element("1654AE6B", element("AE", entry)) + b"".join(clusters)))
    return path


def jpegs(count: int) -> list[bytes]:
    return [cv2.imencode(".jpg", picture(index))[1].tobytes() for index in range(count)]


def milliseconds(frames) -> list[float]:
    return [(frame.stamp_ns - 1_000_000_000) / 1e6 for frame in frames]


def test_a_video_has_times_of_its_own(tmp_path):
    sequence = open_sequence(write_video(tmp_path / "flight.avi", 6))
    frames = list(sequence)
    assert len(sequence) == len(frames) == 6
    assert milliseconds(frames) == [0, 40, 80, 120, 160, 200]
    assert [round(float(frame.image.mean()), -1) for frame in frames] == [0, 20, 40, 60, 80, 100]
    assert sequence.timing == "times from the video"


def test_a_variable_frame_rate_is_kept(tmp_path):
    frames = list(open_sequence(write_matroska(tmp_path / "flight.mkv", jpegs(8), VARIABLE)))
    assert all(isinstance(frame, Frame) for frame in frames)
    assert milliseconds(frames) == VARIABLE


@pytest.mark.parametrize("broken", [0, 3, 7])
@pytest.mark.parametrize("content", [bytes(500), b"\xff\xd8" + bytes(range(200))], ids=["zeros", "junk"])
def test_a_frame_that_cannot_be_decoded_is_named_and_the_others_keep_their_times(tmp_path, broken, content):
    frames = jpegs(8)
    frames[broken] = content
    read = list(open_sequence(write_matroska(tmp_path / "flight.mkv", frames, VARIABLE)))
    good = [frame for frame in read if isinstance(frame, Frame)]
    assert milliseconds(good) == VARIABLE[:broken] + VARIABLE[broken + 1 :]
    names = [frame.name for frame in read if isinstance(frame, BrokenFrame)]
    assert names == [f"frame {broken}"]
    assert [frame.stamp_ns for frame in read] == sorted(frame.stamp_ns for frame in read)


def test_times_that_do_not_ascend_are_named(tmp_path):
    times = [0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1000, 1200]
    read = list(open_sequence(write_matroska(tmp_path / "flight.mkv", jpegs(13), times)))
    assert [frame.reason.split(": ")[1] for frame in read if isinstance(frame, BrokenFrame)] == [
        "its time is not after that of the frame before"
    ]
    assert len(read) == 13


def test_a_video_without_times_has_the_rate_that_it_states(tmp_path):
    """JPEG frames one behind the other, as some cameras store them."""
    (tmp_path / "flight.mjpeg").write_bytes(b"".join(jpegs(4)))
    sequence = open_sequence(tmp_path / "flight.mjpeg")
    assert milliseconds(list(sequence)) == [0, 40, 80, 120]
    assert sequence.timing == "times made up: 25 Hz, the rate of the video, which states no times"


def test_a_given_rate_replaces_the_times(tmp_path):
    sequence = open_sequence(write_video(tmp_path / "flight.avi", 2), rate=10.0, start_ns=0)
    assert [frame.stamp_ns for frame in sequence] == [0, 100_000_000]
    assert sequence.timing == "times made up: 10 Hz, as given"


def test_a_video_that_ends_early_is_told(tmp_path):
    whole = write_video(tmp_path / "flight.avi", 8).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: whole.rindex(b"00dc", 0, whole.index(b"idx1")) - 900])
    *frames, last = open_sequence(tmp_path / "cut.avi")
    assert 1 <= len(frames) < 8
    assert isinstance(last, BrokenFrame)
    assert "the video ends with a frame at" in last.reason


@pytest.mark.parametrize(("quarters", "matrix"), [(1, (0, 1, -1, 0)), (2, (-1, 0, 0, -1)), (3, (0, -1, 1, 0))])
def test_a_rotation_in_the_container_is_applied(tmp_path, quarters, matrix):
    """The matrix of the track header (tkhd) of MP4 says how players turn the pictures."""
    stored = np.zeros((48, 64, 3), np.uint8)
    stored[:24, :32] = 255  # white top left
    writer = cv2.VideoWriter(str(tmp_path / "a.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, (64, 48))
    for _ in range(3):
        writer.write(stored)
    writer.release()
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    begin = data.index(b"tkhd") + 4 + 40  # version 0: the matrix follows 40 bytes of other fields
    assert struct.unpack_from(">9i", data, begin) == (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    a, b, c, d = (value << 16 for value in matrix)
    struct.pack_into(">9i", data, begin, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "turned.mp4").write_bytes(data)
    frame = next(iter(open_sequence(tmp_path / "turned.mp4")))
    expected = np.rot90(stored, -quarters)
    assert frame.image.shape == expected.shape
    assert np.abs(frame.image.astype(int) - expected)[4:-4:4, 4:-4:4].mean() < 12
    assert "degrees in the container" in frame.orientation
