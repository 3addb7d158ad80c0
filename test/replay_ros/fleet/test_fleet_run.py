"""The rules of a fleet - what is kept, repeated, refused - with workers that are played by the test."""

import os
from collections import Counter, deque
from dataclasses import asdict, replace

import pytest

from perception_common.errors import InputError
from replay_ros.fleet.engines.engine import Ended
from replay_ros.fleet.record import failed, read_mark, record_from, stat_of, write_mark
from replay_ros.fleet.run import Fleet
from replay_ros.fleet.task import Refused, Task
from replay_ros.result.provenance import hash_of_files


class Workers:
    """An engine whose tasks are done at once, but for the deaths that are due to a task. submitted: names, in order."""

    def __init__(self, output, deaths=None, marks_before_death=False):
        self.output, self.deaths = output, Counter(deaths or {})
        self.marks_before_death = marks_before_death
        self.submitted, self.waiting, self.is_closed = [], deque(), False

    def submit(self, task, attempt):
        self.submitted.append(task.name)
        self.waiting.append((task, attempt))

    def next_ended(self):
        task, attempt = self.waiting.popleft()
        record = replace(failed(task, "", attempt), status="done", frames=1, inputs_sha256=hash_of_files(task.inputs))
        if self.deaths[task.name] > 0:
            self.deaths[task.name] -= 1
            if self.marks_before_death:
                write_mark(self.output, record)
            return Ended(task, None, "its worker was killed")
        if task.name != "bad":
            write_mark(self.output, record)
            return Ended(task, record)
        return Ended(task, failed(task, "no bag", attempt))

    def close(self):
        self.is_closed = True


@pytest.fixture
def fleet(tmp_path):
    """Returns a fleet in a folder, and the workers that it gets."""

    def make(kind="replay", workers=None, **options):
        workers = workers or Workers(tmp_path / "out")
        return Fleet(tmp_path / "out", kind, lambda: workers, **options), workers

    return make


def run(fleet, tasks):
    try:
        return fleet.run(tasks)
    finally:
        fleet.close()


def test_records_come_in_the_order_of_the_tasks_and_large_tasks_begin(fleet, task):
    made, workers = fleet()
    records = run(made, [task("small", 1), task("large", 100), task("medium", 10)])
    assert [record.name for record in records] == ["small", "large", "medium"]
    assert workers.submitted == ["large", "medium", "small"]
    assert workers.is_closed


def test_a_second_run_does_nothing_twice_and_starts_no_worker(fleet, task):
    first, _ = fleet()
    before = run(first, [task("a"), task("b")])
    second, workers = fleet()
    assert run(second, [task("a"), task("b")]) == before
    assert workers.submitted == []
    assert not workers.is_closed  # it was never started


def test_a_new_bag_is_added_to_those_that_are_done(fleet, task):
    run(fleet()[0], [task("a")])
    more, workers = fleet()
    assert [record.name for record in run(more, [task("a"), task("b")])] == ["a", "b"]
    assert workers.submitted == ["b"]


def test_a_bag_with_other_contents_is_done_again(fleet, task):
    run(fleet()[0], [task("a"), task("b")])
    task("a").source.write_bytes(b"other")
    again, workers = fleet()
    run(again, [task("a"), task("b")])
    assert workers.submitted == ["a"]


def test_a_bag_that_was_copied_again_is_not(fleet, task):
    run(fleet()[0], [task("a")])
    os.utime(task("a").source, (1, 1))
    again, workers = fleet()
    run(again, [task("a")])
    assert workers.submitted == []


def test_other_options_are_refused_by_name(fleet, task):
    run(fleet()[0], [task("a", limit=3)])
    with pytest.raises(InputError, match=r"another options\.limit; give --redo"):
        run(fleet()[0], [task("a", limit=4)])


