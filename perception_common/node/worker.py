"""One thread that works on items while others hand them in without waiting."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

Item = TypeVar("Item")


class Worker(Generic[Item]):
    """Runs `handle(item)` on a thread of its own, one item at a time, in the order of submission.

    mode "latest": one item waits at most; a newer one takes its place, and the older one is dropped. Latency stays
    flat under any overload. mode "every": up to `capacity` items wait; when that many do, a new one is refused, and
    that one counts as dropped.

    An exception in `handle` goes to `on_error(item, exception)`, on the same thread, and the thread lives on. The
    thread is no daemon: call `stop`. Every item submitted is counted once, as processed, failed or dropped.
    """

    def __init__(
        self,
        handle: Callable[[Item], None],
        on_error: Callable[[Item, Exception], None],
        mode: Literal["latest", "every"] = "latest",
        capacity: int = 100,
        name: str = "worker",
    ) -> None:
        self._handle = handle
        self._on_error = on_error
        self._replaces = mode == "latest"
        self._capacity = 1 if self._replaces else capacity
        self._waiting: deque[Item] = deque()
        self._tasks: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._busy = False
        self._stopped = False
        self._processed = self._failed = self._dropped = 0
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.start()

    @property
    def processed(self) -> int:
        """How many items were handled without an exception."""
        return self._processed

    @property
    def failed(self) -> int:
        """How many items ended in an exception."""
        return self._failed

    @property
    def dropped(self) -> int:
        """How many items were replaced, refused, or still waiting when the worker was stopped."""
        return self._dropped

    @property
    def pending(self) -> int:
        """How many items wait, not counting the one being handled."""
        return len(self._waiting)

    def submit(self, item: Item) -> bool:
        """Hand in an item without waiting; False when it was refused (queue full in mode "every", or stopped)."""
        with self._changed:
            is_full = len(self._waiting) >= self._capacity
            if self._stopped or (is_full and not self._replaces):
                self._dropped += 1
                return False
            if is_full:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(item)
            self._changed.notify_all()
        return True

    def call(self, task: Callable[[], None]) -> bool:
        """Hand in a task that runs on the thread before the items that wait; False when the worker was stopped.

        It is never dropped, and not counted; it must not raise.
        """
        with self._changed:
            if self._stopped:
                return False
            self._tasks.append(task)
            self._changed.notify_all()
        return True

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until no item waits or is being handled; say whether that came true."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._tasks and not self._busy, timeout)

    def stop(self, timeout: float | None = None) -> bool:
        """Drop what waits, let the item being handled and the tasks finish, and end the thread.

        Returns whether the thread ended within `timeout` seconds (None: as long as it takes). It may be called
        again, and from `handle` itself, where it does not wait.
        """
        with self._changed:
            self._stopped = True
            self._dropped += len(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._tasks or self._stopped)
                task = self._tasks.popleft() if self._tasks else None
                if task is None:
                    if self._stopped:
                        return
                    item = self._waiting.popleft()
                self._busy = True
            if task is not None:
                self._run_task(task)
                continue
            succeeded = self._attempt(item)
            del item  # a frame must not stay in memory until the next one comes
            with self._changed:
                self._processed += succeeded
                self._failed += not succeeded
                self._busy = False
                self._changed.notify_all()

    def _run_task(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception:
            logging.getLogger(__name__).exception("%s: a task failed", self._thread.name)
        with self._changed:
            self._busy = False
            self._changed.notify_all()

    def _attempt(self, item: Item) -> bool:
        try:
            self._handle(item)
        except Exception as error:
            try:
                self._on_error(item, error)
            except Exception:
                logging.getLogger(__name__).exception("%s: reporting an error failed", self._thread.name)
            return False
        return True
