"""What the evaluation commands share: which weights are meant, and how results are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perception_common.errors import InputError
from perception_common.resources import find_weights
from perception_common.text.json_files import write_json
from perception_common.weights import CHECKPOINT_SUFFIXES, read_metadata


def find_model_weights(
    name: str, model: str | None, default: str, variants: Sequence[str], others: Sequence[str] = ()
) -> tuple[str, Path]:
    """Return the variant and the weights file for a name: one of `variants`, or a file.

    model: the variant that a file is of; None: the one that its metadata names, if any, else `default`. others: further
    names that would have been possible. Raises InputError.
    """
    if name in variants:
        weights = find_weights(name)
        if weights is None:
            raise InputError(f"no weights are shipped for {name}; name a weights file and --model {name}")
        return name, weights
    path = Path(name)
    if path.suffix not in (".safetensors", *CHECKPOINT_SUFFIXES):
        raise InputError(f"{name!r} is neither a weights file nor one of {', '.join([*others, *variants])}")
    if not path.is_file():
        raise InputError(f"weights file {path} does not exist; check the path")
    if model is None:
        named = (read_metadata(path) if path.suffix == ".safetensors" else {}).get("model", default)
        model = named if named in variants else default  # a trainer's own weights may tell something else there
    if model not in variants:
        raise InputError(f"unknown network {model!r} for {name}; give one of {', '.join(variants)} with --model")
    return model, path


def write_results(path: Path, truth: Path, runs: Sequence[Mapping[str, Any]]) -> None:
    """Write one run as an object, several as {"truth": FILE, "runs": [...]}. Raises InputError when it cannot."""
    write_json(path, {"truth": str(truth), **(runs[0] if len(runs) == 1 else {"runs": runs})})
