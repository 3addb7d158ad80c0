"""metadata.yaml: broken, lying, naming files that are gone, and naming files outside of the bag."""

import shutil

import pytest
import yaml

from perception_common.errors import InputError
from replay_ros.bags.reader import open_bag


def edit(bag, change):
    """Change the content of metadata.yaml."""
    path = bag / "metadata.yaml"
    content = yaml.safe_load(path.read_text())
    change(content["rosbag2_bagfile_information"])
    path.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "it is empty"),
        ("rosbag2_bagfile_information:\n  version: 5\n  rel", "it is no YAML"),
        ("{", "it is no YAML"),
        ("a: 1", "it names no storage files"),
        ("rosbag2_bagfile_information: {relative_file_paths: [1, 2]}", "it names no storage files"),
        ("- " * 2_000, "it is no YAML|it names no storage files"),
        (f"a: {'9' * 5_000}", "it is no YAML"),
        ("\0", "it is no YAML"),
    ],
)
def test_without_a_usable_file_the_storage_files_are_read(tmp_path, write_words, read_words, text, cause):
    bag = write_words(tmp_path / "bag", ["a", "b"])
    (bag / "metadata.yaml").write_text(text)
    words, (remark,) = read_words(bag)
    assert words == ["a", "b"]
    assert remark.startswith("metadata.yaml cannot be used (")
    assert any(each in remark for each in cause.split("|"))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_counts_and_durations_are_not_believed_and_differences_are_named(tmp_path, write_words, read_words, storage):
    bag = write_words(tmp_path / "bag", [str(number) for number in range(8)], storage)

    def lie(about):
        about["message_count"] = about["topics_with_message_count"][0]["message_count"] = 3
        about["duration"]["nanoseconds"] = 5_000_000_000
        gone = about["topics_with_message_count"][0] | {"message_count": 4}
        about["topics_with_message_count"].append(gone | {"topic_metadata": gone["topic_metadata"] | {"name": "/gone"}})

    edit(bag, lie)
    words, remarks = read_words(bag)
    assert words == [str(number) for number in range(8)]
    assert remarks == [
        "metadata.yaml counts 3 messages, the files hold 8: the files are right",
        "metadata.yaml counts 4 messages on '/gone', the files hold 0",
        "metadata.yaml counts 3 messages on '/words', the files hold 8",
        "metadata.yaml says that the bag lasts 5.000 s, its messages span 0.000 s",
    ]
    with open_bag(bag) as opened:
        assert opened.topic("gone").count == 0
        with pytest.raises(InputError, match=r"/gone in .* has no messages: check that it was published"):
            opened.filled_topic("gone")


@pytest.mark.parametrize("name", ["../secret.mcap", "/etc/passwd", "a/../../secret.mcap", "/"])
def test_a_path_outside_of_the_bag_is_refused(tmp_path, write_words, name):
    bag = write_words(tmp_path / "bag", ["a"])
    shutil.copy(bag / "bag.mcap", tmp_path / "secret.mcap")
    edit(bag, lambda about: about.update(relative_file_paths=["bag.mcap", name]))
    with pytest.raises(InputError, match=r"metadata\.yaml names '.*', which is outside of the bag"), open_bag(bag):
        pass


def test_the_missing_piece_of_a_split_bag_is_named_and_the_others_are_read(tmp_path, write_words, read_words):
    bag = write_words(tmp_path / "bag", ["a", "b"])

    def split(about):
        about["relative_file_paths"] = ["gone.mcap", "bag.mcap"]
        about["message_count"] = 7
        about["files"] = [{"path": "gone.mcap", "message_count": 5}, {"path": "bag.mcap", "message_count": 2}]

    edit(bag, split)
    shutil.copy(bag / "bag.mcap", bag / "stranger.mcap")
    assert read_words(bag) == (
        ["a", "b"],
        [
            "stranger.mcap is not listed in metadata.yaml and is not read",
            "gone.mcap is missing, so its 5 messages are left out: put it back into the folder",
        ],
    )


def test_renamed_files_are_read(tmp_path, write_words, read_words):
    bag = write_words(tmp_path / "bag", ["a"])
    (bag / "bag.mcap").rename(bag / "other.mcap")
    words, (remark,) = read_words(bag)
    assert words == ["a"]
    assert remark.startswith("metadata.yaml names other files (bag.mcap)")


def test_bags_of_ros_2_dashing_list_files_with_their_folder(tmp_path, write_words, read_words):
    bag = write_words(tmp_path / "bag", ["a"])
    edit(bag, lambda about: about.update(relative_file_paths=["bag/bag.mcap"]))
    assert read_words(bag) == (["a"], [])


def test_a_broken_piece_is_named_and_the_others_are_read(tmp_path, write_words, read_words):
    bag = write_words(tmp_path / "bag", ["a"])
    (bag / "metadata.yaml").unlink()
    (bag / "bag_2.mcap").write_bytes(b"")
    (bag / "bag_3.db3").write_bytes(b"nonsense")
    assert read_words(bag) == (
        ["a"],
        ["bag_2.mcap is left out: it is empty", "bag_3.db3 is left out: it is neither an MCAP nor a SQLite file"],
    )
