"""Stale segments of Fast DDS: an owner is a process that holds the flock, as Fast DDS does."""

import fcntl
import os
import subprocess
import sys
import time

import pytest

from perception_common.shared_memory import StaleSegments, free_bytes, remove_stale_segments

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


def test_the_words_count_segments_and_megabytes(tmp_path):
    (sentence,) = StaleSegments(removed=3, removed_bytes=201_500_000).stale_sentences(tmp_path)
    assert "removed 3 shared-memory segments (201.5 MB)" in sentence
    assert StaleSegments().stale_sentences(tmp_path) == ()


def test_a_missing_folder_has_no_space_and_no_segments(tmp_path):
    assert free_bytes(tmp_path / "none") == 0
    assert remove_stale_segments(tmp_path / "none") == StaleSegments()
    assert free_bytes(tmp_path) > 0
