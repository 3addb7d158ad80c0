"""Which weights of a checkpoint are taken, and under which names."""

import logging
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from perception_common.checkpoints.state_dict import AVERAGED, PLAIN, find_weights
from perception_common.errors import InputError

PATH = Path("x.pth")


def weights(value: float, prefix: str = "") -> dict[str, torch.Tensor]:
    return {f"{prefix}a.weight": torch.full((2,), value), f"{prefix}b": torch.full((1,), value)}


def values(state: dict[str, torch.Tensor]) -> dict[str, float]:
    return {key: float(tensor[0]) for key, tensor in state.items()}


EXPECTED = {"a.weight": 1.0, "b": 1.0}


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module._orig_mod.", "model.", "module.model.", "matcher."])
@pytest.mark.parametrize("wrapper", [None, *PLAIN, *AVERAGED])
def test_wrappers_and_prefixes_are_removed(prefix, wrapper):
    content = weights(1, prefix)
    found = find_weights({wrapper: content, "epoch": 3} if wrapper else content, PATH)
    assert values(found) == EXPECTED


def test_a_compiled_part_of_a_network_is_found():
    assert list(find_weights({"backbone._orig_mod.conv.weight": torch.ones(1)}, PATH)) == ["backbone.conv.weight"]


def test_nested_wrappers_are_removed():
    assert values(find_weights({"model": {"state_dict": OrderedDict(weights(1))}, "step": 1}, PATH)) == EXPECTED
    endless = {"epoch": 1}
    endless["model"] = endless
    with pytest.raises(InputError, match="no weights"):
        find_weights(endless, PATH)


@pytest.mark.parametrize("plain", PLAIN)
@pytest.mark.parametrize("averaged", AVERAGED)
def test_plain_weights_win_over_averaged_ones_and_this_is_said(plain, averaged, caplog):
    assert values(find_weights({averaged: weights(2), plain: weights(1)}, PATH)) == EXPECTED
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"2 averaged weights ({averaged}) are left out" in record.getMessage()
    assert values(find_weights({plain: {}, averaged: weights(1)}, PATH)) == EXPECTED


@pytest.mark.parametrize("prefix", ["ema.", "ema_", "ema_model.", "model_ema.", "ema.module.", "module.ema_model."])
def test_averaged_entries_beside_plain_ones_are_left_out_and_serve_alone(prefix, caplog):
    averaged = weights(2, prefix)
    assert values(find_weights(averaged | weights(1), PATH)) == EXPECTED
    assert "2 averaged weights" in caplog.text
    assert values(find_weights(averaged, PATH)) == {"a.weight": 2.0, "b": 2.0}


def test_entries_as_mmcv_writes_them_are_left_out(caplog):
    """mmcv's EMA hook writes names with underscores in place of dots."""
    state = weights(1) | {"ema_a_weight": torch.zeros(2), "ema_b": torch.zeros(1)}
    assert values(find_weights({"state_dict": state, "meta": {}}, PATH)) == EXPECTED
    assert "2 averaged weights (ema_a_weight, ema_b)" in caplog.text


def test_torchs_averaged_model_is_read():
    average = torch.optim.swa_utils.AveragedModel(torch.nn.Linear(2, 3))
    assert sorted(find_weights(average.state_dict(), PATH)) == ["bias", "weight"]


@pytest.mark.parametrize(
    "content",
    [
        {"matcher.a": torch.zeros(1), "a": torch.ones(1)},
        {"ema_a": torch.zeros(1), "ema.a": torch.ones(1)},
    ],
)
def test_keys_that_are_equal_without_prefixes_are_refused(content):
    with pytest.raises(InputError, match="the same"):
        find_weights(content, PATH)


@pytest.mark.parametrize("tensor", [torch.eye(3).to_sparse(), torch.empty(3, device="meta")])
def test_tensors_without_plain_numbers_are_refused(tensor):
    with pytest.raises(InputError, match="a hold no plain numbers"):
        find_weights({"a": tensor, "b": torch.ones(1)}, PATH)
