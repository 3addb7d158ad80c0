"""Provenance of a result: hashes of input, weights and configuration, commit and package versions."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from perception_common.resources import find_share
from replay_ros.bags.storage_files import STORAGE_SUFFIXES

_PACKAGES = ("torch", "numpy", "opencv-python-headless", "poselib")  # those that compute results
_CHUNK = 2**20  # bytes read at a time


@dataclass(frozen=True)
class Provenance:
    """What a result depends on.

    input: path of the bag. input_sha256: of its storage files. weights: SHA-256 by model, "" for random weights.
    configuration: all parameters of both nodes. commit: of the source tree, with "+" for uncommitted changes; "" when
    unknown. versions: by package. machine: architecture, system and number of cores.
    """

    input: str
    input_sha256: str
    weights: dict[str, str]
    configuration: dict[str, dict[str, Any]]
    configuration_sha256: str
    commit: str
    versions: dict[str, str]
    machine: str


def provenance(bag: Path, weights: Mapping[str, str], configuration: Mapping[str, Any]) -> Provenance:
    """Return the provenance of a result computed from `bag` on this machine."""
    return Provenance(
        input=str(bag),
        input_sha256=hash_of_bag(bag),
        weights=dict(weights),
        configuration=dict(configuration),
        configuration_sha256=hash_of_values(configuration),
        commit=source_commit(),
        versions=package_versions(),
        machine=f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores",
    )


def hash_of_bag(bag: Path) -> str:
    """Return the SHA-256 of a bag's storage files in the order of their names; independent of the bag's path."""
    files = (
        [bag]
        if bag.is_file()
        else sorted(
            f for f in bag.iterdir() if STORAGE_SUFFIXES[0] in f.suffixes or f.suffix in (*STORAGE_SUFFIXES, ".zstd")
        )
    )
    return hash_of_files(files)


def hash_of_files(files: Iterable[Path]) -> str:
    """Return the SHA-256 of the contents of files in this order."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def hash_of_values(values: Any) -> str:
    """Return the SHA-256 of plain values; independent of the order of keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that compute results; "" for those that are not installed."""
    return {name: _installed_version(name) for name in _PACKAGES}


def source_commit() -> str:
    """Return the commit of the source tree that this package runs from or was built in; empty without one."""
    for folder in (Path(__file__).resolve().parent, find_share().resolve()):
        for parent in (folder, *folder.parents):
            if (parent / ".git").exists() and (parent / "package.xml").is_file():
                return _git_describe(parent)
    return ""


def _git_describe(repository: Path) -> str:
    command = ["git", "-C", str(repository), "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _installed_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
