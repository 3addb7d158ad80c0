"""What the answers of a bag depend on: its files, and the software."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from perception_common.errors import InputError
from replay_ros.bags.storage.metadata import NAME
from replay_ros.bags.storage_files import find_files
from replay_ros.result.provenance import package_versions, source_commit

RESULT_FILES = "results"  # folder of the results of evaluations


def bag_files(bag: Path) -> tuple[Path, ...]:
    """Return the files of a bag, its metadata last; none where it cannot be read, which its task will say."""
    try:
        files = find_files(bag).files
    except InputError:
        return ()
    metadata = bag / NAME
    return (*files, metadata) if metadata.is_file() else files


@cache
def software() -> dict[str, Any]:
    """Return commit and versions of what computes."""
    return {"commit": source_commit(), "versions": package_versions()}
