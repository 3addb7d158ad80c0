"""Text, tables, JSON, YAML and stamps from outside: a result or an InputError, in bounded time."""

import json
import time
import tracemalloc
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_common.errors import InputError
from perception_common.paths import inner_path
from perception_common.stamps import parse_stamp_ns
from perception_common.text.json_files import parse_json
from perception_common.text.stamped_table import read_stamped_table
from perception_common.text.text_files import decode_text, read_text, table_rows
from perception_common.text.yaml_files import parse_yaml
from perception_common.tum import read_tum

ROWS = "# comment\n1.5 0 0 1 0 0 0 1\n2.5 0 0 2 0 0 0 1\n"


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + ROWS.encode(),
        ROWS.replace("\n", "\r\n").encode(),
        ROWS.replace("\n", "\r").encode(),
        ROWS.replace(" ", "\t").encode(),
        ROWS.replace(" ", ", ").encode(),
        ROWS.replace(" ", ";").replace("\n", ";\n").encode(),
        b"stamp tx ty tz qx qy qz qw\n" + ROWS.encode(),
    ],
)
def test_no_row_of_a_table_is_lost(tmp_path, data):
    path = tmp_path / "t.tum"
    path.write_bytes(data)
    assert read_tum(path).stamps_ns.tolist() == [1_500_000_000, 2_500_000_000]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (ROWS.encode("utf-16"), "UTF-16; save it as UTF-8"),
        (ROWS.encode("utf-32"), "UTF-32; save it as UTF-8"),
        (b"caf\xe9", "at byte 3"),
        (b"a\0b", "NUL"),
    ],
)
def test_other_encodings_are_named(data, words):
    with pytest.raises(InputError, match=words):
        decode_text(data)


def test_a_folder_and_a_large_file_are_refused(tmp_path):
    with pytest.raises(InputError, match="is not a file"):
        read_text(tmp_path)
    (tmp_path / "large").write_bytes(b"x" * 100)
    with pytest.raises(InputError, match="too large"):
        read_text(tmp_path / "large", limit=99)
    assert read_text(tmp_path / "large", limit=100) == "x" * 100


def test_an_empty_cell_moves_no_value_to_another_column():
    assert list(table_rows("1,,2,\n\n# x\n a\tb ; c")) == [(1, ["1", "", "2"]), (4, ["a", "b", "c"])]


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.sampled_from([0, 3, 6, 9]))
def test_stamps_are_exact(nanoseconds, digits):
    assert parse_stamp_ns(str(Decimal(nanoseconds).scaleb(-digits)), digits=digits) == nanoseconds


@pytest.mark.parametrize("text", ["1e999999", "-1e999999", "1e400", "nan", "inf", "sNaN", "x", "9" * 5000, "1e20"])
def test_stamps_beyond_all_bounds_are_refused_at_once(text):
    begin = time.monotonic()
    with pytest.raises(InputError):
        parse_stamp_ns(text)
    assert time.monotonic() - begin < 1


def test_stamps_that_round_to_nothing():
    assert parse_stamp_ns("1e-999999") == parse_stamp_ns("0e999999") == parse_stamp_ns("0") == 0


def test_integers_of_json_and_yaml_beyond_a_double_are_infinite():
    assert parse_json("[1, 123456789012345678, -5]") == [1, 123456789012345678, -5]
    for digits in (400, 6000):
        assert parse_json(f"[{'9' * digits}]") == [float("inf")]
    assert parse_yaml("[0x" + "f" * 6000 + ", " + "9" * 400 + ", 12]") == [float("inf"), float("inf"), 12]


BOMB = "a: &a [x, x]\n" + "".join(
    f"{k}: &{k} [{', '.join(['*' + p] * 9)}]\n" for p, k in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("tag", ["int", "timestamp", "bool", "float", "binary", "python/name:os.getcwd", "omap"])
def test_values_that_do_not_fit_their_tag_are_refused(tag):
    with pytest.raises(InputError, match="not valid YAML"):
        parse_yaml(f"a: !!{tag} x")


@pytest.mark.parametrize("text", [BOMB, "&a [*a]", "[" * 10_000, "- " * 5000, "9" * 6000, "\0"], ids=range(6))
def test_hostile_yaml_is_refused_at_once(text):
    begin = time.monotonic()
    with pytest.raises(InputError, match="not valid YAML"):
        parse_yaml(text)
    assert time.monotonic() - begin < 5


def test_small_aliases_are_read():
    assert parse_yaml("a: &a [1, 2]\nb: *a\nc: {<<: {d: 3}}") == {"a": [1, 2], "b": [1, 2], "c": {"d": 3}}


@pytest.mark.parametrize("text", ['{"a": 1, "b": 2, "a": 3}', '[{"x": {"a": [], "a": {}}}]'])
def test_a_key_that_stands_twice_is_refused(text):
    for parse in (parse_json, parse_yaml):  # JSON is YAML too
        with pytest.raises(InputError, match="the key 'a' stands twice"):
            parse(text)


def test_equal_keys_of_different_mappings_and_types_are_read():
    assert (
        parse_json('[{"a": 1}, {"a": {"a": 2}}]') == parse_yaml("[{a: 1}, {a: {a: 2}}]") == [{"a": 1}, {"a": {"a": 2}}]
    )
    assert parse_yaml("{1: x, '1': y, b: &b {c: 1}, d: {<<: *b, c: 2}}")["d"] == {"c": 2}


def test_deep_json_is_refused():
    with pytest.raises(InputError, match="not valid JSON"):
        parse_json("[" * 100_000)


@settings(deadline=None, max_examples=200)
@given(st.text("01e+-.,; \t\n\r#xnaif\ufeff", max_size=60), st.integers(1, 3))
def test_every_table_is_read_or_refused(tmp_path_factory, text, columns):
    path = tmp_path_factory.mktemp("table") / "t.txt"
    path.write_text(text, encoding="utf-8")
    try:
        stamps, values = read_stamped_table(path, "table", "a b c"[: 2 * columns - 1])
    except InputError:
        return
    assert values.shape == (len(stamps), columns - 1)
    assert (np.diff(stamps) > 0).all()


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=60) | st.text("[]{}:,&*!<>|-?'\"\n 01eax", max_size=60).map(str.encode))
def test_all_bytes_are_read_or_refused(data):
    for parse in (parse_json, parse_yaml):
        try:
            parse(decode_text(data))
        except InputError:
            continue


@settings(deadline=None)
@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x, max_size=3))
)
def test_json_is_read_as_by_the_standard_library(content):
    text = json.dumps(content)
    try:
        expected = json.loads(text, parse_int=lambda digits: int(digits) if len(digits) < 19 else float(digits))
    except OverflowError:
        return
    assert str(parse_json(text)) == str(expected)


@given(st.text("ab./\\ ", max_size=12))
def test_a_path_never_leaves_its_folder(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp()
    try:
        path = inner_path(folder, name)
    except InputError:
        return
    assert folder.resolve() in path.resolve().parents


def test_a_small_file_takes_little_memory_under_a_large_limit(tmp_path):
    path = tmp_path / "small.txt"
    path.write_text("1 2 3\n" * 1000)
    tracemalloc.start()
    try:
        read_text(path)
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["9" * 300 + ".jpg", "/".join(["folder"] * 800)])
def test_a_name_that_no_file_system_takes_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="longer than a file name can be"):
        inner_path(tmp_path, name)
