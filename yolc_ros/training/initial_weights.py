"""The weights that a training starts from, also those of a network with other classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from perception_common.errors import InputError
from perception_common.text.json_files import parse_json
from perception_common.weights import load_tensors, load_weights, read_metadata, read_state_dict
from yolc_ros.network.config import YolcConfig
from yolc_ros.network.yolc import Yolc


def load_initial_weights(network: Yolc, path: Path, sources: Sequence[str]) -> None:
    """Load a weights file into `network` in place.

    sources: for each class of the network, the class of the file whose layers it starts from; empty: the file has the
    same classes. Raises InputError for a file that does not fit, and for classes that it lacks.
    """
    if not sources:
        load_weights(network, path)
        return
    own, known = network.config.class_names, _classes_of(path)
    if len(sources) != len(own):
        raise InputError(f"initial_classes: {len(sources)} names for {len(own)} classes ({', '.join(own)})")
    if unknown := sorted(set(sources) - set(known)):
        raise InputError(f"initial_classes: {path} has no {', '.join(unknown)}; its classes are {', '.join(known)}")
    state = read_state_dict(path)
    for key, axis in _class_axes(network.config):
        if key in state and state[key].ndim > axis:
            state[key] = _select(state[key], axis, [known.index(source) for source in sources], len(known))
    load_tensors(network, state, path)


def _select(tensor: torch.Tensor, axis: int, order: Sequence[int], known: int) -> torch.Tensor:
    """Return the channels of the classes `order` of `known`, which stand together; unchanged where they do not fit."""
    each, rest = divmod(tensor.shape[axis], known)
    if rest:
        return tensor
    return tensor.unflatten(axis, (known, each)).index_select(axis, torch.tensor(order)).flatten(axis, axis + 1)


def _class_axes(config: YolcConfig) -> list[tuple[str, int]]:
    """Return the tensors and axes of a network whose length grows with the number of classes."""
    with torch.device("meta"):
        one, two = (Yolc(replace(config, class_names=names, object_sizes=None)) for names in (("a",), ("a", "b")))
    grown = two.state_dict()
    return [
        (key, axis)
        for key, tensor in one.state_dict().items()
        for axis, length in enumerate(tensor.shape)
        if grown[key].shape[axis] != length
    ]


def _classes_of(path: Path) -> list[str]:
    """Return the class names that a file of a training run holds."""
    try:
        return [str(name) for name in parse_json(read_metadata(path)["model"])["class_names"]]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} does not say its classes; initial_classes needs weights of train_yolc") from error
