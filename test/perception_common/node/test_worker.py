import threading
import time
from collections.abc import Iterator

import pytest

from perception_common.node.worker import MAX_REQUESTS, Request, Worker

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


class Questions:
    """Requests to a worker; `answers` lists what each of them got, in the order of the answers."""

    def __init__(self, worker: Worker[int], log: list[object]) -> None:
        self.worker, self.log = worker, log
        self.answers: list[tuple[int, str]] = []

    def ask(self, number: int) -> None:
        def answer() -> None:
            self.log.append(f"request {number}")
            self.answers.append((number, "answered"))

        self.worker.ask(Request(answer, lambda why: self.answers.append((number, why))))


def test_requests_and_items_take_turns(gate):
    worker = start(gate, mode="every")
    log: list[object] = gate.handled  # items and requests in one list
    questions = Questions(worker, log)
    worker.submit(0)
    gate.wait_until_entered()
    for number in range(1, 4):
        worker.submit(number)
        questions.ask(number)
    questions.ask(4)
    gate.open()
    assert worker.wait_until_idle(SOON)
    assert log == [0, "request 1", 1, "request 2", 2, "request 3", 3, "request 4"]
    assert worker.stop(SOON)


def test_a_full_queue_of_requests_refuses_more_of_them_and_still_takes_items(gate):
    worker = start(gate)
    questions = Questions(worker, [])
    worker.submit(0)
    gate.wait_until_entered()
    for number in range(MAX_REQUESTS + 3):
        questions.ask(number)
    assert questions.answers == [(MAX_REQUESTS + extra, "busy") for extra in range(3)]
    assert worker.submit(1)
    gate.open()
    assert worker.wait_until_idle(SOON)
    assert sorted(questions.answers) == [
        *((number, "answered") for number in range(MAX_REQUESTS)),
        *((MAX_REQUESTS + extra, "busy") for extra in range(3)),
    ]
    assert gate.handled == [0, 1]
    assert (worker.processed, worker.dropped) == (2, 0)
    assert worker.stop(SOON)


def test_stopping_refuses_waiting_requests_at_once_and_later_ones_too(gate):
    worker = start(gate)
    questions = Questions(worker, [])
    worker.submit(0)
    gate.wait_until_entered()
    for number in (1, 2):
        questions.ask(number)
    assert not worker.stop(0.0)  # the item still blocks
    questions.ask(3)
    assert questions.answers == [(1, "stopped"), (2, "stopped"), (3, "stopped")]
    assert worker.is_stopped
    gate.open()
    assert worker.stop(SOON)


def test_a_failing_answer_does_not_end_the_thread(gate, caplog):
    def fail() -> None:
        raise ValueError("no answer")

    gate.open()
    worker = start(gate)
    worker.ask(Request(fail, lambda why: None))
    assert worker.wait_until_idle(SOON)
    worker.submit(1)
    assert worker.wait_until_idle(SOON)
    assert gate.handled == [1]
    assert "answering a request failed" in caplog.text
    assert worker.stop(SOON)


def test_every_request_gets_one_answer_under_many_askers_and_a_stop():
    count, askers = 200, 4
    worker = Worker[int](lambda item: None, lambda item, error: None, name="test worker")
    questions = [Questions(worker, []) for _ in range(askers)]
    threads = [threading.Thread(target=lambda q=q: [q.ask(i) for i in range(count)]) for q in questions]
    for thread in threads:
        thread.start()
    time.sleep(0.005)
    assert worker.stop(SOON)
    for thread in threads:
        thread.join()
    for asker in questions:
        assert sorted(number for number, _ in asker.answers) == list(range(count))
