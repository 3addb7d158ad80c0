"""Which bags a command line names, and how they are called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception_common.errors import InputError
from replay_ros.fleet.inputs import find_sources, is_bag


@pytest.fixture
def flights(tmp_path):
    """Bags monday/a, monday/b and tuesday/a, and a folder of notes."""
    for name in ("monday/a", "monday/b", "tuesday/a"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "metadata.yaml").write_text("")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "weather.md").write_text("windy")
    return tmp_path


def test_a_folder_stands_for_the_bags_in_it(flights):
    found = find_sources([str(flights)], is_bag)
    assert found == {
        "monday_a": flights / "monday" / "a",
        "b": flights / "monday" / "b",
        "tuesday_a": flights / "tuesday" / "a",
    }


def test_a_bag_that_is_named_twice_counts_once(flights):
    words = [str(flights / "monday" / "a"), str(flights / "monday"), str(flights / "mon*")]
    assert list(find_sources(words, is_bag)) == ["a", "b"]


def test_a_list_is_relative_to_its_folder_and_may_hold_comments(flights):
    (flights / "night.txt").write_text("# flights at night\ntuesday/a  # the long one\n\nmonday/*\n")
    found = find_sources([str(flights / "night.txt")], is_bag)
    assert list(found) == ["tuesday_a", "monday_a", "b"]


def test_a_file_is_named_without_its_suffix(flights):
    (flights / "c.mcap").write_bytes(b"")
    assert find_sources([str(flights / "c.mcap")], is_bag) == {"c": flights / "c.mcap"}


def test_a_missing_bag_is_kept_for_its_task_to_fail(flights):
    assert list(find_sources([str(flights / "monday" / "a"), str(flights / "gone")], is_bag)) == ["a", "gone"]


@pytest.mark.parametrize(("word", "cause"), [("nothing*", "nothing fits"), ("notes", "holds nothing")])
def test_words_that_name_no_bag_are_refused(flights, word, cause):
    with pytest.raises(InputError, match=cause):
        find_sources([str(flights / word)], is_bag)


@given(st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map("/".join), min_size=1, max_size=5))
def test_every_source_has_a_name_of_its_own(paths):
    found = find_sources([f"/nowhere/{path}" for path in paths], is_bag)
    assert len(found) == len(set(paths))
    assert not any("/" in name for name in found)


def test_paths_that_only_differ_in_where_they_are_cut_are_refused():
    with pytest.raises(InputError, match="rename one"):
        find_sources(["/a_b/c", "/a/b_c"] * 2 + ["/a/b/c"], is_bag)
