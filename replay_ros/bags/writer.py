"""Write rosbag2 recordings (mcap or sqlite3) without ROS; a bag appears only when it is complete."""

from __future__ import annotations

import itertools
import math
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.typesys.store import Typestore

from perception_common.atomic_file import make_folder, write_error
from perception_common.errors import InputError
from replay_ros.bags.cdr import CdrError
from replay_ros.bags.definitions import IDL_RULE, decoder_for
from replay_ros.bags.messages import load_types
from replay_ros.bags.reader import Topic, absolute
from replay_ros.bags.storage.workspace import workspace
from replay_ros.bags.storage_files import STORAGE_SUFFIXES

STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
METADATA_VERSION: Final = 9  # that of ROS 2 Jazzy
UNKNOWN_HASH = f"RIHS01_{'0' * 64}"  # of a type whose definition is unknown (REP-2016)
LATCHED_TOPICS = ("/tf_static", "/robot_description")  # published once, transient local


class BagWriter:
    """Context manager that writes a bag.

    The bag is written to a hidden folder beside `path` and moved to `path` when the block ends. When the block raises
    an exception, the hidden folder is deleted; that of a process that was killed is deleted by the next one that writes
    `path`. Message definitions, ours included, are stored in the bag.
    """

    def __init__(
        self,
        path: Path | str,
        storage: str = "mcap",
        *,
        force: bool = False,
        types: Typestore | None = None,
        flush_seconds: float = math.inf,
    ) -> None:
        """Prepare a bag at the folder `path`.

        storage: "mcap" or "sqlite3". force: replace an existing bag (never a folder with other files in it).
        types: message types that `write` takes; None: those of Jazzy and our own.
        flush_seconds: of a recording that cannot be repeated. What is older than this is on the disk, readable in the
        hidden folder when the process is killed, and kept as PATH.cut when the disk is full. Other bags reach
        the disk in blocks of a fixed size, so that equal messages make equal files.
        Raises InputError for an unknown storage, and for a path that names a file or that sqlite3 would misread.
        """
        self.path = Path(path)
        if storage not in STORAGES:
            raise InputError(f"unknown storage {storage!r}; choose one of {', '.join(STORAGES)}")
        if self.path.suffix in STORAGE_SUFFIXES:
            raise InputError(f"a bag is a folder: write {self.path.with_suffix('')} instead of {self.path}")
        if storage == "sqlite3" and any(character in str(self.path.absolute()) for character in "?#%"):
            raise InputError(
                f"{self.path} has one of the characters ?#% in its path; write mcap, or choose another path"
            )
        self.types = load_types() if types is None else types
        self._storage = STORAGES[storage]
        self._force = force
        self._flush_seconds = flush_seconds
        self._flushed = time.monotonic()
        self._kept_as: Path | None = None  # where a recording goes that a full disk has cut
        self._connections: dict[str, Connection] = {}
        self._workspace: Path | None = None
        self._stack = ExitStack()
        self._writer: Writer | None = None

    def __enter__(self) -> BagWriter:
        _refuse_to_overwrite(self.path, self._force)
        make_folder(self.path.parent)
        with _writing(self.path):
            self._workspace = self._stack.enter_context(workspace(self.path.parent, f".{self.path.name}."))
            # `Writer` names the storage file after the folder, so the folder already has its final name here.
            self._writer = Writer(
                self._workspace / self.path.name, version=METADATA_VERSION, storage_plugin=self._storage
            )
            self._writer.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        writer, folder = self._opened()
        self._writer = self._workspace = None
        try:
            if kind is None:
                with _writing(self.path):
                    writer.close()
                    _move_into_place(folder, self.path, self._force)
            else:
                with suppress(Exception):  # report the exception of the block, not one of closing
                    writer.close()
                with suppress(OSError):
                    if self._kept_as is not None:
                        (folder / self.path.name).rename(self._kept_as)
        finally:
            self._stack.close()

    def declare(
        self, topic: str, type_name: str, *, types: Typestore | None = None, qos: Sequence[Qos] | None = None
    ) -> None:
        """Add a topic. Required before `write_raw`, not before `write`. Declaring a topic twice has no effect.

        types: where the definition comes from, such as the `types` of the bag that is copied; None: the writer's own.
        qos: None: reliable, volatile, keep last 10 (latched topics: transient local, keep last 1).
        Raises InputError for an unknown type and for a topic that already has another type.
        """
        name = absolute(topic)
        known = self._connections.get(name)
        if known is not None:
            if known.msgtype != type_name:
                raise InputError(f"topic {name} already holds {known.msgtype}, it cannot also hold {type_name}")
            return
        store = self.types if types is None else types
        if type_name not in store.fielddefs:
            raise InputError(f"topic {name}: the message type {type_name} is unknown; give its definition")
        profiles = [default_qos(name)] if qos is None else list(qos)
        with _writing(self.path):
            self._connections[name] = self._opened()[0].add_connection(
                name, type_name, typestore=store, offered_qos_profiles=profiles
            )

    def declare_copy(self, topic: Topic) -> None:
        """Add a topic of another bag, to copy its messages with `write_raw`.

        Its definition is copied as it is. Where it has none, that of the writer's types is taken, if any.
        """
        definition = topic.definition
        if not definition.text.strip() and topic.type in self.types.fielddefs:
            self.declare(topic.name, topic.type)
            return
        text = definition.text
        if "idl" in definition.format and not text.startswith(IDL_RULE):
            text = f"{IDL_RULE}IDL: {topic.type}\n{text}"
        with _writing(self.path):
            self._connections[topic.name] = self._opened()[0].add_connection(
                topic.name,
                topic.type,
                msgdef=text,
                rihs01=definition.digest or self._type_hash(topic),
                offered_qos_profiles=[default_qos(topic.name)],
            )

    def write(self, topic: str, message: Any, stamp_ns: int) -> None:
        """Write a message of this writer's types. stamp_ns: receive stamp, nanoseconds."""
        type_name = message.__msgtype__
        self.declare(topic, type_name)
        self.write_raw(topic, self.types.serialize_cdr(message, type_name), stamp_ns)

    def write_raw(self, topic: str, data: bytes | memoryview, stamp_ns: int) -> None:
        """Write a serialised message (CDR) on a declared topic. stamp_ns: receive stamp, nanoseconds."""
        writer = self._opened()[0]
        try:
            with _writing(self.path):
                writer.write(self._connections[absolute(topic)], stamp_ns, data)
                if time.monotonic() - self._flushed > self._flush_seconds:
                    _flush(writer)
                    self._flushed = time.monotonic()
        except InputError as error:
            if self._flush_seconds == math.inf:
                raise
            self._kept_as = self._kept_as or _free_name(self.path.with_name(f"{self.path.name}.cut"))
            raise InputError(f"{error}; the messages until then are in {self._kept_as}") from error

    def add_file(self, name: str, text: str) -> None:
        """Write a text file into the folder of the bag."""
        with _writing(self.path):
            (self._opened()[1] / self.path.name / name).write_text(text, encoding="utf-8")

    def _type_hash(self, topic: Topic) -> str:
        try:
            return decoder_for(topic.type, topic.definition, self.types).type_hash(topic.type)
        except CdrError:
            return UNKNOWN_HASH

    def _opened(self) -> tuple[Writer, Path]:
        if self._writer is None or self._workspace is None:
            raise RuntimeError("the bag is not open: use BagWriter in a with statement")
        return self._writer, self._workspace


