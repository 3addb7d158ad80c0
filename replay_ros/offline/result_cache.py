"""Results of the networks on disk while a replay runs, so that a broken run can continue."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perception_common.array_files import read_arrays
from perception_common.atomic_file import make_folder, output_file
from perception_common.errors import InputError
from perception_common.text.json_files import read_json, write_json

_MARK = "run.json"  # identifies the run that a cache belongs to
_OWN = {_MARK, "descriptors", "detections", "matches", "sizes", "times"}


@dataclass(frozen=True)
class ResultCache:
    """Arrays by name, one file each, below a folder."""

    folder: Path

    def keep(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write arrays, all or nothing. Raises InputError when that fails."""
        path = self._path(name)
        make_folder(path.parent)
        with output_file(path) as unfinished, unfinished.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def find(self, name: str) -> dict[str, np.ndarray] | None:
        """Return kept arrays; None where there are none, or broken ones."""
        try:
            return read_arrays(self._path(name))
        except InputError:
            return None

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"


@contextmanager
def run_cache(out: Path, identity: str) -> Iterator[ResultCache]:
    """Give the cache beside the output bag `out`: that of a broken run of the same identity, else a new one.

    identity: hash of everything that the results depend on. The cache is removed when the block ends well, and when it
    fails before anything was kept. It is kept when a run is broken off after that.
    """
    folder = out.with_name(f"{out.name}.unfinished")
    if folder.exists():
        if _is_of(folder, identity):
            print(f"going on with the run that was broken off ({folder})")
        else:
            print(f"{folder} is of a run with another input or configuration: starting anew")
            shutil.rmtree(folder)
    make_folder(folder)
    write_json(folder / _MARK, {"identity": identity})
    try:
        yield ResultCache(folder)
    except BaseException as error:
        is_empty = [path.name for path in folder.iterdir()] == [_MARK]
        if is_empty:
            shutil.rmtree(folder)
        if isinstance(error, (KeyboardInterrupt, SystemExit)):  # SystemExit: a handler of SIGTERM
            way = "nothing was computed yet" if is_empty else f"the same command goes on from here ({folder})"
            raise InputError(f"stopped; {way}") from None
        raise
    shutil.rmtree(folder)


def _is_of(folder: Path, identity: str) -> bool:
    """Tell whether a cache is of a run. Raises InputError for a folder that is no cache.

    A process that is killed may leave a cache without its mark or with half of it: such a cache is of no run.
    """
    try:
        strange = [path.name for path in folder.iterdir() if path.name not in _OWN and not path.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror}); remove it") from error
    if strange:
        raise InputError(f"{folder} is no folder of a broken replay (it holds {strange[0]}); rename or remove it")
    try:
        return bool(read_json(folder / _MARK) == {"identity": identity})
    except InputError:
        return False
