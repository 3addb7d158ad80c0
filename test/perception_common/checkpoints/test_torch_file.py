"""Torch checkpoints with the metadata of real trainings, and hostile ones."""

import argparse
import datetime
import decimal
import pathlib
import sys
import types
import uuid
import zipfile
from collections import Counter, OrderedDict, defaultdict, deque

import numpy as np
import pytest
import torch

from perception_common.checkpoints.torch_file import read_torch_file
from perception_common.errors import InputError

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}

METADATA = {
    "plain": {"epoch": 3, "time": "now", "classes": ("car", "bus"), "none": None, "bytes": b"abc", "empty": b""},
    "collections": {
        "ordered": OrderedDict(a=1),
        "default": defaultdict(list, a=[1]),
        "counter": Counter("aab"),
        "deque": deque([1, 2, 3], maxlen=5),
        "sets": [{1, 2}, frozenset({3})],
        "ranges": [range(3), slice(1, 2)],
        "classes": [int, float, dict, list],
    },
    "numpy": {
        "scalars": [np.float64(0.383), np.float32(1), np.int64(3), np.bool_(True), np.str_("x")],
        "arrays": [np.arange(3), np.zeros((2, 2), np.float32), np.array(["a", "bc"]), np.array([None, 1])],
        "classes": [np.float32, np.dtype("float64"), np.ndarray],
        "random": [np.random.get_state(), np.random.RandomState(1), np.random.default_rng(1)],  # noqa: NPY002
    },
    "namespaces": [argparse.Namespace(lr=0.1, rate=np.float64(1)), types.SimpleNamespace(a=1)],
    "paths": [pathlib.Path("/data/visdrone"), pathlib.PureWindowsPath("C:/data"), pathlib.PurePosixPath("a")],
    "times": [
        datetime.datetime(2024, 1, 2, 3, tzinfo=datetime.timezone.utc),
        datetime.date(2024, 1, 2),
        datetime.timedelta(seconds=3),
    ],
    "others": [uuid.UUID(int=3), decimal.Decimal("0.1"), torch.__version__, torch.Size([1, 2]), torch.float16],
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", METADATA)
def test_metadata_of_common_classes_does_not_hinder_the_weights(tmp_path, kind, legacy):
    content = {"state_dict": WEIGHTS, "meta": METADATA[kind]}
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=not legacy)
    read = read_torch_file(tmp_path / "x.pth")["state_dict"]
    assert {key: tensor.tolist() for key, tensor in read.items()} == {
        key: tensor.tolist() for key, tensor in WEIGHTS.items()
    }


def foreign_class(module, name, base, monkeypatch, **members):
    """A class of a package that is not installed here, importable while the checkpoint is written."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:end]), types.ModuleType(parts[end - 1]))
    made = type(name, (base,), {"__module__": module, **members})
    setattr(sys.modules[module], name, made)
    return made


def must_not_run(*_):
    raise AssertionError("code of the checkpoint's classes ran")


@pytest.mark.parametrize(
    ("module", "name", "base"),
    [
        ("mmcv.utils.config", "ConfigDict", dict),
        ("mmengine.config.config", "ConfigDict", dict),
        ("addict.addict", "Dict", dict),
        ("yacs.config", "CfgNode", dict),
        ("easydict", "EasyDict", dict),
        ("pytorch_lightning.utilities.parsing", "AttributeDict", dict),
        ("omegaconf.dictconfig", "DictConfig", object),
        ("mmengine.logging.history_buffer", "HistoryBuffer", object),
    ],
)
def test_classes_of_training_frameworks_are_neither_needed_nor_run(tmp_path, monkeypatch, module, name, base):
    with monkeypatch.context() as patch:
        made = foreign_class(module, name, base, patch, __setstate__=must_not_run)
        value = made()
        if base is dict:
            value["lr"] = made(nested=np.float64(1))
        value.history = np.arange(3)
        torch.save({"meta": {"config": value, "best": value}, "state_dict": WEIGHTS}, tmp_path / "x.pth")
    assert list(read_torch_file(tmp_path / "x.pth")["state_dict"]) == list(WEIGHTS)


def test_a_class_as_a_key_is_read(tmp_path, monkeypatch):
    """The first versions of Lightning, with which LoFTR was trained, use classes of callbacks as keys."""
    with monkeypatch.context() as patch:
        made = foreign_class("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint", object, patch)
        torch.save({"callbacks": {made: {"best": torch.tensor(1.0)}}, "state_dict": WEIGHTS}, tmp_path / "x.ckpt")
    assert list(read_torch_file(tmp_path / "x.ckpt")["state_dict"]) == list(WEIGHTS)


def test_methods_in_the_metadata_are_read(tmp_path, monkeypatch):
    """mmengine's message hub refers to methods, which are pickled as a call of getattr."""
    with monkeypatch.context() as patch:
        made = foreign_class("mmengine.logging.history_buffer", "HistoryBuffer", object, patch)
        made.mean = lambda self: 0
        made.mean.__qualname__, made.mean.__module__ = "HistoryBuffer.mean", made.__module__
        torch.save({"hub": {"mean": made.mean}, "state_dict": WEIGHTS}, tmp_path / "x.pth")
    assert list(read_torch_file(tmp_path / "x.pth")["state_dict"]) == list(WEIGHTS)


