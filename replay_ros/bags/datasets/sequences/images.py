"""Folders of images: which files belong to the sequence, their order and stamps, and how one is read."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from perception_common.errors import InputError
from perception_common.images.intensity import INTENSITIES, Intensity
from perception_common.images.pictures.exif import UPRIGHT
from perception_common.images.pictures.files import read_picture
from replay_ros.bags.datasets.sequences.frames import (
    DEFAULT_RATE,
    DEFAULT_START_NS,
    BrokenFrame,
    Frame,
    parse_stamp,
    regular_stamp,
)

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = (
    *(".bmp", ".gif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff"),
    ".webp",
)
_NAMES = 5  # files named in a note


@dataclass(frozen=True)
class ImageFolder:
    """Image files with their stamps, in nanoseconds; iterating reads one image at a time.

    timing: where the stamps come from, for the user. notes: what the user should know, one sentence each. intensity:
    how images of more than 8 bits become 8 bits, one of INTENSITIES. has_stamps: the stamps are of the recording, or of
    a rate that was given; else they are made up.
    """

    files: tuple[Path, ...]
    stamps_ns: tuple[int, ...]
    timing: str
    notes: tuple[str, ...] = ()
    intensity: str = INTENSITIES[0]
    has_stamps: bool = True

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Frame | BrokenFrame]:
        intensity = Intensity(self.intensity, logger.warning)
        for file, stamp_ns in zip(self.files, self.stamps_ns, strict=True):
            try:
                picture = read_picture(file, intensity, stamp_ns)
            except InputError as error:
                yield BrokenFrame(file.name, stamp_ns, str(error))
                continue
            turned = "" if picture.orientation == UPRIGHT else f"EXIF orientation {picture.orientation}"
            yield Frame(file.name, stamp_ns, picture.image, turned)


def open_image_folder(folder: Path, *, rate: float | None, start_ns: int | None, pattern: str) -> ImageFolder:
    """Open the images of a folder that match a glob; see `open_sequence`. Raises InputError."""
    files = _images_in(folder, pattern)
    notes = [_other_files(folder, files)] if pattern == "*" else []
    stamped = [(stamp, file) for file in files if (stamp := parse_stamp(file.stem)) is not None]
    if rate is None and 2 * len(stamped) >= len(files):
        if start_ns is not None:
            raise InputError(
                f"the file names in {folder} are stamps, so a start stamp contradicts them; leave it out or give a rate"
            )
        strays = sorted(set(files) - {file for _, file in stamped})
        notes.append(_left_out(strays, "images whose names are no stamps, as those of the others are,"))
        sequence = folder_by_stamp(stamped, folder, timing="times from the file names")
        return replace(sequence, notes=tuple(filter(None, notes)))
    if rate is None and stamped:
        notes.append(f"only {len(stamped)} of {len(files)} names are stamps, so they are not used")
    used_rate = DEFAULT_RATE if rate is None else rate
    first = DEFAULT_START_NS if start_ns is None else start_ns
    regular = tuple(regular_stamp(first, used_rate, index) for index in range(len(files)))
    timing = f"times made up: {used_rate:g} Hz" + ("" if rate is None else ", as given")
    has_stamps = rate is not None or start_ns is not None
    return ImageFolder(tuple(files), regular, timing, tuple(filter(None, notes)), has_stamps=has_stamps)


def folder_by_stamp(stamped: list[tuple[int, Path]], source: Path, timing: str) -> ImageFolder:
    """Sort (stamp, file) pairs by their stamps. Raises InputError, naming `source`, for two files with one stamp."""
    ordered = sorted(stamped)
    for (stamp, file), (following, other) in itertools.pairwise(ordered):
        if stamp == following:
            raise InputError(f"{source}: {file.name} and {other.name} have the same stamp; remove one of them")
    return ImageFolder(tuple(file for _, file in ordered), tuple(stamp for stamp, _ in ordered), timing)


def is_image(file: Path) -> bool:
    """Tell whether a file is an image, by its suffix."""
    return file.suffix.lower() in IMAGE_SUFFIXES


def is_numbered_image(file: Path) -> bool:
    """Tell whether a file is an image whose stem is a number, as "000012.png"."""
    return is_image(file) and file.stem.isascii() and file.stem.isdigit()


def numbered_images(folder: Path, example: str) -> dict[int, Path]:
    """Return the numbered images of a folder by their numbers, ascending.

    example: a name as it is expected, for the error message. Raises InputError when there is none, and for two files
    with one number, as 1.png and 01.png.
    """
    numbered: dict[int, Path] = {}
    for file in sorted(folder.iterdir()):
        if is_numbered_image(file):
            first = numbered.setdefault(int(file.stem), file)
            if first != file:
                raise InputError(f"{folder}: {first.name} and {file.name} have the same number; remove one of them")
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


def _other_files(folder: Path, images: list[Path]) -> str:
    """Return a note that names the files of a folder that are no images by their suffix; empty: there are none."""
    others = sorted(file for file in set(folder.iterdir()) - set(images) if file.is_file() and file.name[0] != ".")
    return _left_out(others, "files that are no images by their suffix")


def _left_out(files: list[Path], what: str) -> str:
    names = ", ".join(file.name for file in files[:_NAMES]) + (", ..." if len(files) > _NAMES else "")
    return f"{len(files)} {what} are left out: {names}" if files else ""
