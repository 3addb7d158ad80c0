"""Read the sqlite3 files of rosbag2, also those that a killed recorder left with a journal or a write-ahead log."""

from __future__ import annotations

import shutil
import sqlite3
import sys
import tempfile
from array import array
from collections.abc import Collection, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from perception_common.errors import InputError
from replay_ros.bags.storage.piece import (
    MAX_BLOCK_BYTES,
    Channel,
    DamagedError,
    Definition,
    StoredMessage,
    read_qos,
)
from replay_ros.bags.storage.workspace import workspace

MAGIC = b"SQLite format 3\0"
SIDECARS = ("-wal", "-journal")  # what sqlite keeps beside a file that was not closed
DATABASE_ERRORS = (sqlite3.Error, UnicodeDecodeError)  # the latter where sqlite quotes damaged text in its message
TEMPORARY = "yolc_bag."


class SqliteFile:
    """An open sqlite3 file, a `Piece`. The file of the user, and its folder, stay as they are."""

    def __init__(self, path: Path) -> None:
        """Open a file and read the stamps of all messages.

        Raises OSError, InputError when a file with a write-ahead log cannot be copied, and DamagedError when it is no
        bag.
        """
        self.losses: list[str] = []
        self._stack = ExitStack()
        try:
            self._database = self._stack.enter_context(_Closing(_connect(_readable(path, self._stack))))
            self._channels = _read_channels(self._database)
            self._rows, self._topics, self._stamps_ns = self._read_stamps()
        except DATABASE_ERRORS as error:
            self._stack.close()
            raise DamagedError(str(error)) from error
        except BaseException:
            self._stack.close()
            raise

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The topics of the file."""
        return tuple(map(self._counted, self._channels))

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def messages(self, channels: Collection[int]) -> Iterator[StoredMessage]:
        """Iterate over the messages of these topics, in the order of their receive stamps."""
        failed, cause = 0, ""
        for index in np.flatnonzero(np.isin(self._topics, list(channels))):
            try:
                found = self._database.execute(
                    "SELECT data FROM messages WHERE rowid = ?", (int(self._rows[index]),)
                ).fetchone()
            except DATABASE_ERRORS as error:
                found, cause = None, str(error)
            if found is None or not isinstance(found[0], bytes):
                failed, cause = failed + 1, cause or "they hold no bytes"
                continue
            yield StoredMessage(int(self._stamps_ns[index]), int(self._topics[index]), found[0])
        loss = f"{failed} messages cannot be read: {cause}"
        if failed and loss not in self.losses:
            self.losses.append(loss)

    def _counted(self, channel: Channel) -> Channel:
        stamps = self._stamps_ns[self._topics == channel.id]
        span = (int(stamps[0]), int(stamps[-1])) if len(stamps) else None
        return replace(channel, count=len(stamps), span_ns=span)

    def _read_stamps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return row ids, topic ids and receive stamps of all messages of known topics: three (N,) int64, by stamp."""
        known = {channel.id for channel in self._channels}
        columns = array("q"), array("q"), array("q")
        cause = self._scan("ASC", columns)
        if cause:
            self.losses.append(f"some messages cannot be read: {cause}")
            after = array("q"), array("q"), array("q")
            self._scan("DESC", after)  # what lies behind the damage is read from the end
            last = columns[0][-1] if columns[0] else -(2**63)
            for row, topic, stamp in zip(*after, strict=True):
                if row > last:
                    for column, value in zip(columns, (row, topic, stamp), strict=True):
                        column.append(value)
        rows, topics, stamps = (np.array(column, np.int64) for column in columns)
        strangers = int(np.sum(~np.isin(topics, list(known))))
        if strangers:
            self.losses.append(f"{strangers} messages of topics that it does not name are left out")
        invalid = int(np.sum(stamps < 0))
        if invalid:
            self.losses.append(f"{invalid} messages without a valid stamp are left out")
        kept = np.flatnonzero(np.isin(topics, list(known)) & (stamps >= 0))
        kept = kept[np.lexsort((rows[kept], stamps[kept]))]
        return rows[kept], topics[kept], stamps[kept]

    def _scan(self, order: str, columns: tuple[array[int], array[int], array[int]]) -> str:
        """Append the columns of all rows in the order of their ids; returns the cause where that breaks off, or ""."""
        query = f"SELECT rowid, topic_id, timestamp FROM messages NOT INDEXED ORDER BY rowid {order}"
        try:
            for row, topic, stamp in self._database.execute(query):
                columns[0].append(row)
                columns[1].append(topic if isinstance(topic, int) else -1)
                columns[2].append(stamp if isinstance(stamp, int) else -1)
        except DATABASE_ERRORS as error:
            return str(error)
        return ""


