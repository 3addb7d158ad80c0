"""The folder of kept results: resumed, begun anew, and never left over."""

import numpy as np
import pytest

from perception_common.errors import InputError
from replay_ros.offline.result_cache import run_cache


def keep_one(out, identity="a", error=None):
    with run_cache(out, identity) as cache:
        cache.keep("times/0", {"x": np.arange(3)})
        if error:
            raise error


def folder_of(out):
    return out.with_name(f"{out.name}.unfinished")


@pytest.mark.parametrize("signal", [KeyboardInterrupt(), SystemExit(143)])
def test_a_run_that_is_ended_keeps_its_results_and_goes_on(tmp_path, signal, capsys):
    out = tmp_path / "out"
    with pytest.raises(InputError, match="goes on from here"):
        keep_one(out, error=signal)
    with run_cache(out, "a") as cache:
        assert cache.find("times/0")["x"].tolist() == [0, 1, 2]
    assert "going on" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_before_anything_was_kept_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="no such sensor"), run_cache(tmp_path / "out", "a"):
        raise InputError("no such sensor")
    with pytest.raises(InputError, match="nothing was computed"), run_cache(tmp_path / "out", "a"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mark", [None, "", '{"identity'])
def test_what_a_killed_process_left_without_a_whole_mark_is_begun_anew(tmp_path, mark, capsys):
    out = tmp_path / "out"
    with pytest.raises(ZeroDivisionError):
        keep_one(out, error=ZeroDivisionError())
    (folder_of(out) / "run.json").unlink()
    (folder_of(out) / ".run.json.unfinished").write_text("{")  # of the killed process
    if mark is not None:
        (folder_of(out) / "run.json").write_text(mark)
    with run_cache(out, "a") as cache:
        assert cache.find("times/0") is None
    assert "starting anew" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_of_a_killed_process_is_used(tmp_path):
    folder_of(tmp_path / "out").mkdir()
    keep_one(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    folder = folder_of(tmp_path / "out")
    folder.mkdir()
    (folder / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=r"no folder of a broken replay \(it holds thesis.tex\)"):
        keep_one(tmp_path / "out")
    assert (folder / "thesis.tex").read_text() == "mine"
