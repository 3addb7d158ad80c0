"""A worker thread with a queue; submitting to it never blocks."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

Item = TypeVar("Item")


class Worker(Generic[Item]):
    """Runs `handle(item)` on its own thread, one item at a time, in the order of submission.

    mode "latest": at most one item waits; a newer one replaces it, and the replaced one is dropped, so that latency
    stays bounded under any load. mode "every": up to `capacity` items wait; a full queue refuses new items, which
    count as dropped.

    An exception in `handle` is passed to `on_error(item, exception)` on the same thread, which then takes the next
    item. The thread is not a daemon: call `stop`. Every submitted item is counted once: processed, failed or dropped.
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
        """Number of items that were handled without an exception."""
        return self._processed

    @property
    def failed(self) -> int:
        """Number of items whose handling raised an exception."""
        return self._failed

    @property
    def dropped(self) -> int:
        """Number of items that were replaced, refused, or still waiting when the worker was stopped."""
        return self._dropped

    @property
    def pending(self) -> int:
        """Number of waiting items, without the one being handled."""
        return len(self._waiting)

    def submit(self, item: Item) -> bool:
        """Queue an item without blocking; False when it was refused (stopped, or the queue of mode "every" is full)."""
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
        """Queue a task that runs on the thread before the waiting items; False when the worker was stopped.

        A task is never dropped and not counted. It must not raise.
        """
        with self._changed:
            if self._stopped:
                return False
            self._tasks.append(task)
            self._changed.notify_all()
        return True

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until nothing is queued or being handled; return whether that happened."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._tasks and not self._busy, timeout)

    def stop(self, timeout: float | None = None) -> bool:
        """Drop the waiting items, let the item in progress and the tasks finish, and end the thread.

        Returns whether the thread ended within `timeout` seconds (None: no limit). It may be called again, and from
        `handle` itself, where it does not wait.
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
            del item  # free the frame now, not when the next one arrives
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
