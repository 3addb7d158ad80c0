"""The storage files of a bag (MCAP or SQLite): which ones there are, and what to do when they cannot be read."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from perception_common.errors import InputError
from replay_ros.bags.datasets.sequences.images import is_image, natural_key
from replay_ros.bags.storage import mcap, metadata, sqlite
from replay_ros.bags.storage.compression import ZSTD_MAGIC, unpack_file
from replay_ros.bags.storage.metadata import Metadata, read_metadata
from replay_ros.bags.storage.piece import DamagedError, Piece
from replay_ros.bags.storage.workspace import workspace

STORAGE_SUFFIXES = (".mcap", ".db3")
ROS1_MAGIC = b"#ROSBAG V"
EMPTY, ROS1, UNKNOWN = "it is empty", "it is a ROS 1 bag", "it is neither an MCAP nor a SQLite file"
RESTORE = "restore it from a copy, or record it again"


@dataclass(frozen=True)
class BagFiles:
    """The storage files of a bag, in their order.

    metadata: what metadata.yaml says; None without one. missing: names of the files that it lists and that are gone.
    losses: what is left out with them, and files that are not read. notes: what else the user should know.
    """

    files: tuple[Path, ...]
    metadata: Metadata | None = None
    missing: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_files(path: Path) -> BagFiles:
    """Find the storage files of a bag: its folder, or one file.

    A folder without usable metadata.yaml (the recorder writes it when it ends) is read from the storage files in it.
    Raises InputError for a path that is missing or not a bag.
    """
    try:
        if not path.exists():
            raise InputError(f"{path} does not exist; give the folder of a bag or a .mcap or .db3 file")
        if path.is_dir():
            return _files_in_folder(path)
        if not path.is_file():
            raise InputError(f"{path} is neither a file nor a folder; give the folder of a bag or a .mcap or .db3 file")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    return BagFiles((path,))


def open_piece(file: Path, stack: ExitStack) -> Piece:
    """Open a storage file by its content, not by its name; `stack` closes it.

    Raises DamagedError with the cause when it cannot be read, OSError, and InputError when the disk has no room for a
    copy.
    """
    with file.open("rb") as opened:
        start = opened.read(16)
    losses = []
    if start.startswith(ZSTD_MAGIC):  # compression mode FILE
        folder = stack.enter_context(workspace(Path(tempfile.gettempdir()), sqlite.TEMPORARY))
        unpacked = folder / file.stem
        if cause := unpack_file(file, unpacked):
            losses.append(cause)
        file = unpacked
        with file.open("rb") as opened:
            start = opened.read(16)
    if not start:
        raise DamagedError(EMPTY)
    if start.startswith(mcap.MAGIC):
        piece: Piece = mcap.McapFile(file)
    elif start.startswith(sqlite.MAGIC):
        piece = sqlite.SqliteFile(file)
    elif start.startswith(ROS1_MAGIC):
        raise DamagedError(ROS1)
    else:
        raise DamagedError(UNKNOWN)
    stack.enter_context(closing(piece))
    piece.losses += losses
    return piece


def why_unreadable(path: Path, causes: Mapping[Path, str]) -> str:
    """Say why a bag cannot be read, and what to do. causes: by storage file, as in the exceptions of `open_piece`."""
    file, cause = next(iter(causes.items()))
    if cause == ROS1:
        return f"{file} {ros1_advice(file)}"
    if cause == EMPTY:
        return f"{file} is empty; {RESTORE}"
    if cause == UNKNOWN and file.suffix not in STORAGE_SUFFIXES:
        return f"{file} is not a bag; give the folder of a bag or a .mcap or .db3 file"
    damage = "; ".join(f"{file.name}: {each}" for file, each in causes.items()) if len(causes) > 1 else cause
    return f"{path} cannot be read as a bag ({damage}); {recovery_advice(path)}"


def ros1_advice(file: Path) -> str:
    """Return what to do about a ROS 1 bag."""
    return f"is a ROS 1 bag; convert it with `rosbags-convert --src {file} --dst {file.stem}_ros2`"


def recovery_advice(path: Path) -> str:
    """Return the command that recovers what is left of a damaged bag, for an error message."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    starts = {file: _start_of(file) for file in files if file.is_file()}
    if any(start.startswith(mcap.MAGIC) for start in starts.values()):
        return "recover what is left with `mcap recover BROKEN.mcap -o SAVED.mcap`, then open SAVED.mcap"
    if any(start.startswith(sqlite.MAGIC) for start in starts.values()):
        return "recover what is left with `sqlite3 BROKEN.db3 .recover | sqlite3 SAVED.db3`, then open SAVED.db3"
    return RESTORE


def _files_in_folder(folder: Path) -> BagFiles:
    there = sorted(filter(_is_storage_file, folder.iterdir()), key=lambda file: natural_key(file.name))
    if not (folder / metadata.NAME).is_file():
        if not there:
            raise InputError(_why_no_bag(folder))
        return BagFiles(tuple(there))
    try:
        known = read_metadata(folder)
    except (DamagedError, OSError) as error:
        if not there:
            raise InputError(
                f"{folder} has no storage file, and its {metadata.NAME} cannot be used ({error}); {RESTORE}"
            ) from error
        return BagFiles(tuple(there), notes=(f"{metadata.NAME} cannot be used ({error}): the files are read",))
    located = {name: _locate(folder, name) for name in known.files}
    missing = tuple(name for name, file in located.items() if file is None)
    listed = [file for file in located.values() if file is not None]
    others = [file for file in there if file not in listed]
    if listed:
        losses = [f"{file.name} is not listed in {metadata.NAME} and is not read" for file in others]
        losses += [_missing_remark(name, known) for name in missing]
        return BagFiles(tuple(listed), known, missing, tuple(losses))
    if not there:
        raise InputError(
            f"{folder}: the storage files are missing ({', '.join(missing)}); put them back into the folder"
        )
    remark = f"{metadata.NAME} names other files ({', '.join(missing)}): the storage files in the folder are read"
    return BagFiles(tuple(there), notes=(remark,))


def _missing_remark(name: str, known: Metadata) -> str:
    count = known.file_counts.get(name)
    amount = "its messages are" if count is None else f"its {count} messages are"
    return f"{name} is missing, so {amount} left out: put it back into the folder"


def _locate(folder: Path, name: str) -> Path | None:
    """Return a file that metadata.yaml lists; bags before ROS 2 Foxy list them with the name of the folder."""
    for each in (folder / name, folder / Path(name).name):
        for file in (each, each.with_suffix("") if each.suffix == ".zstd" else each):  # unpacked since
            if file.is_file():
                return file
    return None


def _is_storage_file(path: Path) -> bool:
    return path.is_file() and any(suffix in STORAGE_SUFFIXES for suffix in (path.suffix, _inner_suffix(path)))


def _inner_suffix(path: Path) -> str:
    """Return the suffix before ".zstd", which compression mode FILE adds."""
    return path.with_suffix("").suffix if path.suffix == ".zstd" else ""


def _start_of(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(16)
    except OSError:
        return b""


def _why_no_bag(folder: Path) -> str:
    ros1 = next((file for file in sorted(folder.iterdir()) if file.is_file() and file.suffix == ".bag"), None)
    if ros1 is not None:
        return f"{ros1} {ros1_advice(ros1)}"
    has_images = any(is_image(file) for file in folder.iterdir())
    hint = f"make one of its images with `make_bag {folder} OUT`" if has_images else "give the folder of a bag"
    return f"{folder} is not a bag (no {metadata.NAME}, no .mcap or .db3 file); {hint}"
