"""Open a folder of images or a video file as a sequence of stamped frames."""

from __future__ import annotations

from pathlib import Path

from perception_common.errors import InputError
from replay_ros.bags.datasets.sequences.frames import check_timing
from replay_ros.bags.datasets.sequences.images import ImageFolder, open_image_folder
from replay_ros.bags.datasets.sequences.video import Video, open_video


def open_sequence(
    source: Path | str, *, rate: float | None = None, start_ns: int | None = None, pattern: str = "*"
) -> ImageFolder | Video:
    """Open a folder of images or a video file.

    A folder is sorted naturally (2 before 10). When the stem of every file is a stamp (see `parse_stamp`), these are
    the stamps; else the frames have the rate `rate` (default 10 Hz) from `start_ns` (default 1 s). A video has a rate
    of its own. A given `rate` overrides stamps in names and the rate of a video. `pattern` is a glob that selects files
    of a folder.

    Raises InputError when there is nothing to read, and for a `start_ns` that contradicts stamps in file names.
    """
    source = Path(source)
    check_timing(rate, start_ns)
    if source.is_dir():
        return open_image_folder(source, rate=rate, start_ns=start_ns, pattern=pattern)
    if source.is_file():
        if pattern != "*":
            raise InputError(f"{source} is a file: a pattern selects images of a folder, leave it out")
        return open_video(source, rate=rate, start_ns=start_ns)
    raise InputError(f"{source} does not exist; give a folder of images or a video file")
