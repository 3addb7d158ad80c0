"""Files of torch.save: written atomically, and read without executing code from them.

torch's own unpickler (`weights_only=True`) builds tensors and plain values and refuses every other class. Checkpoints
of real trainings also hold metadata of further classes: configurations, numpy scalars, paths, dates. The names of these
classes are in `allowed_classes.py`, and an inert stand-in is built in place of each such object.
"""

from __future__ import annotations

import re
import threading
import zipfile
from pathlib import Path
from typing import Any

import torch

from perception_common.atomic_file import output_file, write_error
from perception_common.checkpoints.allowed_classes import STAND_INS
from perception_common.errors import InputError

_LOCK = threading.Lock()  # torch keeps one list of allowed classes for the process

_NO_CHECKPOINTS = {
    b"version https://git-lfs": "is a pointer of Git LFS, not the file itself; run `git lfs pull`",
    b"<!DOCTYPE": "is a web page; download the file itself",
    b"<html": "is a web page; download the file itself",
}


def read_torch_file(path: Path) -> Any:
    """Return the content of a file of torch.save, with its tensors on the CPU.

    Metadata of allowed classes becomes an inert object, an OrderedDict or a list. Raises InputError when the file is
    missing or broken, claims more data than it has, or holds objects of other classes, of which it names the first.
    """
    check_start(path)
    try:
        _check_archive(path)
        with _LOCK, torch.serialization.safe_globals(STAND_INS):
            return torch.load(path, weights_only=True, map_location="cpu")
    except InputError:
        raise
    except Exception as error:  # a broken file can make the unpickler raise anything
        raise InputError(f"{path}: {_reason(error)}") from error


def write_torch_file(content: Any, path: Path) -> None:
    """Write tensors and plain values by torch.save, atomically. Raises InputError when that fails."""
    with output_file(path) as unfinished:
        try:
            with unfinished.open("wb") as file:
                torch.save(content, file)
        except RuntimeError as error:  # of torch's writer, raised after an OSError
            raise write_error(path, error) from error


def check_start(path: Path) -> None:
    """Raise InputError if a file cannot be opened, or begins like something that is often saved in place of weights."""
    try:
        with path.open("rb") as file:
            start = file.read(max(map(len, _NO_CHECKPOINTS))).lstrip()
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the path") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a file that this user may read") from error
    for words, reason in _NO_CHECKPOINTS.items():
        if start.startswith(words):
            raise InputError(f"{path}: {reason}")


def _check_archive(path: Path) -> None:
    """Raise InputError for an archive that would unpack to more than its size; torch.save does not compress."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
        claimed, size = sum(entry.file_size for entry in entries), path.stat().st_size
        if claimed > size:
            raise InputError(f"{path}: claims {claimed} bytes of content in a file of {size}; it is not by torch.save")
        if any(entry.filename.endswith("/constants.pkl") for entry in entries):
            raise InputError(f"{path}: is a TorchScript program; save the state_dict of the module instead")


def _reason(error: Exception) -> str:
    text = str(error)
    refused = re.search(r"GLOBAL ([\w.]+)", text)
    if refused or "unrecognized function" in text:
        reason = (
            f"refers to {refused[1] if refused else 'a function'} besides the weights, which is never loaded because"
        )
        advice = "convert it to .safetensors on a machine where you trust it (docs/troubleshooting.md shows how)"
        return f"{reason} it could execute code; {advice}"
    return "is truncated or not a torch checkpoint; get it again"
