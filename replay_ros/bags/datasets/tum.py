"""TUM RGB-D: rgb.txt, depth.txt and groundtruth.txt with the images that they list.

Sturm et al., "A Benchmark for the Evaluation of RGB-D SLAM Systems", IROS 2012. Depth is registered to the colour
image, in units of 1/5000 m. A true pose is that of the colour camera's optical frame in the frame of the motion
capture system.
"""

from __future__ import annotations

import re
from pathlib import Path

from perception_common.errors import InputError
from perception_common.tum import read_tum
from replay_ros.bags.datasets.calibration import Calibration
from replay_ros.bags.datasets.camera_files import calibration_from_mapping
from replay_ros.bags.datasets.recording import CameraStream, DepthImages, FrameTiming, Recording
from replay_ros.bags.datasets.rows import read_image_list

UNITS_PER_METRE = 5000.0
WIDTH, HEIGHT = 640, 480
# fx, fy, cx, cy and distortion of the colour cameras, from the page "File formats" of the benchmark.
CAMERAS = {
    "1": ((517.3, 516.5, 318.6, 255.3), (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)),
    "2": ((520.9, 521.0, 325.1, 249.7), (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)),
    "3": ((535.4, 539.2, 320.1, 247.6), (0.0, 0.0, 0.0, 0.0, 0.0)),
}


def is_tum(folder: Path) -> bool:
    """Tell whether a folder is a TUM RGB-D sequence."""
    return (folder / "rgb.txt").is_file()


def read_tum_rgbd(folder: Path, timing: FrameTiming) -> Recording:
    """Read a sequence. The camera is recognised by freiburg1 to freiburg3, or fr1 to fr3, in the folder's name.

    `timing` must be empty. Raises InputError.
    """
    if timing != FrameTiming():
        raise InputError(f"{folder} has its stamps in rgb.txt: leave rate and start stamp out")
    notes = []
    named = re.search(r"(?:freiburg|fr)([123])(?![0-9])", folder.resolve().name.lower())
    if named is None:
        notes.append("the name of the folder does not contain the camera (freiburg1 to freiburg3): give a camera file")
    truth = folder / "groundtruth.txt"
    if not truth.is_file():
        notes.append("no groundtruth.txt: there are no true poses")
    depth = _depth(folder)
    if depth is None:
        notes.append("no depth.txt: there are no depth images")
    return Recording(
        what=f"a TUM RGB-D sequence{f' of freiburg{named[1]}' if named else ''}",
        cameras=(
            CameraStream(
                name="rgb",
                sequence=read_image_list(folder / "rgb.txt", "list of images", folder, in_seconds=True),
                calibration=None if named is None else _calibration(named[1]),
            ),
        ),
        poses=read_tum(truth) if truth.is_file() else None,
        depth=depth,
        notes=tuple(notes),
    )


def _depth(folder: Path) -> DepthImages | None:
    if not (folder / "depth.txt").is_file():
        return None
    images = read_image_list(folder / "depth.txt", "list of depth images", folder, in_seconds=True)
    return DepthImages(files=images.files, stamps_ns=images.stamps_ns, units_per_metre=UNITS_PER_METRE)


def _calibration(number: str) -> Calibration:
    K, D = CAMERAS[number]
    return calibration_from_mapping({"K": K, "D": D, "width": WIDTH, "height": HEIGHT})
