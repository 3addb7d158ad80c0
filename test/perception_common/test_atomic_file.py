import pytest

from perception_common.atomic_file import atomic_file


def write(path, text, error=None):
    with atomic_file(path) as unfinished:
        unfinished.write_text(text)
        if error:
            raise error


def test_a_file_is_replaced_only_when_it_is_complete(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="disk"):
        write(path, "half", RuntimeError("disk"))
    assert path.read_text() == "old"
    write(path, "new")
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_a_folder_that_is_a_file_is_an_os_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        write(tmp_path / "file" / "x", "text")
