"""A worker thread that handles items and requests in turn; handing them over never blocks."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Item = TypeVar("Item")
Refusal = Literal["busy", "stopped"]
MAX_REQUESTS = 8  # a request waits for as many others, and for an image before each: some seconds on a slow computer


@dataclass(frozen=True)
class Request:
    """A question that gets exactly one answer: from `answer()` on the worker thread, or from `refuse(why)` at once.

    "busy": too many requests wait. "stopped": the worker was stopped, before or while the request waited. Neither
    function may raise.
    """

    answer: Callable[[], None]
    refuse: Callable[[Refusal], None]


class Worker(Generic[Item]):
    """Runs `handle(item)` on its own thread, one item at a time, in the order of submission.

    mode "latest": at most one item waits; a newer one replaces it, and the replaced one is dropped, so that latency
    stays bounded under any load. mode "every": up to `capacity` items wait; a full queue refuses new items, which
    count as dropped.

    An exception in `handle` is passed to `on_error(item, exception)` on the same thread, which then takes the next
    item. The thread is not a daemon: call `stop`. Every submitted item is counted once: processed, failed or dropped.

    Requests wait in a queue of their own, at most `MAX_REQUESTS` of them. While both items and requests wait they take
    turns, so that neither a flood of requests nor a fast camera starves the other.
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
        self._requests: deque[Request] = deque()
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
    def is_stopped(self) -> bool:
        """Whether `stop` was called; the thread may still handle its last item."""
        return self._stopped

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

    def ask(self, request: Request) -> None:
        """Queue a request without blocking, or refuse it."""
        with self._changed:
            refusal: Refusal | None = "stopped" if self._stopped else None
            if refusal is None and len(self._requests) >= MAX_REQUESTS:
                refusal = "busy"
            if refusal is None:
                self._requests.append(request)
                self._changed.notify_all()
        if refusal is not None:
            request.refuse(refusal)

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until nothing is queued or being handled; return whether that happened."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._requests and not self._busy, timeout)

    def stop(self, timeout: float | None = None) -> bool:
        """Drop the waiting items, refuse the waiting requests, let what is in progress finish, and end the thread.

        Returns whether the thread ended within `timeout` seconds (None: no limit). It may be called again, and from
        `handle` itself, where it does not wait.
        """
        with self._changed:
            self._stopped = True
            self._dropped += len(self._waiting)
            self._waiting.clear()
            requests = tuple(self._requests)
            self._requests.clear()
            self._changed.notify_all()
        for request in requests:
            request.refuse("stopped")
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        is_request = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._requests or self._stopped)
                if self._stopped:
                    return
                is_request = bool(self._requests) and not (self._waiting and is_request)
                work = self._requests.popleft() if is_request else self._waiting.popleft()
                self._busy = True
            if isinstance(work, Request):
                self._answer(work)
            else:
                self._attempt(work)
            del work  # free the frame now, not when the next one arrives
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _answer(self, request: Request) -> None:
        try:
            request.answer()
        except Exception:
            logging.getLogger(__name__).exception("%s: answering a request failed", self._thread.name)

    def _attempt(self, item: Item) -> None:
        try:
            self._handle(item)
        except Exception as error:
            self._failed += 1
            try:
                self._on_error(item, error)
            except Exception:
                logging.getLogger(__name__).exception("%s: reporting an error failed", self._thread.name)
        else:
            self._processed += 1