class _Closing:
    """Context manager that closes a database (sqlite3's own ends a transaction and leaves it open)."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        return self._database

    def __exit__(self, *_: object) -> None:
        self._database.close()


def _readable(path: Path, stack: ExitStack) -> Path:
    """Return the file, or a copy of it and of its journal: sqlite writes when it applies a journal."""
    beside = [path.with_name(path.name + suffix) for suffix in SIDECARS]
    beside = [file for file in beside if file.is_file() and file.stat().st_size > 0]
    if not beside:
        return path
    parent = Path(tempfile.gettempdir())
    try:
        folder = stack.enter_context(workspace(parent, TEMPORARY))
        for file in (path, *beside):
            shutil.copyfile(file, folder / file.name)
    except OSError as error:
        names = " and ".join(file.name for file in beside)
        raise InputError(
            f"{path} must be read together with {names}, and cannot be copied to {parent} ({error.strerror}); "
            "set TMPDIR to a disk with more space"
        ) from error
    return folder / path.name


def _connect(path: Path) -> sqlite3.Connection:
    is_copy = any(path.with_name(path.name + suffix).exists() for suffix in SIDECARS)
    mode = "mode=rw" if is_copy else "mode=ro&immutable=1"  # immutable: without locks, also in read-only folders
    database = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, check_same_thread=False)
    database.text_factory = lambda data: data.decode(errors="replace")
    if sys.version_info >= (3, 11):  # before, the limit of sqlite holds: 1 GB
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BLOCK_BYTES)
    database.execute("PRAGMA trusted_schema = OFF")
    return database


def _read_channels(database: sqlite3.Connection) -> list[Channel]:
    """Read the topics. Raises DamagedError when the file is no bag."""
    tables = dict(database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall())
    # A virtual table may compute its rows, without end.
    plain = {
        name for name, sql in tables.items() if isinstance(sql, str) and "VIRTUAL" not in sql.upper().split("(")[0]
    }
    if not {"messages", "topics"} <= plain:
        raise DamagedError("it is a SQLite database and no bag: it has no tables of topics and messages")
    definitions = _read_definitions(database) if "message_definitions" in plain else {}
    columns = {row[1] for row in database.execute("PRAGMA table_info(topics)")}
    optional = [name if name in columns else "''" for name in ("offered_qos_profiles", "type_description_hash")]
    query = f"SELECT id, name, type, serialization_format, {', '.join(optional)} FROM topics ORDER BY id"
    channels = []
    for number, topic, kind, encoding, qos, digest in database.execute(query):
        if not isinstance(number, int) or not all(isinstance(text, str) for text in (topic, kind, encoding)):
            continue  # its messages are counted as those of an unknown topic
        form, text = definitions.get(kind, ("", ""))
        definition = Definition(form, text, digest if isinstance(digest, str) else "")
        channels.append(Channel(number, topic, kind, encoding, definition, read_qos(qos), 0))
    return channels


def _read_definitions(database: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    """Return format and text by type."""
    query = "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions ORDER BY id DESC"
    with suppress(*DATABASE_ERRORS):
        rows = database.execute(query).fetchall()
        return {kind: (form, text) for kind, form, text in rows if isinstance(form, str) and isinstance(text, str)}
    return {}
