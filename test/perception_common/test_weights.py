import hashlib
import os
import pickle
from pathlib import Path

import pytest
import torch

from perception_common.errors import InputError
from perception_common.weights import (
    file_sha256,
    load_weights,
    read_metadata,
    read_state_dict,
    save_weights,
)


def make_network(width: int = 4, layers: int = 1) -> torch.nn.Module:
    blocks = [
        torch.nn.Sequential(torch.nn.Conv2d(3, width, 3), torch.nn.BatchNorm2d(width), torch.nn.PReLU())
        for _ in range(layers)
    ]
    return torch.nn.Sequential(*blocks)


@pytest.fixture
def network():
    return make_network()


def randomised(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        key: torch.rand(value.shape, generator=generator).to(value.dtype) for key, value in network.state_dict().items()
    }


def assert_holds(network: torch.nn.Module, state: dict[str, torch.Tensor]) -> None:
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_safetensors_are_written_and_read_back(network, tmp_path):
    path, state = tmp_path / "new folder" / "net.safetensors", randomised(network)
    save_weights(state, path, {"licence": "Apache-2.0"})
    report = load_weights(network, path)
    assert_holds(network, state)
    assert (report.path, report.loaded) == (path, len(state))
    assert report.missing == report.unexpected == report.mismatched == ()
    assert report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() == file_sha256(path)
    assert read_metadata(path) == {"licence": "Apache-2.0"}
    assert [file.name for file in path.parent.iterdir()] == ["net.safetensors"]


def test_tensors_that_share_memory_are_written(tmp_path):
    shared = torch.arange(6.0)
    save_weights({"a": shared, "b": shared.view(2, 3).T}, tmp_path / "w.safetensors", {})
    read = read_state_dict(tmp_path / "w.safetensors")
    assert torch.equal(read["a"], shared)
    assert torch.equal(read["b"], shared.view(2, 3).T)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "matcher.", "module.", "module.matcher."])
@pytest.mark.parametrize("suffix", [".ckpt", ".pth", ".pt"])
def test_checkpoints_are_unwrapped(network, tmp_path, wrapper, prefix, suffix):
    path, state = tmp_path / f"net{suffix}", randomised(network)
    content = {prefix + key: value for key, value in state.items()}
    torch.save({wrapper: content, "epoch": 3} if wrapper else content, path)
    load_weights(network, path)
    assert_holds(network, state)


def test_half_precision_weights_are_converted_to_the_type_of_the_network(network, tmp_path):
    save_weights({key: value.half() for key, value in randomised(network).items()}, tmp_path / "h.safetensors", {})
    load_weights(network, tmp_path / "h.safetensors")
    assert network[0][0].weight.dtype == torch.float32


def test_counters_of_batch_norm_may_be_missing(network, tmp_path):
    state = {key: value for key, value in randomised(network).items() if "num_batches" not in key}
    save_weights(state, tmp_path / "net.safetensors", {})
    report = load_weights(network, tmp_path / "net.safetensors")
    assert report.missing == ("0.1.num_batches_tracked",)
    assert report.loaded == len(state)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (make_network(width=5), ["of another shape or type (0.0.bias, 0.0.weight, 0.1.bias, ...)", "another variant"]),
        (make_network(layers=2), ["8 unexpected (1.0.bias, 1.0.weight, 1.1.bias, ...)", "another variant"]),
        (
            torch.nn.Linear(2, 2),
            ["7 missing (0.0.weight, 0.0.bias, 0.1.weight, ...)", "2 unexpected", "another network"],
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_leave_the_network_unchanged(network, tmp_path, other, words):
    save_weights(other.state_dict(), tmp_path / "other.safetensors", {})
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(InputError) as error:
        load_weights(network, tmp_path / "other.safetensors")
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)
    assert_holds(network, before)


def test_the_digest_is_checked(network, tmp_path):
    path = tmp_path / "net.safetensors"
    save_weights(randomised(network), path, {})
    assert load_weights(network, path, sha256=file_sha256(path).upper()).sha256 == file_sha256(path)
    with pytest.raises(InputError, match=r"not the expected 0123"):
        load_weights(network, path, sha256="0123")


