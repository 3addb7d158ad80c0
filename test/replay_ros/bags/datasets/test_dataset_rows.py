"""Rows of text files: numbers and stamps are read exactly, and errors name the line."""

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perception_common.errors import InputError
from replay_ros.bags.datasets.rows import Row, read_image_list, read_rows

STAMP = st.integers(0, 2**31 * 10**9 - 1)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@given(STAMP)
def test_a_stamp_survives_as_seconds_and_as_nanoseconds(path_stamp):
    seconds = f"{path_stamp // 10**9}.{path_stamp % 10**9:09d}"
    assert Row("a", 1, (seconds,)).seconds() == path_stamp
    assert Row("a", 1, (f"{Decimal(seconds):e}",)).seconds() == path_stamp  # as KITTI writes its times
    assert Row("a", 1, (str(path_stamp),)).nanoseconds() == path_stamp


@files
@given(
    table=st.lists(st.lists(FINITE, min_size=3, max_size=3), min_size=1), separator=st.sampled_from([" ", ",", ", "])
)
def test_numbers_survive_comments_and_empty_lines(tmp_path, table, separator):
    lines = [separator.join(map(repr, row)) for row in table]
    (tmp_path / "a.txt").write_text("# heading\n\n" + "\n \n#\n".join(lines), encoding="utf-8")
    rows = read_rows(tmp_path / "a.txt", "table", "x y z")
    assert [row.numbers() for row in rows] == table
    assert [row.number for row in rows] == [3 + 3 * index for index in range(len(table))]


@files
@given(text=st.text())
def test_any_text_is_rows_or_one_line_of_error(tmp_path, text):
    (tmp_path / "a.txt").write_text(text, encoding="utf-8", newline="")

    def read():
        return [(row.seconds(), row.numbers()) for row in read_rows(tmp_path / "a.txt", "table", "stamp file")]

    said = ""
    try:
        rows = read()
    except InputError as error:
        rows, said = [], str(error)
    assert rows or str(tmp_path / "a.txt") in said


@files
@given(st.lists(STAMP, min_size=1, max_size=8, unique=True))
def test_lists_of_files_are_sorted_by_their_stamps(tmp_path, stamps):
    (tmp_path / "rgb.txt").write_text("".join(f"{stamp},{stamp}.png\n" for stamp in stamps))
    images = read_image_list(tmp_path / "rgb.txt", "list", tmp_path / "data", in_seconds=False)
    assert images.stamps_ns == tuple(sorted(stamps))
    assert images.files == tuple(tmp_path / "data" / f"{stamp}.png" for stamp in sorted(stamps))


@pytest.mark.parametrize("cell", ["-1", "3000000000", "nan", "inf", "now", "1e400"])
def test_a_stamp_that_ros_cannot_hold_is_refused(tmp_path, cell):
    with pytest.raises(InputError, match="line 7"):
        Row(tmp_path, 7, (cell,)).seconds()


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("# nothing\n")
    with pytest.raises(InputError, match=r"table .*a\.txt holds no rows; expected x y"):
        read_rows(tmp_path / "a.txt", "table", "x y")
