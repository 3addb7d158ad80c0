"""Makes a set of image pairs with exact homographies: two virtual views of each of some photographs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from loftr_ros.datasets.homography import HomographyConfig, draw_views, render_view
from loftr_ros.datasets.photographs import Photographs, list_images
from loftr_ros.datasets.photometric import PhotometricConfig, change_appearance
from perception_common.atomic_file import make_folder, output_file
from perception_common.text.json_files import write_json
from perception_common.training.broken_files import BrokenFiles

PAIRS_FILE = "pairs.json"


@dataclass(frozen=True)
class HomographySetOptions:
    """How the two views of a pair differ; see `HomographyConfig`.

    count: pairs. size: (width, height) of the views, pixels. seed: of all random numbers. rotation: degrees, largest
    one. scale: largest ratio of the zooms. Light, noise and compression differ moderately.
    """

    count: int = 50
    size: tuple[int, int] = (640, 480)
    seed: int = 0
    rotation: float = 40.0
    scale: float = 1.4
    photometric: PhotometricConfig = field(
        default_factory=lambda: PhotometricConfig(
            gamma=0.3,
            contrast=0.3,
            brightness=25,
            vignette=0.3,
            shadow_chance=0.1,
            blur=0.8,
            blur_chance=0.2,
            motion_chance=0,
            noise=6,
            jpeg_quality=60,
            jpeg_chance=0.3,
        )
    )


def write_homography_pairs(images: tuple[Path, ...], folder: Path, options: HomographySetOptions) -> tuple[str, ...]:
    """Write the views and a pairs.json to a folder; returns the names of images that cannot be read, with the cause.

    images: folders, or COCO files that list images; each pair shows a random one. Raises InputError for those that are
    missing or empty and where the folder cannot be written.
    """
    broken = BrokenFiles()
    config = HomographyConfig(scale=options.scale, rotation=options.rotation, upright_chance=0.0, shift=0.35)
    photographs = Photographs(list_images(images), config.max_side, broken)
    width, height = options.size
    make_folder(folder)
    pairs = []
    for number in range(options.count):
        rng = np.random.default_rng((options.seed, number))
        pyramid = photographs.draw(rng)
        views = draw_views(config, pyramid[0].shape, width, height, rng)
        names = [f"{number:04d}{letter}.png" for letter in "ab"]
        for name, P in zip(names, views, strict=True):
            view = change_appearance(render_view(pyramid, P, width, height, rng), options.photometric, rng)
            with output_file(folder / name) as unfinished:
                unfinished.write_bytes(cv2.imencode(".png", view)[1].tobytes())
        H_ab = np.linalg.inv(views[1]) @ views[0]
        pairs.append({"a": names[0], "b": names[1], "H_ab": (H_ab / H_ab[2, 2]).tolist()})
    write_json(folder / PAIRS_FILE, {"pairs": pairs})
    return tuple(f"{path}: {reason}" for path, reason in broken.reasons.items())
