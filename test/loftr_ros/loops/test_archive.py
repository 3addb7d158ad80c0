"""Images of old keyframes come back as they were, within memory or from disk."""

import subprocess
import sys

import numpy as np
import pytest

from loftr_ros.loops.archive import ImageArchive
from loftr_ros.results import KeyframeInfo
from loftr_ros.sensors.suite import Sensors
from perception_common.errors import InputError

NOTHING = Sensors().at(0)


def image_of(number):
    return np.random.default_rng(number).integers(0, 256, (40, 60)).astype(np.uint8)


def add(archive, *numbers):
    for number in numbers:
        archive.add(KeyframeInfo(number, number, "camera", 60, 40, None), image_of(number), NOTHING)


@pytest.mark.parametrize("on_disk", [False, True])
def test_an_image_comes_back_as_it_was(tmp_path, on_disk):
    archive = ImageArchive(100_000, str(tmp_path / "new") if on_disk else "")
    add(archive, 3, 5)
    assert archive.ids == (3, 5)
    assert 5 in archive
    assert 4 not in archive
    kept = archive.get(5)
    np.testing.assert_array_equal(kept.image, image_of(5))
    assert kept.info.id == 5
    assert archive.get(4) is None
    assert (archive.nbytes == 0) is on_disk
    assert archive.problem == ""


def test_memory_is_bounded_and_the_oldest_go_first():
    archive = ImageArchive(8_000)  # random images of 2400 bytes do not shrink
    for number in range(6):
        add(archive, number)
        assert archive.nbytes <= 8_000
    assert archive.ids == (3, 4, 5)
    nothing = ImageArchive(0)
    add(nothing, 1)
    assert nothing.ids == ()


def test_files_go_with_the_keyframes_and_others_stay(tmp_path):
    (tmp_path / "mine.png").touch()
    archive = ImageArchive(0, str(tmp_path))
    add(archive, 1, 2)
    assert len(list(tmp_path.rglob("*.png"))) == 3
    archive.clear()
    assert archive.ids == ()
    assert len(list(tmp_path.rglob("*.png"))) == 1
    add(archive, 3)
    del archive
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"]


def test_a_lost_file_is_a_problem_and_no_end(tmp_path):
    archive = ImageArchive(0, str(tmp_path))
    add(archive, 1, 2)
    next(tmp_path.rglob("*1.png")).unlink()
    assert archive.get(1) is None
    assert "cannot read" in archive.problem
    assert archive.ids == (2,)
    next(tmp_path.rglob("*2.png")).write_bytes(b"no picture")
    assert archive.get(2) is None
    assert "damaged" in archive.problem
    assert archive.ids == ()
    next(tmp_path.glob("keyframes_*")).rename(tmp_path / "moved")
    add(archive, 3)
    assert "cannot write" in archive.problem
    assert 3 not in archive


def test_a_folder_that_cannot_be_made_is_said_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"loop_store: cannot write to .*file"):
        ImageArchive(0, str(tmp_path / "file" / "folder"))


def test_a_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    archive = ImageArchive(0, "~/kept")
    add(archive, 1)
    assert len(list((tmp_path / "kept").rglob("*.png"))) == 1


@pytest.mark.slow
def test_what_a_killed_process_left_goes_and_what_is_in_use_stays(tmp_path):
    script = (
        "import os, sys; from loftr_ros.loops.archive import ImageArchive; "
        "archive = ImageArchive(0, sys.argv[1]); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)]).returncode == -9
    (abandoned,) = tmp_path.iterdir()
    (tmp_path / "keyframes_mine").mkdir()
    archive = ImageArchive(0, str(tmp_path))
    add(archive, 1)
    other = ImageArchive(0, str(tmp_path))
    assert not abandoned.exists()
    assert (tmp_path / "keyframes_mine").exists()
    np.testing.assert_array_equal(archive.get(1).image, image_of(1))
    del archive, other
    assert [path.name for path in tmp_path.iterdir()] == ["keyframes_mine"]
