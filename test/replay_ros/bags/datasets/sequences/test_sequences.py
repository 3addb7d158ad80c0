"""Folders of images and videos as sequences of stamped frames."""

import shutil
from decimal import Decimal

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception_common.errors import InputError
from replay_ros.bags.datasets.formats import open_sequence
from replay_ros.bags.datasets.sequences.frames import BrokenFrame, Frame, parse_stamp, regular_stamp
from replay_ros.bags.datasets.sequences.images import natural_key, numbered_images


def write_images(folder, *names):
    """Write small images whose blue channel holds their number."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        image = np.full((6, 8, 3), (10 * number, 100, 200), np.uint8)
        assert cv2.imwrite(str(folder / name), image)
    return folder


def test_numbered_images_are_in_natural_order_at_the_given_rate(tmp_path):
    folder = write_images(tmp_path / "images", "a10.png", "a2.png", "a1.png")
    frames = list(open_sequence(folder, rate=4.0, start_ns=5_000_000_000))
    assert [frame.name for frame in frames] == ["a1.png", "a2.png", "a10.png"]
    assert [frame.stamp_ns for frame in frames] == [5_000_000_000, 5_250_000_000, 5_500_000_000]
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [20, 10, 0]


def test_names_that_are_seconds_are_stamps_to_the_nanosecond(shared_data):
    sequence = open_sequence(shared_data / "tum_fr2_desk" / "images")
    frames = list(sequence)
    assert len(frames) == len(sequence) == 20
    assert frames[0].stamp_ns == 1_311_868_169_163_498_000
    assert all(Decimal(frame.name.removesuffix(".png")) * 10**9 == frame.stamp_ns for frame in frames)
    assert frames[0].image.shape == (480, 640, 3)


def test_names_that_are_nanoseconds_are_stamps(tmp_path):
    folder = write_images(tmp_path / "images", "1403636579763555584.png", "1403636579813555456.png")
    assert [frame.stamp_ns for frame in open_sequence(folder)] == [1403636579763555584, 1403636579813555456]


@pytest.mark.parametrize(
    ("names", "stamps"),
    [
        (("1700000000", "1700000001"), (1_700_000_000 * 10**9, 1_700_000_001 * 10**9)),
        (("1700000000123", "1700000000456"), (1_700_000_000_123 * 10**6, 1_700_000_000_456 * 10**6)),
        (("1700000000123456", "1700000000223456"), (1_700_000_000_123_456 * 10**3, 1_700_000_000_223_456 * 10**3)),
        (("1700000000123456789", "1700000000223456789"), (1_700_000_000_123_456_789, 1_700_000_000_223_456_789)),
        (("frame_1700000000123", "frame_1700000000456"), (1_700_000_000_123 * 10**6, 1_700_000_000_456 * 10**6)),
        (("1700000000.123_left", "1700000000.456_left"), (1_700_000_000_123 * 10**6, 1_700_000_000_456 * 10**6)),
        (
            ("cam0_1700000000_123456789", "cam0_1700000001_000000001"),
            (1_700_000_000_123_456_789, 1_700_000_001 * 10**9 + 1),
        ),
        (("img-0000000001", "img-0000000002"), (1_000_000_000, 1_100_000_000)),
        (("DJI_20240131120000_0001_V", "DJI_20240131120002_0002_V"), (1_000_000_000, 1_100_000_000)),
        (("0000000001", "0000000002"), (1_000_000_000, 1_100_000_000)),  # numbers, as in KITTI's raw data
        (("9999999998", "9999999999"), (1_000_000_000, 1_100_000_000)),  # after the year 2100: numbers
    ],
)
def test_the_digits_of_names_tell_the_unit_of_their_stamps(tmp_path, names, stamps):
    folder = write_images(tmp_path / "images", *(f"{name}.png" for name in names))
    assert tuple(frame.stamp_ns for frame in open_sequence(folder)) == stamps


def test_a_stray_file_is_left_out_and_named(tmp_path):
    folder = write_images(tmp_path / "images", "10.5.png", "11.5.png", "cover.png")
    (folder / "notes.txt").write_text("")
    sequence = open_sequence(folder)
    assert [frame.stamp_ns for frame in sequence] == [10_500_000_000, 11_500_000_000]
    assert sequence.timing == "times from the file names"
    assert any(note.endswith("left out: cover.png") for note in sequence.notes)
    assert any(note.startswith("1 files that are no images") and "notes.txt" in note for note in sequence.notes)


def test_a_stamp_among_numbers_is_not_used_and_counted(tmp_path):
    sequence = open_sequence(write_images(tmp_path / "images", "10.5.png", "1.png", "2.png"))
    assert [frame.name for frame in sequence] == ["1.png", "2.png", "10.5.png"]
    assert sequence.timing == "times made up: 10 Hz"
    assert any("only 1 of 3 names are stamps" in note for note in sequence.notes)


def test_a_rate_overrides_stamps_in_names(tmp_path):
    folder = write_images(tmp_path / "images", "10.5.png", "11.5.png")
    sequence = open_sequence(folder, rate=2.0)
    assert [frame.stamp_ns for frame in sequence] == [1_000_000_000, 1_500_000_000]
    assert sequence.timing == "times made up: 2 Hz, as given"


def test_a_pattern_selects_images(tmp_path):
    folder = write_images(tmp_path / "images", "left1.png", "right1.png", "left2.png")
    assert [frame.name for frame in open_sequence(folder, pattern="left*")] == ["left1.png", "left2.png"]


def test_a_broken_image_is_named_and_the_others_are_read(tmp_path):
    folder = write_images(tmp_path / "images", "1.png", "2.png", "3.png")
    (folder / "2.png").write_bytes(b"no image")
    first, broken, last = open_sequence(folder)
    assert isinstance(first, Frame)
    assert isinstance(last, Frame)
    assert broken == BrokenFrame("2.png", 1_100_000_000, broken.reason)
    assert "2.png: is not an image" in broken.reason


@pytest.mark.parametrize(
    ("make", "options", "sentence"),
    [
        (lambda path: None, {}, "does not exist"),
        (lambda path: path.mkdir(), {}, "holds no images"),
        (lambda path: write_images(path, "1.png"), {"pattern": "left*"}, "none matches 'left\\*'"),
        (lambda path: write_images(path, "1.5.png", "1.50.png"), {}, "have the same stamp"),
        (lambda path: write_images(path, "1.5.png"), {"start_ns": 0}, "a start stamp contradicts them"),
        (lambda path: write_images(path, "1.png"), {"rate": 0.0}, "the rate is 0.0 Hz"),
        (lambda path: write_images(path, "1.png"), {"start_ns": -1}, "not negative"),
        (lambda path: path.write_bytes(b"no video"), {}, "not a video that OpenCV can read"),
        (lambda path: path.write_bytes(b"no video"), {"pattern": "*.png"}, "leave it out"),
    ],
)
def test_the_error_for_an_unreadable_source_gives_the_cause(tmp_path, make, options, sentence):
    make(tmp_path / "source")
    with pytest.raises(InputError, match=sentence):
        open_sequence(tmp_path / "source", **options)


def test_the_error_for_a_folder_of_folders_names_the_one_with_images(tmp_path):
    write_images(tmp_path / "images", "1.png")
    with pytest.raises(InputError, match=f"{tmp_path / 'images'} holds some: give that folder"):
        open_sequence(tmp_path)


def test_a_single_image_is_refused(tmp_path):
    write_images(tmp_path / "images", "1.png")
    with pytest.raises(InputError, match="is a single image"):
        open_sequence(tmp_path / "images" / "1.png")


def test_an_image_with_an_orientation_is_turned_upright(tmp_path):
    folder = write_images(tmp_path / "images", "1.jpg", "2.jpg")
    jpeg = (folder / "2.jpg").read_bytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    (folder / "2.jpg").write_bytes(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])
    plain, turned = open_sequence(folder)
    assert (plain.image.shape, plain.orientation) == ((6, 8, 3), "")
    assert (turned.image.shape, turned.orientation) == ((8, 6, 3), "EXIF orientation 6")


def test_images_are_read_lazily(tmp_path):
    folder = write_images(tmp_path / "images", "1.png", "2.png")
    frames = iter(open_sequence(folder))
    next(frames)
    shutil.copy(folder / "1.png", folder / "2.png")
    assert int(next(frames).image[0, 0, 0]) == 0


@given(seconds=st.integers(0, 9_999_999_999), nanoseconds=st.integers(0, 999_999_999))
def test_stamps_are_parsed_exactly(seconds, nanoseconds):
    assert parse_stamp(f"{seconds}.{nanoseconds:09d}") == seconds * 10**9 + nanoseconds


@given(st.text(alphabet="abz_-", min_size=1))
def test_words_are_not_stamps(stem):
    assert parse_stamp(stem) is None


@given(st.lists(st.integers(0, 10**6), unique=True), st.sampled_from(["", "img", "img-"]))
def test_natural_order_follows_the_numbers(numbers, prefix):
    names = [f"{prefix}{number}.png" for number in numbers]
    assert sorted(names, key=natural_key) == [f"{prefix}{number}.png" for number in sorted(numbers)]


@given(rate=st.floats(0.1, 1000.0), index=st.integers(0, 10**6))
def test_regular_stamps_do_not_drift(rate, index):
    assert abs(regular_stamp(0, rate, index) - index * Decimal(10**9) / Decimal(rate)) <= max(1, index * 1e-6)


def test_two_images_with_one_number_are_refused(tmp_path):
    write_images(tmp_path, "1.png", "01.png", "2.png")
    with pytest.raises(InputError, match=r"01\.png and 1\.png have the same number"):
        numbered_images(tmp_path, example="000000.png")
