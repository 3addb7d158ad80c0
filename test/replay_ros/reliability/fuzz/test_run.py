import signal
import sys
import time

import pytest

from perception_common.errors import InputError
from replay_ros.reliability.fuzz import run as fuzz_run
from replay_ros.reliability.fuzz.run import all_targets, fuzz, run_fuzz, try_input
from replay_ros.reliability.fuzz.target import Target


def reader(read, seeds=(b"17",)):
    return Target("reader", lambda: list(seeds), read)


def careless(data, folder):
    return int(data)


def careful(data, folder):
    try:
        return int(data[:100])
    except ValueError as error:
        raise InputError("not a number") from error


def test_a_result_and_a_refusal_are_told_from_a_fault(tmp_path):
    assert try_input(reader(careless), b"17", tmp_path) == "result int"
    assert try_input(reader(careful), b"x", tmp_path).startswith("InputError ")
    assert try_input(reader(careless), b"x", tmp_path).startswith("!ValueError at ")


def test_an_endless_reader_is_a_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz_run, "SECONDS", 0.2)

    def endless(data, folder):
        while True:
            pass

    fuzz(reader(endless), [], 0, 0, tmp_path)  # installs the alarm
    start = time.monotonic()
    assert try_input(reader(endless), b"", tmp_path).startswith("!more than 0.2 s at ")
    assert time.monotonic() - start < 20


def test_faults_are_counted_and_an_input_of_each_is_kept(tmp_path):
    found = fuzz(reader(careless), [b"17"], 200, 1, tmp_path)
    assert sum(found.outcomes.values()) == 200
    assert sum(found.counts.values()) > 10
    assert set(found.counts) == set(found.faults)
    for data in found.faults.values():
        with pytest.raises(ValueError, match="int"):
            int(data)


def test_the_corpus_grows_by_inputs_with_a_new_outcome(tmp_path):
    found = fuzz(reader(careful), [b"17"], 200, 1, tmp_path)
    assert not found.faults
    assert len(found.corpus) > 1


def test_every_target_accepts_its_seeds(tmp_path):
    for number, target in enumerate(all_targets().values()):
        for other, seed in enumerate(target.seeds()):
            folder = tmp_path / f"{number}_{other}"
            folder.mkdir()
            target.read(seed, folder)  # a seed that is refused would leave the code behind it untried


def test_an_unknown_target_is_refused(tmp_path):
    with pytest.raises(InputError, match="no target"):
        run_fuzz(10, tmp_path, only=["banana"])


def test_a_reader_that_never_comes_back_to_python_ends_its_process_and_its_input_is_kept(tmp_path, monkeypatch):
    program = """
import hashlib, sys
from replay_ros.reliability.fuzz import run
from replay_ros.reliability.fuzz.target import Target
run._LAST_SECONDS = 0.2
def read(data, folder):
    (folder / "input").write_bytes(data)
    hashlib.pbkdf2_hmac("sha256", data, b"", 10**9)
run.all_targets = lambda: {"a target": Target("a target", lambda: [b"17"], read)}
run.main()
"""
    (tmp_path / "child.py").write_text(program)
    monkeypatch.setattr(fuzz_run, "_CHILD", (sys.executable, str(tmp_path / "child.py")))
    (fault,) = fuzz_run._run_child(tmp_path / "folder", ("a target", 3, 5))
    assert fault.startswith(f"!the process ended with signal {int(signal.SIGVTALRM)} (its last input is in ")
    (kept,) = (tmp_path / "folder" / "faults" / "a_target_5_last").rglob("input")
    assert kept.read_bytes() == b"17"


@pytest.mark.slow
def test_no_reader_fails_on_a_short_run(tmp_path):
    for target in all_targets().values():
        found = fuzz(target, target.seeds(), max(40, 300 // target.cost), 1, tmp_path)
        assert not found.counts, f"{target.name}: {dict(found.counts)}"


@pytest.mark.slow
def test_targets_run_in_processes_of_their_own_and_keep_what_they_found(tmp_path):
    report = run_fuzz(60, tmp_path, only=["TUM trajectory", "pairs.json"])
    assert report.holds, report.lines()
    assert [name for name in report.figures if name.endswith("inputs")] == [
        "TUM trajectory: inputs",
        "pairs.json: inputs",
    ]
    assert any((tmp_path / "corpus" / "TUM_trajectory").iterdir())
    assert run_fuzz(60, tmp_path, seed=100, only=["TUM trajectory"]).holds  # goes on from that corpus
