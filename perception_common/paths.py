"""File names from outside, such as those in a label file: they must stay below their folder."""

from __future__ import annotations

import os
from pathlib import Path

from perception_common.errors import InputError

_NAME_MAX, _PATH_MAX = 255, 4095  # bytes of a name and of a path, as in Linux's limits.h


def inner_path(folder: Path, name: object) -> Path:
    """Return the path of the file `name` below `folder`; an absolute name must lie below it too.

    Backslashes separate folders where no file has them in its name (files written on Windows). Links below the folder
    are followed. Raises InputError, which does not name the origin, for what is no name and for a path that leaves the
    folder. The file need not exist.
    """
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise InputError(f"{str(name)[:60]!a} is not a file name")
    root = os.path.abspath(folder)
    path = os.path.abspath(os.path.join(root, name))
    if "\\" in name and not os.path.exists(path):
        path = os.path.abspath(os.path.join(root, name.replace("\\", "/")))
    if os.path.commonpath([root, path]) != root or path == root:
        raise InputError(f"the file name {name[:200]!r} leaves the folder {folder}; write names relative to the folder")
    if len(os.fsencode(path)) > _PATH_MAX or any(len(os.fsencode(part)) > _NAME_MAX for part in path.split(os.sep)):
        raise InputError(f"{name[:60]!a}... is longer than a file name can be")
    return folder / os.path.relpath(path, root)
