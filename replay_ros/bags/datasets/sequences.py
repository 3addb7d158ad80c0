"""Image sequences on disk: a folder of images or a video file, read one frame at a time, each with its stamp."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import cv2
import numpy as np

from perception_common.errors import InputError

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
DEFAULT_RATE = 10.0  # Hz, for images whose names say nothing about time
DEFAULT_START_NS = 1_000_000_000  # 1 s: a stamp of zero means "no stamp" in ROS


@dataclass(frozen=True)
class Frame:
    """One image of a sequence.

    name: file name, or "frame 12" of a video.
    stamp_ns: nanoseconds.
    image: (H, W, 3) uint8, BGR, the pixels as stored (an EXIF orientation is not applied: intrinsics would not follow).
    """

    name: str
    stamp_ns: int
    image: np.ndarray


@dataclass(frozen=True)
class BrokenFrame:
    """A place in the sequence whose image cannot be read, and why."""

    name: str
    stamp_ns: int
    reason: str


@dataclass(frozen=True)
class ImageFolder:
    """A folder of images with their stamps; iterating reads one image at a time."""

    files: tuple[Path, ...]
    stamps_ns: tuple[int, ...]
    timing: str  # where the stamps come from, in words

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Frame | BrokenFrame]:
        for file, stamp_ns in zip(self.files, self.stamps_ns, strict=True):
            try:
                yield Frame(file.name, stamp_ns, read_image(file))
            except InputError as error:
                yield BrokenFrame(file.name, stamp_ns, str(error))


@dataclass(frozen=True)
class Video:
    """A video file; iterating decodes one frame at a time.

    count: frames as the container states them, which the decoder may not reach: only good for a progress bar.
    """

    path: Path
    count: int
    rate: float
    start_ns: int
    timing: str

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Frame | BrokenFrame]:
        capture = _open_video(self.path)
        try:
            index = 0
            while True:
                grabbed, image = capture.read()
                if not grabbed:
                    break
                yield Frame(f"frame {index}", regular_stamp(self.start_ns, self.rate, index), _as_bgr(image))
                index += 1
        finally:
            capture.release()
        if index < self.count:
            stamp = regular_stamp(self.start_ns, self.rate, index)
            yield BrokenFrame(
                f"frame {index}", stamp, f"{self.path}: the video ends there, {self.count} were announced"
            )


def open_sequence(
    source: Path | str, *, rate: float | None = None, start_ns: int | None = None, pattern: str = "*"
) -> ImageFolder | Video:
    """Open a folder of images or a video file.

    A folder is sorted naturally (2 before 10). When every file's stem is a stamp (seconds with a fraction, as TUM
    writes them, or 18 to 19 digits of nanoseconds, as EuRoC does), these are the stamps; else the frames follow each
    other at `rate` (default 10 Hz) from `start_ns` (default 1 s). A video has its own rate. A `rate` that is given
    always wins. `pattern` is a glob that picks files of a folder.

    Raises InputError when there is nothing to read, and for a `start_ns` that stamps in file names would contradict.
    """
    source = Path(source)
    if rate is not None and not 0.0 < rate <= 10_000.0:
        raise InputError(f"the rate is {rate} Hz; give one above 0, at most 10000")
    if start_ns is not None and start_ns < 0:
        raise InputError(f"the start stamp is {start_ns / 1e9} s; give one that is not negative")
    if source.is_dir():
        return _open_folder(source, rate, start_ns, pattern)
    if source.is_file():
        if pattern != "*":
            raise InputError(f"{source} is a file: a pattern picks images of a folder, leave it out")
        return _open_video_sequence(source, rate, start_ns)
    raise InputError(f"{source} does not exist; give a folder of images or a video file")


def read_image(path: Path) -> np.ndarray:
    """Read an image file as (H, W, 3) uint8 BGR, pixels as stored. 16-bit images lose their lower byte.

    Raises InputError for a file that is no image or was cut short (OpenCV fills the rest of such a JPEG with grey).
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
    """Tell whether an encoded JPEG or PNG reaches its end marker; other formats are taken as complete."""
    if data.startswith(b"\x89PNG"):
        return b"IEND\xaeB`\x82" in data
    if data.startswith(b"\xff\xd8"):
        scan = _jpeg_scan_start(data)
        return scan is not None and data.find(b"\xff\xd9", scan) >= 0
    return True


