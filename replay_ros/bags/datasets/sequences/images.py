"""Folders of images: which files belong to the sequence, their order and stamps, and how one is read."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from perception_common.errors import InputError
from replay_ros.bags.datasets.sequences.frames import (
    DEFAULT_RATE,
    DEFAULT_START_NS,
    BrokenFrame,
    Frame,
    parse_stamp,
    regular_stamp,
)

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class ImageFolder:
    """Image files with their stamps, in nanoseconds; iterating reads one image at a time.

    timing: where the stamps come from, for the user.
    """

    files: tuple[Path, ...]
    stamps_ns: tuple[int, ...]
    timing: str

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Frame | BrokenFrame]:
        for file, stamp_ns in zip(self.files, self.stamps_ns, strict=True):
            try:
                yield Frame(file.name, stamp_ns, read_image(file))
            except InputError as error:
                yield BrokenFrame(file.name, stamp_ns, str(error))


def open_image_folder(folder: Path, *, rate: float | None, start_ns: int | None, pattern: str) -> ImageFolder:
    """Open the images of a folder that match a glob; see `open_sequence`. Raises InputError."""
    files = _images_in(folder, pattern)
    stamps = [parse_stamp(file.stem) for file in files]
    if rate is None and None not in stamps:
        if start_ns is not None:
            raise InputError(
                f"the file names in {folder} are stamps, so a start stamp contradicts them; leave it out or give a rate"
            )
        named = [(stamp, file) for stamp, file in zip(stamps, files, strict=True) if stamp is not None]
        return folder_by_stamp(named, folder, timing="file names")
    used_rate = DEFAULT_RATE if rate is None else rate
    first = DEFAULT_START_NS if start_ns is None else start_ns
    regular = tuple(regular_stamp(first, used_rate, index) for index in range(len(files)))
    return ImageFolder(tuple(files), regular, timing=f"{used_rate:g} Hz")


def folder_by_stamp(stamped: list[tuple[int, Path]], source: Path, timing: str) -> ImageFolder:
    """Sort (stamp, file) pairs by their stamps. Raises InputError, naming `source`, for two files with one stamp."""
    ordered = sorted(stamped)
    for (stamp, file), (following, other) in itertools.pairwise(ordered):
        if stamp == following:
            raise InputError(f"{source}: {file.name} and {other.name} have the same stamp; remove one of them")
    return ImageFolder(tuple(file for _, file in ordered), tuple(stamp for stamp, _ in ordered), timing)


def read_image(path: Path) -> np.ndarray:
    """Read an image file as (H, W, 3) uint8 BGR, pixels as stored. 16-bit images lose their lower byte.

    Raises InputError for a file that is not an image or is truncated (OpenCV fills the rest of such a JPEG with grey).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
    if not data:
        raise InputError(f"{path}: the file is empty; copy it again or remove it")
    if not is_complete(data):
        raise InputError(f"{path}: the image is cut short; copy it again or remove it")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise InputError(f"{path}: not an image that OpenCV can read; convert it to PNG or JPEG or remove it")
    return image


def is_complete(data: bytes) -> bool:
    """Tell whether an encoded JPEG or PNG has its end marker; other formats are taken as complete."""
    if data.startswith(b"\x89PNG"):
        return b"IEND\xaeB`\x82" in data
    if data.startswith(b"\xff\xd8"):
        scan = _jpeg_scan_start(data)
        return scan is not None and data.find(b"\xff\xd9", scan) >= 0
    return True


def is_image(file: Path) -> bool:
    """Tell whether a file is an image, by its suffix."""
    return file.suffix.lower() in IMAGE_SUFFIXES


def is_numbered_image(file: Path) -> bool:
    """Tell whether a file is an image whose stem is a number, as "000012.png"."""
    return is_image(file) and file.stem.isascii() and file.stem.isdigit()


def numbered_images(folder: Path, example: str) -> dict[int, Path]:
    """Return the numbered images of a folder by their numbers, ascending. Raises InputError when there is none.

    example: a name as it is expected, for the error message.
    """
    numbered = {int(file.stem): file for file in folder.iterdir() if is_numbered_image(file)}
    if not numbered:
        raise InputError(f"{folder} holds no numbered images such as {example}; extract them there")
    return dict(sorted(numbered.items()))


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key by which "image2" comes before "image10"."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((0, int(part), part) if part[0] in "0123456789" else (1, 0, part) for part in parts)


def _images_in(folder: Path, pattern: str) -> list[Path]:
    """Return the images of a folder that match a glob, in natural order."""
    try:
        found = [file for file in folder.glob(pattern) if file.is_file() and is_image(file)]
    except (NotImplementedError, ValueError) as error:
        raise InputError(f"the pattern {pattern!r} is not a glob ({error}); write one such as 'left*.jpg'") from error
    if not found:
        hint = _subfolder_hint(folder) if pattern == "*" else f"none matches {pattern!r}"
        raise InputError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)}); {hint}")
    return sorted(found, key=lambda file: natural_key(file.name))


def _subfolder_hint(folder: Path) -> str:
    """Name a subfolder with images, for the error message of a folder without."""
    for child in sorted(child for child in folder.iterdir() if child.is_dir()):
        if any(is_image(file) for file in child.iterdir()):
            return f"{child} holds some: give that folder"
    return "give a folder of images, or a video file"


def _jpeg_scan_start(data: bytes) -> int | None:
    """Return the offset of the entropy-coded data, behind all segments; None when there is none.

    The segments have to be skipped: one may hold a thumbnail, a complete JPEG with an end marker of its own.
    """
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == 0xDA:  # start of scan
            return position + 2
        (length,) = struct.unpack_from(">H", data, position + 2)
        position += 2 + length
    return None
