"""Recognise the format of a source (a public dataset's sequence, a folder of images, a video) and open it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from perception_common.errors import InputError
from replay_ros.bags.datasets.euroc import is_euroc, read_euroc
from replay_ros.bags.datasets.kitti import is_kitti, read_kitti
from replay_ros.bags.datasets.recording import CameraStream, FrameTiming, Recording
from replay_ros.bags.datasets.sequences.frames import check_timing
from replay_ros.bags.datasets.sequences.images import ImageFolder, open_image_folder
from replay_ros.bags.datasets.sequences.video import Video, open_video
from replay_ros.bags.datasets.tum import is_tum, read_tum_rgbd
from replay_ros.bags.datasets.visdrone_video import is_visdrone_video, read_visdrone_video


@dataclass(frozen=True)
class DatasetFormat:
    """The format of a public dataset. marker: the files by which `matches` recognises it, in words."""

    name: str
    marker: str
    matches: Callable[[Path], bool]
    read: Callable[[Path, FrameTiming], Recording]


DATASETS = (
    DatasetFormat("kitti", "times.txt beside image_0 or image_2", is_kitti, read_kitti),
    DatasetFormat("tum", "rgb.txt", is_tum, read_tum_rgbd),
    DatasetFormat("euroc", "mav0/cam0/data.csv", is_euroc, read_euroc),
    DatasetFormat(
        "visdrone-vid", "sequences/NAME/*.jpg with annotations/NAME.txt", is_visdrone_video, read_visdrone_video
    ),
)
FORMATS = (*(each.name for each in DATASETS), "images", "video")


def open_recording(source: Path, timing: FrameTiming, name: str | None = None, pattern: str = "*") -> Recording:
    """Open a source in the format `name`; None: the format that is recognised.

    pattern: glob that selects images of a plain folder. Raises InputError for a source that does not have the format,
    and for options that contradict it.
    """
    if name is not None and name not in FORMATS:
        raise InputError(f"unknown format {name!r}; choose one of {', '.join(FORMATS)}")
    if not source.exists():
        raise InputError(f"{source} does not exist; give a folder of images or a video file, or a dataset's sequence")
    if name is None and source.is_dir() and pattern == "*":
        dataset = next((each for each in DATASETS if each.matches(source)), None)
    else:
        dataset = next((each for each in DATASETS if each.name == name), None)
    if dataset is not None:
        return _open_dataset(source, timing, dataset, pattern)
    if name == "images" and not source.is_dir():
        raise InputError(f"{source} is not a folder; give the folder of the images, or --format video")
    if name == "video" and not source.is_file():
        raise InputError(f"{source} is not a file; give the video itself, or --format images")
    kitti_sequences = [path for path in sorted(source.glob("sequences/*")) if is_kitti(path)]
    if kitti_sequences:
        raise InputError(f"{source} holds {len(kitti_sequences)} KITTI sequences; give one, as {kitti_sequences[0]}")
    sequence = open_sequence(source, rate=timing.rate, start_ns=timing.start_ns, pattern=pattern)
    return Recording(
        what="a folder of images" if source.is_dir() else "a video",
        cameras=(CameraStream(name="camera", sequence=sequence),),
    )


def open_sequence(
    source: Path | str, *, rate: float | None = None, start_ns: int | None = None, pattern: str = "*"
) -> ImageFolder | Video:
    """Open a folder of images or a video file.

    A folder is sorted naturally (2 before 10). When the stems of at least half of the files are stamps (see
    `parse_stamp`), these are the stamps, and the other files are left out, with a note; else the frames have the rate
    `rate` (default 10 Hz) from `start_ns` (default 1 s). A video has times of its own. A given `rate` overrides stamps
    in names and the times of a video. `pattern` is a glob that selects files of a folder.

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


def _open_dataset(source: Path, timing: FrameTiming, dataset: DatasetFormat, pattern: str) -> Recording:
    if not source.is_dir() or not dataset.matches(source):
        raise InputError(
            f"{source} is not a {dataset.name} sequence: it has no {dataset.marker}; give another --format"
        )
    if pattern != "*":
        raise InputError(f"a pattern selects images of a plain folder, not of a {dataset.name} sequence; leave it out")
    return dataset.read(source, timing)
