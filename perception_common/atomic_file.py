"""Writing files so that readers never see half of one, and errors of writing in words."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from perception_common.errors import InputError

_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "choose a folder that this user may write to"),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST), "choose another path"),
    errno.EFBIG: "raise the limit of file sizes (ulimit -f)",
}


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a hidden path in the folder of `path` to write to; it is renamed to `path` when the block succeeds.

    When the block fails, the hidden file is removed and an existing `path` stays unchanged. Not for concurrent writers.
    """
    unfinished = _unfinished(path)
    try:
        yield unfinished
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def _unfinished(path: Path) -> Path:
    return path.with_name(f".unfinished_{path.name}")


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """Like `atomic_file`, for a block that only writes: its OSErrors become the InputError of `write_error`."""
    try:
        with atomic_file(path) as unfinished:
            yield unfinished
    except OSError as error:
        raise write_error(path, error) from error


def check_writable(path: Path | None) -> None:
    """Raise InputError where `output_file` could not write to `path`: before work that would be lost; None: nothing."""
    if path is None:
        return
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "")
        _unfinished(path).touch()
        _unfinished(path).unlink()
    except OSError as error:
        raise write_error(path, error) from error


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are missing. Raises InputError when that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise write_error(path, NotADirectoryError(errno.ENOTDIR, "")) from error
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: Path | str, error: BaseException) -> InputError:
    """Return the error of a file that cannot be written, with its cause and what to do.

    error: of any kind. Libraries hide the system's error: torch raises another one after it, safetensors and its like
    have the number in their text.
    """
    cause: BaseException | None = error
    while cause is not None:
        named = re.search(r"os error (\d+)", str(cause))
        if number := (cause.errno if isinstance(cause, OSError) else int(named[1]) if named else None):
            remedy = _REMEDIES.get(number, "check the disk")
            return InputError(f"{path} cannot be written ({os.strerror(number)}); {remedy}")
        cause = cause.__cause__ or cause.__context__
    reason = " ".join(str(error).split())[:200]
    return InputError(f"{path} cannot be written ({reason}); check the free space and the rights of the folder")
