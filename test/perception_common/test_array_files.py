"""Files of arrays: what is read back, and files that are damaged in any place."""

import zipfile

import numpy as np
import pytest

from perception_common import array_files
from perception_common.array_files import read_arrays
from perception_common.errors import InputError

ARRAYS = {"points": np.arange(40.0).reshape(20, 2), "names": np.array(["a", "b"])}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_read_by_name(tmp_path, save):
    save(tmp_path / "a.npz", **ARRAYS)
    read = read_arrays(tmp_path / "a.npz")
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array)


def test_a_damaged_file_is_refused_or_read_wherever_the_damage_is(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **ARRAYS)
    whole = path.read_bytes()
    refusals = []
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            read_arrays(path)
        except InputError as error:
            refusals.append(str(error))
    assert len(refusals) > len(whole) / 2
    assert all(each.startswith(f"{path}: ") for each in refusals)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(10)])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match="is not a file of arrays"):
        read_arrays(tmp_path / "a.npz")
    with pytest.raises(InputError, match="No such file"):
        read_arrays(tmp_path / "missing.npz")


def test_objects_are_never_built(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="Object arrays cannot be loaded"):
        read_arrays(tmp_path / "a.npz")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(array_files, "MAX_BYTES", 10_000)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(10_001))
    with pytest.raises(InputError, match="its arrays have more than"):
        read_arrays(tmp_path / "a.npz")
