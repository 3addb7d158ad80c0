import threading
from collections.abc import Iterator

import pytest

from perception_common.node.worker import Worker

SOON = 5.0  # seconds; timeout of a test


class Gate:
    """A handler that blocks on every item until it is released, and records the items."""

    def __init__(self) -> None:
        self.handled: list[int] = []
        self.errors: list[tuple[int, str]] = []
        self.entered = threading.Semaphore(0)
        self.let_through = threading.Semaphore(0)

    def handle(self, item: int) -> None:
        self.entered.release()
        assert self.let_through.acquire(timeout=SOON)
        if item < 0:
            raise RuntimeError("negative")
        self.handled.append(item)

    def on_error(self, item: int, error: Exception) -> None:
        self.errors.append((item, str(error)))

    def wait_until_entered(self) -> None:
        assert self.entered.acquire(timeout=SOON)

    def open(self, count: int = 100) -> None:
        self.let_through.release(count)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()
    names = {thread.name for thread in threading.enumerate()}
    assert "test worker" not in names, "a test left its worker running"


def start(gate: Gate, **options) -> Worker[int]:
    return Worker(gate.handle, gate.on_error, name="test worker", **options)


def test_latest_keeps_only_the_newest_item(gate):
    worker = start(gate)
    worker.submit(0)
    gate.wait_until_entered()
    assert [worker.submit(item) for item in (1, 2, 3)] == [True] * 3
    assert (worker.pending, worker.dropped) == (1, 2)
    gate.open()
    assert worker.wait_until_idle(SOON)
    assert gate.handled == [0, 3]
    assert (worker.processed, worker.dropped, worker.pending) == (2, 2, 0)
    assert worker.stop(SOON)


def test_every_handles_all_items_in_order_and_refuses_items_when_full(gate):
    worker = start(gate, mode="every", capacity=3)
    worker.submit(0)
    gate.wait_until_entered()
    assert [worker.submit(item) for item in (1, 2, 3, 4)] == [True, True, True, False]
    assert (worker.pending, worker.dropped) == (3, 1)
    gate.open()
    assert worker.wait_until_idle(SOON)
    assert gate.handled == [0, 1, 2, 3]
    assert worker.stop(SOON)


@pytest.mark.parametrize("mode", ["latest", "every"])
def test_an_exception_is_reported_and_the_thread_continues(gate, mode):
    gate.open()
    worker = start(gate, mode=mode)
    for item in (-1, 5):
        worker.submit(item)
        assert worker.wait_until_idle(SOON)
    assert gate.errors == [(-1, "negative")]
    assert gate.handled == [5]
    assert (worker.processed, worker.failed) == (1, 1)
    assert worker.stop(SOON)


def test_a_failing_report_does_not_end_the_thread(gate, caplog):
    def fail(item: int, error: Exception) -> None:
        raise ValueError("no log")

    gate.open()
    worker = Worker(gate.handle, fail, name="test worker")
    worker.submit(-1)
    assert worker.wait_until_idle(SOON)
    worker.submit(1)
    assert worker.wait_until_idle(SOON)
    assert gate.handled == [1]
    assert "reporting an error failed" in caplog.text
    assert worker.stop(SOON)


def test_stopping_drops_waiting_items_and_finishes_the_current_one(gate):
    worker = start(gate, mode="every")
    for item in range(4):
        worker.submit(item)
    gate.wait_until_entered()
    assert not worker.stop(timeout=0.0)  # the first item still blocks
    gate.open()
    assert worker.stop()
    assert gate.handled == [0]
    assert (worker.processed, worker.dropped, worker.pending) == (1, 3, 0)


def test_a_stopped_worker_refuses_items(gate):
    worker = start(gate)
    assert worker.stop(SOON)
    assert not worker.submit(1)
    assert worker.dropped == 1
    assert worker.stop(SOON)  # again


def test_a_handler_may_stop_its_own_worker():
    done = threading.Event()

    def handle(item: int) -> None:
        assert not worker.stop()  # returns at once: it is called from the thread itself
        done.set()

    worker = Worker(handle, lambda item, error: None, name="test worker")
    worker.submit(1)
    assert done.wait(SOON)
    assert worker.stop(SOON)


def test_waiting_for_idle_times_out(gate):
    worker = start(gate)
    assert worker.wait_until_idle(0.0)
    worker.submit(1)
    assert not worker.wait_until_idle(0.001)
    gate.open()
    assert worker.wait_until_idle(SOON)
    assert worker.stop(SOON)


@pytest.mark.parametrize("mode", ["latest", "every"])
def test_every_item_is_counted_once_under_many_submitters(mode):
    count, submitters = 300, 4

    def handle(item: int) -> None:
        if item % 7 == 0:
            raise RuntimeError("seventh")

    worker = Worker(handle, lambda item, error: None, mode=mode, capacity=10, name="test worker")
    threads = [threading.Thread(target=lambda: [worker.submit(i) for i in range(count)]) for _ in range(submitters)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worker.wait_until_idle(SOON)
    assert worker.processed + worker.failed + worker.dropped == count * submitters
    assert worker.processed > 0
    assert worker.stop(SOON)


def test_a_task_runs_before_waiting_items_and_is_not_dropped(gate, caplog):
    worker = start(gate)
    order: list[tuple[str, str]] = []

    def task(name: str) -> None:
        order.append((name, threading.current_thread().name))
        assert name != "wrong"

    worker.submit(0)
    gate.wait_until_entered()
    assert [worker.call(lambda name=name: task(name)) for name in ("first", "wrong", "last")] == [True] * 3
    assert [worker.submit(item) for item in (1, 2)] == [True] * 2  # the newer one replaces the older one
    gate.open()
    assert worker.wait_until_idle(SOON)
    assert order == [(name, "test worker") for name in ("first", "wrong", "last")]
    assert gate.handled == [0, 2]
    assert (worker.processed, worker.failed, worker.dropped) == (2, 0, 1)
    assert "a task failed" in caplog.text
    assert worker.stop(SOON)
    assert not worker.call(lambda: task("late"))


def test_tasks_are_done_before_the_thread_ends(gate):
    worker = start(gate)
    done = []
    worker.submit(0)
    gate.wait_until_entered()
    worker.call(lambda: done.append(1))
    assert not worker.stop(0.01)
    gate.open()
    assert worker.stop(SOON)
    assert done == [1]
