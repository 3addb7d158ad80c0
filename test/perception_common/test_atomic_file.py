import errno

import pytest

from perception_common.atomic_file import atomic_file, check_writable, make_folder, output_file, write_error
from perception_common.errors import InputError


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


def test_the_check_before_a_long_work_says_what_writing_would_say_and_changes_nothing(tmp_path):
    (tmp_path / "old").write_text("old")
    for path in (tmp_path / "new", tmp_path / "old", None):
        check_writable(path)
    for path, cause in ((tmp_path, "Is a directory"), (tmp_path / "old" / "x", "Not a directory"),
                        (tmp_path / "no" / "x", "No such file or directory")):  # fmt: skip
        with pytest.raises(InputError, match=rf"cannot be written \({cause}\); choose another path"):
            check_writable(path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old", "old")]


def test_a_folder_that_is_a_file_is_an_os_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        write(tmp_path / "file" / "x", "text")


def raised_within(first, second):
    try:
        try:
            raise first
        except Exception:
            raise second from None
    except Exception as error:
        return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "full"), "No space left on device); free some space"),
        (OSError(errno.EROFS, "ro"), "Read-only file system); choose a folder that this user may write to"),
        (OSError(errno.EIO, "io"), "Input/output error); check the disk"),
        (RuntimeError("I/O error: full (os error 28)"), "No space left on device); free some space"),
        (raised_within(OSError(errno.ENOSPC, "full"), RuntimeError("unexpected pos")), "No space left on device)"),
        (RuntimeError("two\nlines"), "(two lines); check the free space and the rights"),
    ],
)
def test_errors_of_writing_name_the_cause_and_the_remedy(error, words):
    text = str(write_error("there/x", error))
    assert text.startswith("there/x cannot be written (")
    assert words in text


def test_an_output_file_fails_with_words_and_leaves_nothing(tmp_path):
    def write(error):
        with output_file(tmp_path / "x") as unfinished:
            unfinished.write_text("half")
            raise error

    with pytest.raises(InputError, match="x cannot be written"):
        write(OSError(errno.ENOSPC, "full"))
    with pytest.raises(KeyError):
        write(KeyError("a bug"))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/x cannot be written \(Not a directory\); choose another path"):
        make_folder(tmp_path / "file" / "x")
