"""The results file of an evaluation command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perception_common.text.json_files import write_json


def write_results(path: Path, truth: Path, runs: Sequence[Mapping[str, Any]]) -> None:
    """Write one run as one object, several as {"truth": FILE, "runs": [...]}. Raises InputError."""
    write_json(path, {"truth": str(truth), **(runs[0] if len(runs) == 1 else {"runs": runs})})


def write_set_results(path: Path, truths: Mapping[str, Path], runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write the runs of several sets as {"sets": {NAME: {"truth": FILE, "runs": [...]}}}. Raises InputError."""
    write_json(path, {"sets": {name: {"truth": str(truths[name]), "runs": each} for name, each in runs.items()}})
