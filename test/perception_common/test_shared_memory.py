"""Stale segments of Fast DDS: an owner is a process that holds the flock, as Fast DDS does."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from perception_common.shared_memory import StaleSegments, free_bytes, remove_stale_segments, turn

OWNER = """
import fcntl, sys
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("locked", flush=True)
sys.stdin.read()
"""
MB = 1 << 20


def make_segment(folder, name, size=2 * MB, age=3600.0, lock=True):
    """Make the files of a segment; returns the lock file."""
    (folder / name).write_bytes(bytes(size))
    lock_file = folder / f"{name}_el"
    if lock:
        lock_file.touch()
        os.utime(lock_file, (time.time() - age,) * 2)
    return lock_file


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("prefix", ["fastrtps", "fastdds"])
def test_a_segment_of_an_ended_process_is_removed(tmp_path, prefix):
    make_segment(tmp_path, f"{prefix}_119479c4dcef5792")
    assert remove_stale_segments(tmp_path) == StaleSegments(removed=1, removed_bytes=2 * MB)
    assert names(tmp_path) == []


def test_a_node_that_was_killed_soon_after_its_start_leaves_nothing_for_the_third_one(tmp_path):
    for number, age in enumerate((1.0, 8.0, 16.0)):  # seconds since the start of each; respawned after 2 s
        make_segment(tmp_path, f"fastrtps_{number:016}", age=age)
    assert remove_stale_segments(tmp_path).removed == 2
    assert names(tmp_path) == ["fastrtps_0000000000000000", "fastrtps_0000000000000000_el"]


@pytest.mark.slow
def test_a_segment_is_kept_while_its_owner_lives_and_removed_after_a_kill(tmp_path):
    lock = make_segment(tmp_path, "fastrtps_119479c4dcef5792")
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout.readline() == "locked\n"
        assert remove_stale_segments(tmp_path) == StaleSegments()
        owner.kill()
    assert remove_stale_segments(tmp_path).removed == 1
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "segment",
    [
        {"name": "fastrtps_119479c4dcef5792", "age": 1.0},  # its owner may be about to lock it
        {"name": "fastrtps_119479c4dcef5792", "lock": False},  # nothing tells whether it has an owner
        {"name": "fastrtps_port7000"},  # Fast DDS repairs ports by itself
        {"name": "somebody_119479c4dcef5792"},
    ],
)
def test_what_may_have_an_owner_or_is_not_a_segment_stays(tmp_path, segment):
    make_segment(tmp_path, **segment)
    before = names(tmp_path)
    assert remove_stale_segments(tmp_path) == StaleSegments()
    assert names(tmp_path) == before


def test_what_cannot_be_removed_is_named(tmp_path, monkeypatch):
    make_segment(tmp_path, "fastrtps_119479c4dcef5792")

    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")  # the sticky bit of /dev/shm, another user's file

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    found = remove_stale_segments(tmp_path)
    assert found == StaleSegments(kept=1, kept_bytes=2 * MB)
    (sentence,) = found.stale_sentences(tmp_path)
    assert "fastdds shm clean" in sentence
    with (tmp_path / "fastrtps_119479c4dcef5792_el").open() as lock:  # the lock was given back
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def as_nobody(folder):
    """What another user without rights finds in a folder."""
    code = "import pathlib, sys\nfrom perception_common.shared_memory import remove_stale_segments as remove\n"
    code += "print(remove(pathlib.Path(sys.argv[1])))"
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", code, folder]
    return eval(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.fixture
def shared_folder():
    """A folder for everybody, with the sticky bit, as /dev/shm."""
    if os.getuid() or not shutil.which("setpriv"):
        pytest.skip("needs root, to become another user")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        os.chmod(name, 0o1777)
        yield Path(name)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [0o644, 0o600])
@pytest.mark.parametrize("is_alive", [True, False])
def test_segments_of_another_user_are_named_if_their_owner_has_surely_ended(shared_folder, mode, is_alive):
    lock = make_segment(shared_folder, "fastrtps_119479c4dcef5792")
    lock.chmod(mode)
    before = names(shared_folder)
    with lock.open() as file:
        if is_alive:
            fcntl.flock(file, fcntl.LOCK_EX)
        found = as_nobody(shared_folder)
    known = not is_alive and mode == 0o644  # a lock that cannot be read tells nothing
    assert found == (StaleSegments(kept=1, kept_bytes=2 * MB) if known else StaleSegments())
    assert names(shared_folder) == before


def fifo(path):
    path.unlink()
    os.mkfifo(path)


def link(path):
    path.rename(path.with_name("target"))
    path.symlink_to("target")


def folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("suffix", ["", "_el"])
@pytest.mark.parametrize("make", [fifo, link, folder])
def test_what_is_no_ordinary_file_is_left_alone_and_does_not_block(tmp_path, suffix, make):
    make_segment(tmp_path, "fastrtps_119479c4dcef5792")
    odd = tmp_path / f"fastrtps_119479c4dcef5792{suffix}"
    make(odd)
    os.utime(odd, (0, 0))
    before = names(tmp_path)
    found = []
    # In a thread that ends with the tests: opening a FIFO without a writer would never return.
    looking = threading.Thread(target=lambda: found.append(remove_stale_segments(tmp_path)), daemon=True)
    looking.start()
    looking.join(20.0)
    assert found == [StaleSegments()]
    assert names(tmp_path) == before


def test_a_turn_begins_when_the_one_before_has_ended(tmp_path):
    events, second_waits = [], threading.Event()

    def take_second():
        second_waits.set()
        with turn(tmp_path):
            events.append("second begins")

    with turn(tmp_path):
        second = threading.Thread(target=take_second)
        second.start()
        second_waits.wait()
        second.join(0.2)  # it would have begun by now
        events.append("first ends")
    second.join()
    assert events == ["first ends", "second begins"]
    assert names(tmp_path) == []


def test_a_turn_that_does_not_end_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("perception_common.shared_memory._LONGEST_TURN", 0.1)
    with turn(tmp_path), turn(tmp_path):
        pass
    with turn(tmp_path / "no such folder"):
        pass


SMALL = """
mount -t tmpfs -o size=100m tmpfs /dev/shm && for k in 1 2 3; do "$1" -c "$2" & done; wait
"""
START = """
import os, rclpy, time
from perception_common.node.runner import starting_ros
with starting_ros() as notes:
    node = rclpy.create_node(f"node_{os.getpid()}")
