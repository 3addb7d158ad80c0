"""The command `make_pairs`: image pairs with exact homographies of your own photographs, for evaluate_pairs."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from perception_common.cli import number
from perception_common.errors import InputError
from replay_ros.evaluation.pairs.homography_set import PAIRS_FILE, HomographySetOptions, write_homography_pairs

NAME = "make_pairs"
_DEFAULT = HomographySetOptions()
_LEAST_SIDE = 64  # pixels of a view


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Return the parser of the command line; `prog` is the name that its help shows."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Write pairs of virtual views of photographs, with their exact homographies, for evaluate_pairs. "
        "The same options give the same pairs.",
        epilog=f"example:\n  {prog} hit_uav_thermal/val.json night --size 512 400 --seed 1\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = "folder of images, or a COCO file that lists them"
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGES", help=source)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help=f"where the views and {PAIRS_FILE} are written")
    parser.add_argument("--count", type=int, default=_DEFAULT.count, metavar="N", help="pairs (default: %(default)s)")
    size = "of the views, pixels (default: {} {})".format(*_DEFAULT.size)
    parser.add_argument("--size", type=int, nargs=2, default=_DEFAULT.size, metavar=("WIDTH", "HEIGHT"), help=size)
    rotation = "largest rotation between the views, degrees (default: %(default)s)"
    parser.add_argument("--rotation", type=number, default=_DEFAULT.rotation, metavar="DEG", help=rotation)
    scale = "largest ratio of their scales (default: %(default)s)"
    parser.add_argument("--scale", type=number, default=_DEFAULT.scale, metavar="RATIO", help=scale)
    parser.add_argument("--seed", type=int, default=_DEFAULT.seed, metavar="N", help="default: %(default)s")
    return parser


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Run the command. Raises InputError for images and values that cannot be used."""
    given = build_parser(prog).parse_args(arguments)
    if given.count < 1 or given.seed < 0 or min(given.size) < _LEAST_SIDE:
        raise InputError(f"--count must be at least 1, --seed 0 and --size {_LEAST_SIDE}")
    if not (given.scale >= 1 and 0 <= given.rotation <= 180):
        raise InputError("--scale must be at least 1 and --rotation between 0 and 180 degrees")
    logging.basicConfig(format="%(levelname)s: %(message)s")  # images that cannot be read are logged
    options = HomographySetOptions(
        count=given.count, size=tuple(given.size), seed=given.seed, rotation=given.rotation, scale=given.scale
    )
    left_out = write_homography_pairs(tuple(given.images), given.folder, options)
    print(f"{given.folder / PAIRS_FILE}: {given.count} pairs, {len(left_out)} images could not be read")
    return 0
