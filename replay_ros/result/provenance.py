"""Where a result comes from: hashes of input, weights and configuration, the commit and the versions."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from perception_common.resources import find_share
from replay_ros.bags.storage_files import STORAGE_SUFFIXES

_PACKAGES = ("torch", "numpy", "opencv-python-headless", "poselib")
_CHUNK = 2**20


@dataclass(frozen=True)
class Provenance:
    """input_sha256: of the bag's storage files. weights: SHA-256 by model, "" for random ones. configuration: all
    settings of both nodes, and its SHA-256. commit: of the source tree, "" where there is none, with "+" when files
    differ from it. versions: of the packages that compute. machine: processor and cores.
    """

    input: str
    input_sha256: str
    weights: dict[str, str]
    configuration: dict[str, Any]
    configuration_sha256: str
    commit: str
    versions: dict[str, str]
    machine: str


def provenance(bag: Path, weights: Mapping[str, str], configuration: Mapping[str, Any]) -> Provenance:
    """Say where a result over `bag` comes from."""
    return Provenance(
        str(bag),
        hash_of_bag(bag),
        dict(weights),
        dict(configuration),
        hash_of_values(configuration),
        commit(),
        {name: _version(name) for name in _PACKAGES},
        f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores",
    )


def hash_of_bag(bag: Path) -> str:
    """SHA-256 of a bag's storage files in the order of their names; the bag's own name has no part in it."""
    files = (
        [bag]
        if bag.is_file()
        else sorted(
            f for f in bag.iterdir() if STORAGE_SUFFIXES[0] in f.suffixes or f.suffix in (*STORAGE_SUFFIXES, ".zstd")
        )
    )
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def hash_of_values(values: Any) -> str:
    """SHA-256 of plain values; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def as_mapping(origin: Provenance) -> dict[str, Any]:
    """Return plain values for JSON."""
    return asdict(origin)


def commit() -> str:
    """Return the commit of the source tree that this package runs from or was built in; empty where there is none."""
    for folder in (Path(__file__).resolve().parent, find_share().resolve()):
        for parent in (folder, *folder.parents):
            if (parent / ".git").exists() and (parent / "package.xml").is_file():
                return _describe(parent)
    return ""


def _describe(repository: Path) -> str:
    command = ["git", "-C", str(repository), "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
