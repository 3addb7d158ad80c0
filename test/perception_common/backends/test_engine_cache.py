"""Where exported networks are kept; the export itself is replaced by writing a few bytes."""

import os
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from perception_common.backends import engine_cache
from perception_common.backends.engine_cache import KEPT, cache_folder, engine_key, find_engine
from perception_common.backends.onnx_export import MANIFEST, Identity
from perception_common.backends.runtime import Method, Part
from perception_common.errors import InputError
from perception_common.text.json_files import write_json
from perception_common.weights import file_sha256

IDENTITY = Identity("loftr_tiny", "", {"width": 3})


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))


@pytest.fixture
def parts(network):
    return (Part("maps", Method(network, "forward"), ("x",), ("y",), ({},), lambda size, seed: ()),)


@pytest.fixture
def exports(monkeypatch):
    """Write a file in place of an export; the list grows by the folder of each."""
    done = []

    def export(parts, folder, identity, report):
        report("exporting")
        (folder / "maps.onnx").write_bytes(b"graph")
        write_json(folder / MANIFEST, {"parts": {"maps": {"sha256": file_sha256(folder / "maps.onnx")}}})
        done.append(folder)

    monkeypatch.setattr(engine_cache, "export_parts", export)
    return done


def test_an_engine_is_made_once(tmp_path, parts, network, exports):
    lines = []
    first = find_engine(parts, network, IDENTITY, lines.append, tmp_path / "engines")
    assert (first / "maps.onnx").read_bytes() == b"graph"
    assert find_engine(parts, network, IDENTITY, lines.append, tmp_path / "engines") == first
    assert len(exports) == 1
    assert lines == ["exporting"]
    assert os.listdir(tmp_path / "engines") == [first.name]  # nothing unfinished


@pytest.mark.parametrize("damage", [lambda p: p.write_bytes(b"half"), lambda p: p.unlink()])
@pytest.mark.parametrize("name", ["maps.onnx", MANIFEST])
def test_a_damaged_engine_is_made_again(tmp_path, parts, network, exports, damage, name):
    engine = find_engine(parts, network, IDENTITY, print, tmp_path)
    damage(engine / name)
    assert find_engine(parts, network, IDENTITY, print, tmp_path) == engine
    assert len(exports) == 2
    assert (engine / "maps.onnx").read_bytes() == b"graph"


def test_a_failed_export_leaves_nothing(tmp_path, parts, network, monkeypatch):
    def fail(parts, folder, identity, report):
        (folder / "maps.onnx").write_bytes(b"half")
        raise InputError("torch cannot export")

    monkeypatch.setattr(engine_cache, "export_parts", fail)
    with pytest.raises(InputError, match="torch cannot export"):
        find_engine(parts, network, IDENTITY, print, tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path, parts, network, exports):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file"):
        find_engine(parts, network, IDENTITY, print, tmp_path / "file" / "engines")


def test_the_key_follows_what_the_engine_is_made_from(network):
    key = engine_key(network, IDENTITY)
    assert engine_key(network, replace(IDENTITY, model="another name")) == key
    assert engine_key(network, replace(IDENTITY, configuration={"width": 4})) != key
    assert engine_key(network, replace(IDENTITY, precision="fp16")) != key
    network[1].num_batches_tracked += 1  # a tensor without dimensions
    counted = engine_key(network, IDENTITY)
    with torch.no_grad():
        network[0].weight[2, 2] += 1
    assert len({key, counted, engine_key(network, IDENTITY)}) == 3


def test_the_engines_used_last_are_kept(tmp_path, parts, network, exports):
    for width in range(KEPT + 2):
        engine = find_engine(parts, network, replace(IDENTITY, configuration=width), print, tmp_path)
        os.utime(engine, (time.time(), time.time() - 1000 + width))
    first = find_engine(parts, network, replace(IDENTITY, configuration=2), print, tmp_path)  # used again
    find_engine(parts, network, replace(IDENTITY, configuration="new"), print, tmp_path)
    assert len(os.listdir(tmp_path)) == KEPT
    assert first.is_dir()
    assert len(exports) == KEPT + 3


def test_what_a_dead_process_left_is_removed(tmp_path, parts, network, exports):
    for name, age in ((".unfinished_dead", 7200), (".unfinished_alive", 60)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    engine = find_engine(parts, network, IDENTITY, print, tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".unfinished_alive", engine.name]


def test_the_folder_is_that_of_ros(monkeypatch, tmp_path):
    monkeypatch.setenv("ROS_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "yolc_ros" / "engines"
    monkeypatch.delenv("ROS_HOME")
    monkeypatch.setenv("HOME", "/home/pilot")
    assert str(cache_folder()) == "/home/pilot/.ros/yolc_ros/engines"