class Dangerous:
    """An object that executes code when it is unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("should not exist",))


def test_a_checkpoint_that_would_execute_code_is_never_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": torch.zeros(1)}, "extra": Dangerous()}, "evil.ckpt")
    Path("plain.pth").write_bytes(pickle.dumps(Dangerous(), protocol=2))
    for name in ("evil.ckpt", "plain.pth"):
        with pytest.raises(InputError, match=r"refers to (posix|nt|os)\.mkdir .* never loaded .* convert"):
            read_state_dict(name)
    assert not Path("should not exist").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
@pytest.mark.parametrize("kept", [0, 7, 60, 400])
def test_truncated_files_are_refused(network, tmp_path, suffix, kept):
    path = tmp_path / f"net{suffix}"
    if suffix == ".ckpt":
        torch.save(network.state_dict(), path)
    else:
        save_weights(network.state_dict(), path, {})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match="truncated or not a") as error:
        read_state_dict(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("page.ckpt", b"<html>not found</html>", "web page"),
        ("page.safetensors", b"<!DOCTYPE html>", "web page"),
        ("lfs.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("lfs.ckpt", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("noise.ckpt", b"no checkpoint", "truncated or not a torch checkpoint"),
        ("noise.safetensors", b"no tensors", "truncated or not a safetensors"),
        ("net.onnx", b"", "must end in one of .safetensors"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as error:
        read_state_dict(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], {"a": torch.zeros(1), "lr": 0.1}, torch.zeros(3)])
def test_checkpoints_without_plain_weights_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"no weights|more than weights"):
        read_state_dict(tmp_path / "x.pth")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name_and_leave_the_network_unchanged(
    network, tmp_path, suffix, value
):
    path, state = tmp_path / f"net{suffix}", randomised(network)
    state["0.0.weight"][1, 2, 0, 0] = value
    state["0.1.running_var"][3] = value
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_weights(state, path, {})
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    with pytest.raises(InputError, match=r"2 of its tensors hold NaN or infinity \(0\.0\.weight, 0\.1\.running_var\)"):
        load_weights(network, path)
    assert_holds(network, before)


def test_doubles_beyond_the_range_of_the_network_are_refused(network, tmp_path):
    state = {key: tensor.double() for key, tensor in randomised(network).items()}
    save_weights(state, tmp_path / "fine.safetensors", {})
    load_weights(network, tmp_path / "fine.safetensors")
    state["0.0.bias"][0] = 1e300
    save_weights(state, tmp_path / "large.safetensors", {})
    with pytest.raises(InputError, match=r"1 of its tensors hold NaN or infinity \(0\.0\.bias\)"):
        load_weights(network, tmp_path / "large.safetensors")


@pytest.mark.parametrize("kind", [torch.int8, torch.complex64])
def test_integers_and_complex_numbers_are_no_weights(network, tmp_path, kind):
    torch.save(randomised(network) | {"0.0.bias": torch.ones(4, dtype=kind)}, tmp_path / "net.pth")
    with pytest.raises(InputError, match=r"1 of another shape or type \(0\.0\.bias\)"):
        load_weights(network, tmp_path / "net.pth")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_files_that_cannot_be_opened_are_named(network, tmp_path, suffix, monkeypatch):
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        load_weights(network, tmp_path / f"folder{suffix}")
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"x")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\)"):
        load_weights(network, path)


def test_a_missing_file_is_named(network, tmp_path):
    with pytest.raises(InputError, match=r"none\.ckpt does not exist"):
        load_weights(network, tmp_path / "none.ckpt", sha256="00")
    with pytest.raises(InputError, match=r"none\.safetensors"):
        read_metadata(tmp_path / "none.safetensors")


def test_a_folder_that_cannot_be_written_is_named(network, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        save_weights(network.state_dict(), tmp_path / "file" / "net.safetensors", {})
