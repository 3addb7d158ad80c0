"""The results file of an evaluation command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perception_common.text.json_files import write_json


def write_results(path: Path, truth: Path, runs: Sequence[Mapping[str, Any]]) -> None:
    """Write one run as one object, several as {"truth": FILE, "runs": [...]}. Raises InputError."""
    write_json(path, {"truth": str(truth), **(runs[0] if len(runs) == 1 else {"runs": runs})})