def _free_name(path: Path) -> Path:
    """Return the path, or the first of path_2, path_3, ... that does not exist."""
    names = (path if number == 1 else path.with_name(f"{path.name}_{number}") for number in itertools.count(1))
    return next(name for name in names if not name.exists())


def _flush(writer: Writer) -> None:
    """Bring all messages so far to the disk."""
    storage: Any = writer.storage
    if isinstance(storage, McapWriter):
        if storage.chunk.bio.tell():
            storage.close_chunk()
        storage.bio.flush()
    else:
        storage.conn.commit()


def default_qos(topic: str) -> Qos:
    """Return the QoS to offer a topic with: reliable, which best-effort subscribers accept as well."""
    latched = topic in LATCHED_TOPICS
    forever = QosTime(9_223_372_036, 854_775_807)  # 2**63 - 1 ns: RMW_DURATION_INFINITE
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if latched else 10,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=forever,
        lifespan=forever,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=forever,
        avoid_ros_namespace_conventions=False,
    )


def _is_bag(path: Path) -> bool:
    """Tell whether a path is a folder with nothing but the files of a bag, or empty, which may be replaced."""
    if path.is_symlink() or not path.is_dir():
        return False
    return all(file.is_file() and file.suffix in (*STORAGE_SUFFIXES, ".yaml", ".zstd") for file in path.iterdir())


def _refuse_to_overwrite(path: Path, force: bool) -> None:
    if not path.exists() and not path.is_symlink():
        return
    if not _is_bag(path):
        raise InputError(f"{path} exists and is not only a bag; choose another name")
    if not force:
        raise InputError(f"{path} exists; choose another name or replace it with --force")


def _move_into_place(folder: Path, path: Path, force: bool) -> None:
    _refuse_to_overwrite(path, force)  # again: the path may have been created while the bag was written
    if not path.exists():
        (folder / path.name).rename(path)
        return
    replaced = folder / f"{path.name}.replaced"
    path.rename(replaced)
    try:
        (folder / path.name).rename(path)
    except OSError:
        replaced.rename(path)
        raise


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise write_error(path, error) from error