def test_redo_replaces_what_was_made_with_other_options(fleet, task):
    run(fleet()[0], [task("a", limit=3)])
    again, workers = fleet(redo=True)
    (record,) = run(again, [task("a", limit=4)])
    assert workers.submitted == ["a"]
    assert record == read_mark(again.output, "a")


def test_a_task_is_repeated_as_often_as_allowed(fleet, task, tmp_path, capsys):
    made, _ = fleet(workers=Workers(tmp_path / "out", deaths={"a": 2, "b": 3}), retries=2)
    a, b = run(made, [task("a"), task("b")])
    assert (a.status, a.attempts) == ("done", 3)
    assert (b.status, b.attempts, b.cause) == ("failed", 3, "its worker was killed, 3 times")
    assert capsys.readouterr().out.count("; attempt ") == 4


def test_what_failed_is_tried_again_by_the_next_run(fleet, task):
    (bad, good) = run(fleet()[0], [task("bad"), task("good")])
    assert (bad.status, bad.cause, good.status) == ("failed", "no bag", "done")
    again, workers = fleet()
    run(again, [task("bad"), task("good")])
    assert workers.submitted == ["bad"]


def test_a_task_whose_worker_dies_after_the_work_is_not_repeated(fleet, task, tmp_path):
    made, workers = fleet(workers=Workers(tmp_path / "out", deaths={"a": 1}, marks_before_death=True))
    (record,) = run(made, [task("a")])
    assert record.status == "done"
    assert workers.submitted == ["a"]


def test_a_broken_mark_counts_as_none(fleet, task, tmp_path):
    run(fleet()[0], [task("a")])
    (tmp_path / "out" / "done" / "a.json").write_text("{")
    again, workers = fleet()
    run(again, [task("a")])
    assert workers.submitted == ["a"]


def test_a_folder_with_other_files_is_refused(fleet, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("")
    with pytest.raises(InputError, match=r"holds thesis\.tex"):
        fleet()


def test_a_folder_of_another_kind_is_refused(fleet, task):
    run(fleet()[0], [task("a")])
    with pytest.raises(InputError, match="holds a fleet of `replay`"):
        fleet("evaluate motion")


def test_two_fleets_do_not_write_to_one_folder(fleet):
    first, _ = fleet()
    with pytest.raises(InputError, match="another `yolc fleet`"):
        fleet()
    first.close()
    fleet()[0].close()


def test_the_state_of_files_depends_on_name_size_and_time(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"one")
    before = stat_of([file])
    assert stat_of([file]) == before
    os.utime(file, (5, 5))
    after = stat_of([file])
    assert after != before
    file.rename(tmp_path / "b")
    assert len({before, after, stat_of([tmp_path / "b"]), stat_of([file])}) == 4


OPEN_PLAN = '{"schema": "yolc_ros/fleet/1"'


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", OPEN_PLAN + "}", OPEN_PLAN + ', "kind": "replay", "setups": {"a": 5}}']
)
def test_a_damaged_plan_is_refused(fleet, tmp_path, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "fleet.json").write_text(content)
    with pytest.raises(InputError, match=r"fleet.json"):
        fleet()


@pytest.mark.parametrize(
    "damage", [{"frames": "many"}, {"status": "perhaps"}, {"metrics": [{"name": 1}]}, {"files": 3}], ids=str
)
def test_a_damaged_record_is_refused(tmp_path, damage):
    record = asdict(failed(Task("a", tmp_path, (), Refused(""), {}), "no bag", 1))
    with pytest.raises(InputError, match="no record of a fleet"):
        record_from(record | damage)


def test_the_best_value_of_a_metric_is_a_word_or_a_number(tmp_path):
    record = asdict(failed(Task("a", tmp_path, (), Refused(""), {}), "no bag", 1))
    metrics = [{"name": "m", "unit": "", "value": 1, "best": best} for best in (1.0, "high")]
    assert [each.best for each in record_from(record | {"metrics": metrics}).metrics] == [1.0, "high"]