def parse_stamp(stem: str) -> int | None:
    """Return the stamp in nanoseconds that a file's stem spells, exactly, or None when it spells none.

    >>> parse_stamp("1311868169.163498")
    1311868169163498000
    >>> parse_stamp("0012") is None
    True
    """
    if re.fullmatch(r"[0-9]{1,10}\.[0-9]+", stem):
        return int(Decimal(stem).scaleb(9).to_integral_value())
    if re.fullmatch(r"[0-9]{18,19}", stem):
        return int(stem)
    return None


def regular_stamp(start_ns: int, rate: float, index: int) -> int:
    """Return the stamp of frame `index` at `rate` Hz, in nanoseconds; the rounding does not add up over frames."""
    return start_ns + round(index * 1e9 / rate)


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key by which "image2" comes before "image10"."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((0, int(part), part) if part[0] in "0123456789" else (1, 0, part) for part in parts)


def _open_folder(folder: Path, rate: float | None, start_ns: int | None, pattern: str) -> ImageFolder:
    try:
        found = [file for file in folder.glob(pattern) if file.is_file() and file.suffix.lower() in IMAGE_SUFFIXES]
    except (NotImplementedError, ValueError) as error:
        raise InputError(f"the pattern {pattern!r} is not a glob ({error}); write one such as 'left*.jpg'") from error
    if not found:
        hint = _folders_with_images(folder) if pattern == "*" else f"none matches {pattern!r}"
        raise InputError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)}); {hint}")
    files = sorted(found, key=lambda file: natural_key(file.name))
    stamps = [parse_stamp(file.stem) for file in files]
    if rate is None and None not in stamps:
        if start_ns is not None:
            raise InputError(
                f"the file names in {folder} are stamps, so a start stamp contradicts them; leave it out or give a rate"
            )
        named = sorted((stamp, file) for stamp, file in zip(stamps, files, strict=True) if stamp is not None)
        for (stamp, file), (following, other) in itertools.pairwise(named):
            if stamp == following:
                raise InputError(f"{file.name} and {other.name} in {folder} have the same stamp; remove one of them")
        return ImageFolder(tuple(file for _, file in named), tuple(stamp for stamp, _ in named), "file names")
    used_rate = DEFAULT_RATE if rate is None else rate
    first = DEFAULT_START_NS if start_ns is None else start_ns
    regular = tuple(regular_stamp(first, used_rate, index) for index in range(len(files)))
    return ImageFolder(tuple(files), regular, f"{used_rate:g} Hz")


def _open_video_sequence(path: Path, rate: float | None, start_ns: int | None) -> Video:
    capture = _open_video(path)
    try:
        own_rate = float(capture.get(cv2.CAP_PROP_FPS))
        count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        readable = capture.read()[0]
    finally:
        capture.release()
    if not readable:
        raise InputError(f"{path}: no frame can be decoded; convert it with `ffmpeg -i {path.name} video.mp4`")
    if rate is None and not 0.0 < own_rate <= 10_000.0:
        raise InputError(f"{path} does not state its frame rate; give one")
    used_rate = own_rate if rate is None else rate
    first = DEFAULT_START_NS if start_ns is None else start_ns
    return Video(path, count, used_rate, first, f"{used_rate:g} Hz")


def _open_video(path: Path) -> cv2.VideoCapture:
    if path.suffix.lower() in IMAGE_SUFFIXES:  # OpenCV would take it for the first of numbered images
        raise InputError(f"{path} is a single image; give the folder it lies in, or a video file")
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise InputError(
            f"{path}: not a video that OpenCV can read; give a folder of images or one of {', '.join(VIDEO_SUFFIXES)}"
        )
    return capture


def _folders_with_images(folder: Path) -> str:
    children = sorted(child for child in folder.iterdir() if child.is_dir())
    for child in children:
        if any(file.suffix.lower() in IMAGE_SUFFIXES for file in child.iterdir()):
            return f"{child} does: give that"
    return "give the folder that does, or a video file"


def _as_bgr(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image


def _jpeg_scan_start(data: bytes) -> int | None:
    """Return where the entropy-coded data begins: behind the segments, of which one may hold a whole thumbnail."""
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == 0xDA:
            return position + 2
        (length,) = struct.unpack_from(">H", data, position + 2)
        position += 2 + length
    return None
