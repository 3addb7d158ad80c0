"""Temporary folders: deleted at the end, on SIGTERM, and after kill -9 at the next run."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from replay_ros.bags.storage.workspace import workspace
from replay_ros.bags.writer import BagWriter

HOLDER = """
import sys, time
from pathlib import Path
from perception_common.cli import run
from replay_ros.bags.writer import BagWriter
def write(arguments):
    with BagWriter(Path(sys.argv[1])):
        print("up", flush=True)
        time.sleep(60)
run(write)
"""


@pytest.fixture
def writing(tmp_path: Path, repository: Path):
    """Start a process that is writing the bag `out`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "out")], cwd=repository, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".out.")]


def test_a_folder_is_deleted_when_its_block_ends_or_fails(tmp_path):
    with workspace(tmp_path, ".a.") as folder:
        (folder / "file").write_text("x")
    with pytest.raises(KeyboardInterrupt), workspace(tmp_path, ".a."):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_not_ours_stay(tmp_path):
    (tmp_path / ".a.notes").mkdir()
    with workspace(tmp_path, ".a."):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".a.notes"]


@pytest.mark.slow
def test_sigterm_leaves_nothing_behind(tmp_path, writing):
    writing.terminate()
    assert writing.wait(timeout=30) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_folder_of_a_killed_process_is_deleted_by_the_next_one(tmp_path, writing):
    (living,) = hidden(tmp_path)
    with BagWriter(tmp_path / "out"):
        assert living in hidden(tmp_path)  # it lives
    writing.kill()
    writing.wait()
    assert hidden(tmp_path) == [living]
    with BagWriter(tmp_path / "out", force=True):
        assert living not in hidden(tmp_path)
    assert hidden(tmp_path) == []
