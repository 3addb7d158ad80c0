"""Results of the networks on disk while a replay runs, so that a broken run can continue."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perception_common.atomic_file import atomic_file
from perception_common.errors import InputError
from perception_common.text.json_files import write_json

_MARK = "run.json"  # identifies the run that a cache belongs to


@dataclass(frozen=True)
class ResultCache:
    """Arrays by name, one file each, below a folder."""

    folder: Path

    def keep(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write arrays, all or nothing. Raises InputError when that fails."""
        path = self._path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as unfinished, unfinished.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
        except OSError as error:
            raise InputError(f"{path} cannot be written ({error.strerror}); free some space") from error

    def find(self, name: str) -> dict[str, np.ndarray] | None:
        """Return kept arrays; None where there are none, or broken ones."""
        try:
            with np.load(self._path(name), allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"


@contextmanager
def run_cache(out: Path, identity: str) -> Iterator[ResultCache]:
    """Give the cache beside the output bag `out`: that of a broken run of the same identity, else a new one.

    identity: hash of everything that the results depend on. The cache is removed when the block ends well and kept when
    it is broken off.
    """
    folder = out.with_name(f"{out.name}.unfinished")
    mark = folder / _MARK
    try:
        if folder.exists() and json.loads(mark.read_text()) != {"identity": identity}:
            print(f"{folder} is of a run with another input or configuration: starting anew")
            shutil.rmtree(folder)
        elif folder.exists():
            print(f"going on with the run that was broken off ({folder})")
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} is no folder of a broken replay ({error}); remove it") from error
    folder.mkdir(parents=True, exist_ok=True)
    write_json(mark, {"identity": identity})
    try:
        yield ResultCache(folder)
    except KeyboardInterrupt:
        raise InputError(f"stopped; the same command goes on from here ({folder})") from None
    shutil.rmtree(folder)
