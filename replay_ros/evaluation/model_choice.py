"""The model and the weights file that a user names on the command line of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from perception_common.errors import InputError
from perception_common.resources import find_weights
from perception_common.weights import CHECKPOINT_SUFFIXES, read_metadata


def find_model_weights(
    name: str, model: str | None, default: str, variants: Sequence[str], others: Sequence[str] = ()
) -> tuple[str, Path]:
    """Return the model variant and the weights file for a name: one of `variants`, or a file.

    model: the variant of a weights file; None: the variant in the file's metadata, else `default`. others: further
    valid names, for the error message. Raises InputError.
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
        model = named if named in variants else default  # weights from a training hold the model's configuration there
    if model not in variants:
        raise InputError(f"unknown network {model!r} for {name}; give one of {', '.join(variants)} with --model")
    return model, path
