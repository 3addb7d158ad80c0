"""Weights files: safetensors and torch checkpoints, read without executing code from them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from perception_common.atomic_file import atomic_file
from perception_common.errors import InputError
from perception_common.resources import choose_weights

CHECKPOINT_SUFFIXES = (".ckpt", ".pth", ".pt")
"""Suffixes of files that torch.save writes; all others must be .safetensors."""

_WRAPPERS = ("state_dict", "model")  # keys under which training frameworks store the weights
_KEYS_SHOWN = 3  # in an error message


@dataclass(frozen=True)
class WeightsReport:
    """What was loaded from which file.

    loaded: number of tensors. missing: keys of the network that the file lacks. unexpected: keys of the file that the
    network lacks. mismatched: keys whose shapes differ. After `load_weights` only BatchNorm counters can be missing.
    """

    path: Path
    sha256: str
    loaded: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()


def read_state_dict(
    path: Path | str, strip_prefixes: Sequence[str] = ("matcher.", "module.")
) -> dict[str, torch.Tensor]:
    """Read the tensors of a weights file onto the CPU.

    A checkpoint that wraps them as {"state_dict": ...} or {"model": ...} is unwrapped, and the prefixes that training
    wrappers add to every key are removed. Raises InputError when the file is missing, truncated, not a weights file,
    or could only be read by executing code.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"weights file {path} does not exist; check the path or leave the parameter empty")
    if path.suffix == ".safetensors":
        content: Any = _read_safetensors(path)
    elif path.suffix in CHECKPOINT_SUFFIXES:
        content = _read_checkpoint(path)
    else:
        known = ", ".join((".safetensors", *CHECKPOINT_SUFFIXES))
        raise InputError(f"{path}: the name of a weights file must end in one of {known}")
    tensors = _unwrap(content, path)
    state = {_strip(key, strip_prefixes): tensor for key, tensor in tensors.items()}
    if len(state) != len(tensors):
        raise InputError(
            f"{path}: some keys are the same without the prefixes {', '.join(strip_prefixes)}; give the plain weights"
        )
    return state


def load_weights(module: torch.nn.Module, path: Path | str, *, sha256: str | None = None) -> WeightsReport:
    """Load a weights file into `module` in place; every key must match. Returns what was loaded.

    sha256: expected digest of the file in hex, checked before the file is parsed. BatchNorm's `num_batches_tracked` may
    be missing. Raises InputError like `read_state_dict`, and for a wrong digest or keys that do not match, of which it
    names the first; the module then stays unchanged.
    """
    path = Path(path)
    digest = file_sha256(path) if path.is_file() else ""
    if sha256 and digest and sha256.strip().lower() != digest:
        raise InputError(
            f"{path}: its SHA-256 is {digest}, not the expected {sha256}; get the file again or correct the digest"
        )
    state = read_state_dict(path)
    report = _compare(module, state, path, digest)
    problem = _explain(report, len(state))
    if problem:
        raise InputError(f"{path} does not fit {type(module).__name__}: {problem}")
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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as unfinished:
            safetensors.torch.save_file(tensors, unfinished, metadata=dict(metadata))
    except OSError as error:
        raise InputError(f"weights cannot be written to {path} ({error.strerror or error})") from error


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


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: is truncated or not a safetensors file ({error}); get it again") from error


def _read_checkpoint(path: Path) -> Any:
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # a broken file can make the unpickler raise anything
        if refused := re.search(r"GLOBAL ([\w.]+)", str(error)):
            reason = f"refers to {refused[1]} besides the weights, which is never loaded because it could execute code"
            raise InputError(f"{path}: {reason}; convert it to .safetensors on a machine where you trust it") from error
        raise InputError(f"{path}: is truncated or not a torch checkpoint; get it again") from error


def _unwrap(content: Any, path: Path) -> dict[str, torch.Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{path}: contains no weights")
    others = [str(key) for key, value in content.items() if not isinstance(value, torch.Tensor)]
    if others:
        raise InputError(f"{path}: contains more than weights ({_name(others)}); save only the model's state_dict")
    return {str(key): value for key, value in content.items()}


def _strip(key: str, prefixes: Sequence[str]) -> str:
    for prefix in prefixes:
        if key.startswith(prefix):
            return _strip(key[len(prefix) :], prefixes)
    return key


def _compare(module: torch.nn.Module, state: Mapping[str, torch.Tensor], path: Path, digest: str) -> WeightsReport:
    own = module.state_dict()
    shared = own.keys() & state.keys()
    mismatched = tuple(sorted(key for key in shared if own[key].shape != state[key].shape))
    return WeightsReport(
        path=path,
        sha256=digest,
        loaded=len(shared) - len(mismatched),
        missing=tuple(key for key in own if key not in state),
        unexpected=tuple(sorted(key for key in state if key not in own)),
        mismatched=mismatched,
    )


def _explain(report: WeightsReport, in_file: int) -> str:
    """Describe in one line what does not match; empty when everything does."""
    missing = [key for key in report.missing if not key.endswith("num_batches_tracked")]
    groups = {"missing": missing, "unexpected": report.unexpected, "of another shape": report.mismatched}
    parts = [f"{len(keys)} {name} ({_name(keys)})" for name, keys in groups.items() if keys]
    if not parts:
        return ""
    if report.loaded + len(report.mismatched) < in_file / 2:
        hint = "these are weights of another network"
    else:
        hint = "these are weights of another variant; choose the model that they were trained for"
    return f"{', '.join(parts)}; {hint}"


def _name(keys: Sequence[str]) -> str:
    return ", ".join(keys[:_KEYS_SHOWN]) + (", ..." if len(keys) > _KEYS_SHOWN else "")
