"""The storage files of a bag (.mcap or .db3): which ones to open, and how to recover a damaged one."""

from __future__ import annotations

from pathlib import Path

from perception_common.errors import InputError
from replay_ros.bags.datasets.sequences.images import is_image, natural_key

STORAGE_SUFFIXES = (".mcap", ".db3")


def storage_paths(path: Path) -> list[Path]:
    """Return the paths that the `rosbags` package opens for a bag.

    This is the folder when it has metadata.yaml, else the storage files in it, sorted naturally. A single storage file
    is a bag, too. Raises InputError for a path that is missing, empty, compressed without metadata.yaml, or not a bag.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; give the folder of a bag or a .mcap or .db3 file")
    if path.is_file():
        _check_storage_file(path)
        return [path]
    if (path / "metadata.yaml").is_file():
        return [path]
    return _storage_files_in(path)


def recovery_advice(path: Path) -> str:
    """Return the command that recovers what is left of a damaged bag, for an error message."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    if any(file.suffix == ".mcap" for file in files):
        return "recover what is left with `mcap recover BROKEN.mcap -o SAVED.mcap`, then open SAVED.mcap"
    if any(file.suffix == ".db3" for file in files):
        return "recover what is left with `sqlite3 BROKEN.db3 .recover | sqlite3 SAVED.db3`, then open SAVED.db3"
    return "copy its storage files beside metadata.yaml, or record it again"


def _check_storage_file(path: Path) -> None:
    if path.suffix == ".bag":
        raise InputError(f"{path} is a ROS 1 bag; convert it with `rosbags-convert --src {path} --dst {path.stem}`")
    if _is_compressed_file(path):
        raise InputError(f"{path} is compressed; give its folder with metadata.yaml, or unpack it: `zstd -d {path}`")
    if path.suffix not in STORAGE_SUFFIXES:
        raise InputError(f"{path} is not a bag; give the folder of a bag or a .mcap or .db3 file")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty; record it again")


def _storage_files_in(folder: Path) -> list[Path]:
    """Return the storage files of a folder without metadata.yaml, which the recorder writes when it ends normally."""
    files = [file for file in folder.iterdir() if file.suffix in STORAGE_SUFFIXES and file.stat().st_size > 0]
    if files:
        return sorted(files, key=lambda file: natural_key(file.name))
    compressed = next((file for file in folder.iterdir() if _is_compressed_file(file)), None)
    if compressed is not None:
        raise InputError(f"{folder} has compressed files and no metadata.yaml; unpack them: `zstd -d {compressed}`")
    has_images = any(is_image(file) for file in folder.iterdir())
    advice = f"make one of its images with `make_bag {folder} OUT`" if has_images else "give the folder of a bag"
    raise InputError(f"{folder} is not a bag (no metadata.yaml, no .mcap or .db3 file); {advice}")


def _is_compressed_file(path: Path) -> bool:
    """Tell whether a file is a storage file that the recorder compressed as a whole (compression mode FILE)."""
    return path.suffix == ".zstd" and path.with_suffix("").suffix in STORAGE_SUFFIXES
