"""Weights files: safetensors and torch checkpoints, read without executing code from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from perception_common.atomic_file import make_folder, output_file, write_error
from perception_common.checkpoints.state_dict import find_weights, name_some
from perception_common.checkpoints.torch_file import check_start, read_torch_file
from perception_common.errors import InputError
from perception_common.resources import choose_weights

CHECKPOINT_SUFFIXES = (".ckpt", ".pth", ".pt")
"""Suffixes of files that torch.save writes; all others must be .safetensors."""


@dataclass(frozen=True)
class WeightsReport:
    """What was loaded from which file.

    loaded: number of tensors. missing: keys of the network that the file lacks. unexpected: keys of the file that the
    network lacks. mismatched: keys whose shapes or kinds of numbers differ. After `load_weights` only BatchNorm
    counters can be missing.
    """

    path: Path
    sha256: str
    loaded: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()


def read_state_dict(path: Path | str) -> dict[str, torch.Tensor]:
    """Read the tensors of a weights file onto the CPU, by their names in the plain network (see `find_weights`).

    Raises InputError when the file is missing, truncated, not a weights file, or could only be read by executing code.
    """
    path = Path(path)
    if not path.is_file():
        fault = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"weights file {path} {fault}; check the path or leave the parameter empty")
    if path.suffix == ".safetensors":
        content: Any = _read_safetensors(path)
    elif path.suffix in CHECKPOINT_SUFFIXES:
        content = read_torch_file(path)
    else:
        known = ", ".join((".safetensors", *CHECKPOINT_SUFFIXES))
        raise InputError(f"{path}: the name of a weights file must end in one of {known}")
    return find_weights(content, path)


def load_weights(module: torch.nn.Module, path: Path | str, *, sha256: str | None = None) -> WeightsReport:
    """Load a weights file into `module` in place; every key must match. Returns what was loaded.

    sha256: expected digest of the file in hex, checked before the file is parsed. BatchNorm's `num_batches_tracked` may
    be missing. Raises InputError like `read_state_dict`, and for a wrong digest or keys that do not match, of which it
    names the first, and for weights that are NaN or infinite, by name; the module then stays unchanged.
    """
    path = Path(path)
    if path.is_file():
        check_start(path)
    digest = file_sha256(path) if path.is_file() else ""
    if sha256 and digest and sha256.strip().lower() != digest:
        raise InputError(
            f"{path}: its SHA-256 is {digest}, not the expected {sha256}; get the file again or correct the digest"
        )
    return load_tensors(module, read_state_dict(path), path, digest)


def load_tensors(
    module: torch.nn.Module, state: Mapping[str, torch.Tensor], path: Path, digest: str = ""
) -> WeightsReport:
    """Load tensors into `module` in place, with the checks of `load_weights`. path, digest: of their file."""
    report = _compare(module, state, path, digest)
    problem = _explain(report, len(state))
    if problem:
        raise InputError(f"{path} does not fit {type(module).__name__}: {problem}")
    own = module.state_dict()
    state = {key: tensor.to(own[key].dtype) for key, tensor in state.items()}  # a double may overflow in float32
    if broken := nonfinite(state):
        raise InputError(f"{path}: {explain_nonfinite(broken)}")
    module.load_state_dict(state, strict=False)
    return report


def load_chosen_weights(
    module: torch.nn.Module, model: str, weights: Path | str | None, *, sha256: str | None = None
) -> WeightsReport | None:
    """Load the weights that a user chose for `model` into `module` in place; None when they stay random.

    weights: a file; "default": those shipped for this model, if any; "none" or None: none. sha256: expected digest of
    the file. Raises InputError like `load_weights`.
    """
    path = choose_weights(model, weights)
    return None if path is None else load_weights(module, path, sha256=sha256)


def save_weights(state_dict: Mapping[str, torch.Tensor], path: Path | str, metadata: Mapping[str, str]) -> None:
    """Write tensors and text metadata as a safetensors file, atomically. Raises InputError when that fails."""
    path = Path(path)
    tensors = {key: tensor.detach().to("cpu", copy=True).contiguous() for key, tensor in state_dict.items()}
    make_folder(path.parent)
    with output_file(path) as unfinished:
        try:
            safetensors.torch.save_file(tensors, unfinished, metadata=dict(metadata))
        except safetensors.SafetensorError as error:  # also in place of an OSError
            raise write_error(path, error) from error


def read_metadata(path: Path | str) -> dict[str, str]:
    """Return the text metadata of a safetensors file, empty if it has none.

    Raises InputError when the file is missing or not a safetensors file.
    """
    try:
        with safetensors.safe_open(Path(path), framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: is not a readable safetensors file ({error})") from error


def file_sha256(path: Path | str) -> str:
    """Return the SHA-256 of a file in hex."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def nonfinite(state: Mapping[str, torch.Tensor]) -> list[str]:
    """Return the keys of the tensors with a number that is NaN or infinite."""
    return [key for key, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]


def explain_nonfinite(keys: Sequence[str]) -> str:
    """Describe weights that are not finite, for a message."""
    return (
        f"{len(keys)} of its tensors hold NaN or infinity ({name_some(keys)}); the training that wrote them diverged "
        "or the file is damaged: use an earlier checkpoint"
    )


def check_prepared(network: torch.nn.Module, dtype: torch.dtype) -> None:
    """Raise InputError if a network that is ready for inference holds NaN or infinity in a parameter or buffer.

    Finite weights become infinite where they are too large for `dtype`, and NaN where batch normalisation with a
    negative variance is folded. The outputs do not always tell: a ReLU turns a bias of -inf into 0.
    """
    broken = nonfinite(network.state_dict())
    if not broken:
        return
    if dtype == torch.float32:
        remedy = "the variances of its batch normalisation are damaged: use other weights"
    else:
        remedy = f"they are too large for {str(dtype).removeprefix('torch.')}: use precision fp32"
    raise InputError(
        f"{len(broken)} of the prepared network's tensors hold NaN or infinity ({name_some(broken)}); {remedy}"
    )


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    check_start(path)
    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: is truncated or not a safetensors file ({error}); get it again") from error


def _compare(module: torch.nn.Module, state: Mapping[str, torch.Tensor], path: Path, digest: str) -> WeightsReport:
    own = module.state_dict()
    shared = own.keys() & state.keys()
    mismatched = tuple(sorted(key for key in shared if not _fits(state[key], own[key])))
    return WeightsReport(
        path=path,
        sha256=digest,
        loaded=len(shared) - len(mismatched),
        missing=tuple(key for key in own if key not in state),
        unexpected=tuple(sorted(key for key in state if key not in own)),
        mismatched=mismatched,
    )


def _fits(read: torch.Tensor, own: torch.Tensor) -> bool:
    """Whether shapes are equal and real numbers are not given as integers (as quantised ones) or as complex numbers."""
    return read.shape == own.shape and (read.is_floating_point() or not own.is_floating_point())


def _explain(report: WeightsReport, in_file: int) -> str:
    """Describe in one line what does not match; empty when everything does."""
    missing = [key for key in report.missing if not key.endswith("num_batches_tracked")]
    groups = {"missing": missing, "unexpected": report.unexpected, "of another shape or type": report.mismatched}
    parts = [f"{len(keys)} {name} ({name_some(keys)})" for name, keys in groups.items() if keys]
    if not parts:
        return ""
    if report.loaded + len(report.mismatched) < in_file / 2:
        hint = "these are weights of another network"
    else:
        hint = "these are weights of another variant; choose the model that they were trained for"
    return f"{', '.join(parts)}; {hint}"