class Unknown:
    """A class that no list holds."""


class Caller:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Unknown(), r"test_torch_file\.Unknown"),
        (torch.nn.Linear(1, 1), r"torch\.nn\.modules\.linear\.Linear"),
        (Caller(eval, "open('ran', 'w')"), "eval"),
        (Caller(exec, "open('ran', 'w')"), "exec"),
        (Caller(open, "ran", "w"), r"io\.open"),
        (Caller(pathlib.Path.touch, pathlib.Path("ran")), "a function"),
    ],
)
def test_other_classes_are_refused_by_name_and_do_not_run(tmp_path, monkeypatch, value, name):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": WEIGHTS, "extra": value}, "x.pth")
    with pytest.raises(InputError, match=rf"refers to [\w.]*{name} besides.*never loaded.*convert"):
        read_torch_file(pathlib.Path("x.pth"))
    assert not pathlib.Path("ran").exists()


def test_the_allowed_classes_hold_for_our_files_only(tmp_path):
    torch.save({"meta": np.float64(1)}, tmp_path / "x.pth")
    read_torch_file(tmp_path / "x.pth")
    with pytest.raises(Exception, match="Weights only load failed"):
        torch.load(tmp_path / "x.pth", weights_only=True)


def test_an_archive_that_unpacks_to_more_than_its_size_is_refused(tmp_path):
    torch.save({"a": torch.zeros(1_000_000)}, tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(tmp_path / "bomb.pth", "w") as bomb:
        for entry in plain.infolist():
            bomb.writestr(entry.filename, plain.read(entry), zipfile.ZIP_DEFLATED)
    assert (tmp_path / "bomb.pth").stat().st_size < 20_000
    with pytest.raises(InputError, match=r"claims 4\d{6} bytes of content in a file of \d+"):
        read_torch_file(tmp_path / "bomb.pth")


def test_a_torchscript_program_is_named(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), tmp_path / "x.pt")
    with pytest.raises(InputError, match="TorchScript"):
        read_torch_file(tmp_path / "x.pt")


@pytest.mark.parametrize("legacy", [False, True])
def test_damaged_files_give_one_line(tmp_path, legacy):
    path = tmp_path / "x.pth"
    torch.save({"state_dict": WEIGHTS, "meta": METADATA["numpy"]}, path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    messages = []
    for _ in range(200):
        damaged = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        for place in rng.integers(0, len(damaged), rng.integers(1, 9)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_torch_file(path)
        except InputError as error:
            messages.append(str(error))
    assert len(messages) > 50
    assert not [message for message in messages if "\n" in message]
