"""sqlite3 files: those of a killed recorder, in read-only folders, with strange names, damaged, and with odd tables."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from perception_common.errors import InputError
from replay_ros.bags.reader import open_bag


@pytest.fixture
def left_behind(tmp_path, write_words, cdr):
    """Return a function that leaves a bag of 3 words as a recorder leaves it that is killed after 5 more."""

    def leave(journal):
        bag = write_words(tmp_path / "whole", ["0", "1", "2"], "sqlite3")
        killed = tmp_path / "killed"
        killed.mkdir()
        with closing(sqlite3.connect(bag / "whole.db3", isolation_level=None)) as database:
            database.execute(f"PRAGMA journal_mode = {journal}")
            database.execute("PRAGMA cache_size = 1")  # pages reach the file before the commit
            database.execute("BEGIN")
            for number in range(3, 8):
                row = (1, number + 1, cdr(str(number) * 20_000))
                database.execute("INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)", row)
            if journal == "WAL":
                database.execute("COMMIT")
            for file in bag.glob("whole.db3*"):
                if not file.name.endswith("-shm"):
                    shutil.copy(file, killed)
        return killed

    return leave


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_write_ahead_log_is_read_and_the_folder_stays_as_it_is(left_behind, read_words):
    bag = left_behind("WAL")
    before = contents(bag)
    assert sorted(before) == ["whole.db3", "whole.db3-wal"]
    bag.chmod(0o555)
    words, remarks = read_words(bag)
    assert [word[0] for word in words] == list("01234567")
    assert remarks == []
    assert read_words(bag / "whole.db3")[0] == words
    assert contents(bag) == before
    bag.chmod(0o755)


def test_an_unfinished_transaction_is_taken_back(left_behind, read_words):
    bag = left_behind("DELETE")
    before = contents(bag)
    assert sorted(before) == ["whole.db3", "whole.db3-journal"]
    assert read_words(bag) == (["0", "1", "2"], [])
    assert contents(bag) == before


@pytest.mark.parametrize("name", ["a#b", "a?b=c&mode=rwc", "100%20", "é (1)"])
def test_names_with_special_characters_are_opened(tmp_path, write_words, read_words, name):
    bag = write_words(tmp_path / "bag", ["a"], "sqlite3").rename(tmp_path / name)
    assert read_words(bag) == (["a"], [])


def test_damaged_pages_lose_some_messages_and_not_all(tmp_path, write_words, read_words):
    bag = write_words(tmp_path / "bag", ["x" * 3_000] * 60, "sqlite3")
    data = bytearray((bag / "bag.db3").read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = b"\xff" * 4096
    (bag / "bag.db3").write_bytes(data)
    words, remarks = read_words(bag)
    assert 0 < len(words) < 60
    assert any("bag.db3:" in remark and "cannot be read" in remark for remark in remarks)


def change(bag, *statements):
    with closing(sqlite3.connect(bag / "bag.db3", isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


def test_rows_without_topic_stamp_or_bytes_are_counted(tmp_path, write_words, read_words):
    bag = write_words(tmp_path / "bag", list("abcde"), "sqlite3")
    change(
        bag,
        "UPDATE messages SET topic_id = 77 WHERE id = 1",
        "UPDATE messages SET timestamp = 'soon' WHERE id = 2",
        "UPDATE messages SET data = 5 WHERE id = 3",
    )
    words, remarks = read_words(bag)
    assert words == ["d", "e"]
    assert "metadata.yaml counts 5 messages, the files hold 3: the files are right" in remarks
    assert "bag.db3: 2 messages of topics that it does not name are left out" not in remarks
    assert "bag.db3: 1 messages of topics that it does not name are left out" in remarks
    assert "bag.db3: 1 messages without a valid stamp are left out" in remarks
    assert "bag.db3: 1 messages cannot be read: they hold no bytes" in remarks


ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
    "SELECT i AS id, 1 AS topic_id, i AS timestamp, x'00' AS data FROM n"
)


@pytest.mark.parametrize(
    "statements",
    [
        ["DROP TABLE messages"],
        ["DROP TABLE messages", f"CREATE VIEW messages AS {ENDLESS}"],
        ["DROP TABLE messages", "CREATE VIRTUAL TABLE messages USING fts5(topic_id, timestamp, data)"],
    ],
)
def test_a_database_that_is_no_bag_is_refused(tmp_path, write_words, statements):
    bag = write_words(tmp_path / "bag", ["a"], "sqlite3")
    change(bag, *statements)
    with pytest.raises(InputError, match="it is a SQLite database and no bag"), open_bag(bag):
        pass


def test_damaged_text_in_the_schema_is_refused(tmp_path, write_words):
    """Sqlite quotes it in its message, which is then no text."""
    data = (write_words(tmp_path / "whole", ["0"], "sqlite3") / "whole.db3").read_bytes()
    table = data.index(b"CREATE TABLE messages") + len(b"CREATE TABLE ")
    (tmp_path / "broken.db3").write_bytes(data[:table] + b"m \xff\xff\xff\xff\xff " + data[table + 8 :])
    with pytest.raises(InputError, match=r"broken\.db3"), open_bag(tmp_path / "broken.db3"):
        pass
