"""Targets: rosbag2 recordings with flipped, cut and repeated bytes, and their metadata."""

from __future__ import annotations

import tempfile
from functools import cache, partial
from itertools import islice
from pathlib import Path

import numpy as np

from perception_common.errors import InputError
from replay_ros.bags.inspection.inspect_bag import inspect_bag
from replay_ros.bags.messages import image_message, range_message
from replay_ros.bags.reader import open_bag
from replay_ros.bags.writer import BagWriter
from replay_ros.reliability.fuzz.target import Target

_MESSAGES = 100  # that are read of an input


def targets() -> list[Target]:
    """Return the targets of this module."""
    return [
        Target("mcap file", lambda: [_bag("mcap")[0]], partial(_read, "bag.mcap"), cost=40),
        Target("sqlite3 file", lambda: [_bag("sqlite3")[0]], partial(_read, "bag.db3"), cost=40),
        Target("metadata of a bag", lambda: [_bag("mcap")[1]], _read_metadata, cost=40),
    ]


@cache
def _bag(storage: str) -> tuple[bytes, bytes]:
    """Return the storage file and the metadata of a small bag."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bag"
        with BagWriter(path, storage) as writer:
            picture = np.zeros((12, 16, 3), np.uint8)
            for number in range(3):
                stamp = (number + 1) * 10**9
                writer.write("/image", image_message(writer.types, picture, "bgr8", stamp, "camera"), stamp)
                writer.write("/altitude", range_message(writer.types, 50.0, stamp, "altimeter"), stamp)
        file = next(each for each in path.iterdir() if each.suffix in (".mcap", ".db3"))
        return file.read_bytes(), (path / "metadata.yaml").read_bytes()


def _read(name: str, data: bytes, folder: Path) -> object:
    path = folder / name
    path.write_bytes(data)
    return _walk(path)


def _read_metadata(data: bytes, folder: Path) -> object:
    bag = folder / "bag"
    bag.mkdir(exist_ok=True)
    (bag / "bag.mcap").write_bytes(_bag("mcap")[0])
    (bag / "metadata.yaml").write_bytes(data)
    return _walk(bag)


def _walk(path: Path) -> object:
    """Inspect a bag, and read its messages; one that cannot be decoded does not end the reading."""
    with open_bag(path) as bag:
        inspect_bag(bag)
        for raw in islice(bag.raw_messages(), _MESSAGES):
            try:
                bag.deserialize(raw)
            except InputError:
                continue
        return bag.count
