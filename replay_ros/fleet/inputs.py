"""Which bags or datasets a command line means, and a name for each."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from perception_common.errors import InputError
from perception_common.text.text_files import read_text
from replay_ros.bags.storage_files import STORAGE_SUFFIXES

LIST_SUFFIX = ".txt"
_MAGIC = "*?["


def find_sources(given: Sequence[str], is_source: Callable[[Path], bool]) -> dict[str, Path]:
    """Return the sources that words name, by a unique name, in their order, each once.

    A word is a source, a pattern (`flights/*`), a folder with sources in it at any depth, or a .txt file with one such
    word on each line (# begins a comment; relative to the folder of the file). is_source: tells a source from a folder.
    Raises InputError for a pattern or a folder without any. A single path that is missing is kept: its task fails.
    """
    paths = dict.fromkeys(path.absolute() for word in given for path in _expand(word, Path(), is_source))
    return {_name(path, depth): path for path, depth in _depths(list(paths)).items()}


def is_bag(path: Path) -> bool:
    """Tell whether a path is a bag by its looks: a folder with metadata.yaml or a storage file, or a storage file."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or any(map(_is_storage, path.iterdir()))
    return _is_storage(path)


def _is_storage(path: Path) -> bool:
    return path.is_file() and bool({*path.suffixes[-2:]} & {*STORAGE_SUFFIXES})


def _expand(word: str, base: Path, is_source: Callable[[Path], bool]) -> Iterator[Path]:
    path = base / Path(word).expanduser()
    if not path.exists() and any(character in word for character in _MAGIC):
        found = [Path(each) for each in sorted(glob.glob(str(path), recursive=True))]
        matching = [each for each in found if each.is_dir() or is_source(each)]
        if not matching:
            raise InputError(f"nothing fits {word!r}; check the pattern")
        for each in matching:
            yield from _expand(str(each), base, is_source)
    elif path.suffix == LIST_SUFFIX and path.is_file():
        for line in read_text(path).splitlines():
            if text := line.partition("#")[0].strip():
                yield from _expand(text, path.parent, is_source)
    elif path.is_dir() and not is_source(path):
        inside = list(_inside(path, is_source))
        if not inside:
            raise InputError(f"{path} holds nothing to work on; give bags, or folders of bags")
        yield from inside
    else:
        yield path


def _inside(folder: Path, is_source: Callable[[Path], bool]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if is_source(path):
            yield path
        elif path.is_dir():
            yield from _inside(path, is_source)


def _depths(paths: list[Path]) -> dict[Path, int]:
    """Return how many last parts of each path make its name: as few as make all names different."""
    depths = dict.fromkeys(paths, 1)
    while True:
        counts = Counter(_name(path, depth) for path, depth in depths.items())
        clashing = [path for path, depth in depths.items() if counts[_name(path, depth)] > 1]
        if not clashing:
            return depths
        if all(depths[path] >= len(path.parts) for path in clashing):
            raise InputError(f"{clashing[0]} and {clashing[1]} get the same name {_name(clashing[0], 1)}; rename one")
        for path in clashing:
            depths[path] += 1


def _name(path: Path, depth: int) -> str:
    parts = path.with_suffix("") if path.suffix in (*STORAGE_SUFFIXES, ".json") else path
    return "_".join(part.strip("/") for part in parts.parts[-depth:]).strip("_") or "bag"
