"""Finds the weights in a checkpoint of another training, and gives them the names of the plain network.

Where a checkpoint holds both plain and averaged weights (EMA), the plain ones are taken. OpenMMLab's trainings save the
averaged weights under the plain names, and its `ema_` entries are then the weights without averaging. Averaged weights
are taken where there are no others.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from perception_common.errors import InputError

PLAIN = ("state_dict", "model_state_dict", "model", "model_state", "network", "net", "params", "weights")
"""Keys under which training frameworks store the weights, the first that is there and not empty."""

AVERAGED = ("state_dict_ema", "ema_state_dict", "model_ema", "ema_model", "ema", "params_ema")
"""Keys under which they store averaged weights."""

_LEADING = ("module.", "matcher.", "model.")  # added to every key by wrappers around the network
_ANYWHERE = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")  # also around parts of it
_OF_AVERAGE = ("ema_model.", "model_ema.", "ema.", "ema_")
_COUNTER = "n_averaged"  # of torch.optim.swa_utils.AveragedModel, beside the weights
_KEYS_SHOWN = 3  # in a message
_DEPTH = 4  # of nested wrappers, at most; a hostile file may nest a mapping in itself


def find_weights(content: Any, path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint's `content` by their names without the prefixes of wrappers.

    path: for messages. Logs a warning when averaged weights are left out. Raises InputError when there are no weights,
    when there is more than weights among them, and when two keys are the same without prefixes.
    """
    entries = {str(key): value for key, value in _unwrap(content, path).items() if key != _COUNTER}
    others = [key for key, value in entries.items() if not isinstance(value, torch.Tensor)]
    if others:
        raise InputError(f"{path}: contains more than weights ({name_some(others)}); save only the model's state_dict")
    odd = [key for key, value in entries.items() if not _is_plain(value)]
    if odd:
        raise InputError(f"{path}: {name_some(odd)} hold no plain numbers; save dense weights that are not quantised")
    averaged = [key for key in entries if _bare(key).startswith(_OF_AVERAGE)]
    chosen = [key for key in entries if key not in set(averaged)] or averaged
    if not chosen:
        raise InputError(f"{path}: contains no weights")
    if averaged and chosen != averaged:
        _say_left_out(path, averaged, len(averaged))
    state = {_bare(_without_average(_bare(key))): entries[key] for key in chosen}
    if len(state) != len(chosen):
        raise InputError(f"{path}: some keys are the same without the prefixes of wrappers; give the plain weights")
    return state


def name_some(keys: Sequence[str]) -> str:
    """Return the first keys for a message, and dots if there are more."""
    return ", ".join(keys[:_KEYS_SHOWN]) + (", ..." if len(keys) > _KEYS_SHOWN else "")


def _unwrap(content: Any, path: Path) -> Mapping[Any, Any]:
    """Return the innermost mapping that holds the weights."""
    for _ in range(_DEPTH):
        if not isinstance(content, Mapping) or not content:
            break
        wrapped = [key for key in (*PLAIN, *AVERAGED) if isinstance(content.get(key), Mapping) and content[key]]
        if not wrapped:
            return content
        averaged = [key for key in wrapped if key in AVERAGED]
        if averaged and wrapped[0] in PLAIN:
            _say_left_out(path, averaged, sum(len(content[key]) for key in averaged))
        content = content[wrapped[0]]
    raise InputError(f"{path}: contains no weights")


def _without_average(key: str) -> str:
    return next((key.removeprefix(prefix) for prefix in _OF_AVERAGE if key.startswith(prefix)), key)


def _bare(key: str) -> str:
    """Remove the prefixes of wrappers."""
    for part in _ANYWHERE:
        key = key.replace(part, "")
    while prefix := next((each for each in _LEADING if key.startswith(each)), None):
        key = key.removeprefix(prefix)
    return key


def _is_plain(tensor: torch.Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_quantized and tensor.device.type == "cpu"


def _say_left_out(path: Path, keys: Sequence[str], count: int) -> None:
    logging.getLogger(__name__).warning(
        f"{path}: {count} averaged weights ({name_some(keys)}) are left out, the plain ones are used"
    )