maps = open("/proc/self/maps").read()
print("segment" if "/dev/shm/fastrtps_" in maps else "no segment", "large" if not notes else notes, flush=True)
time.sleep(2.0)
"""


@pytest.mark.system
def test_processes_that_start_together_in_small_memory_all_share_it():
    """100 MB hold the segment of one: the two others must see that, or they would have no shared memory at all."""
    alone = ["unshare", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs unshare, and the permission to use it")
    done = subprocess.run(
        [*alone, "bash", "-c", SMALL, "bash", sys.executable, START], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert [line.startswith("segment") for line in lines] == [True] * 3
    assert sorted("MB free, large images need" in line for line in lines) == [False, True, True]
    assert "RTPS" not in done.stderr


def test_the_words_count_segments_and_megabytes(tmp_path):
    (sentence,) = StaleSegments(removed=3, removed_bytes=201_500_000).stale_sentences(tmp_path)
    assert "removed 3 shared-memory segments (201.5 MB)" in sentence
    assert StaleSegments().stale_sentences(tmp_path) == ()


def test_a_missing_folder_has_no_space_and_no_segments(tmp_path):
    assert free_bytes(tmp_path / "none") == 0
    assert remove_stale_segments(tmp_path / "none") == StaleSegments()
    assert free_bytes(tmp_path) > 0
