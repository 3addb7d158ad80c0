"""Prepares batches on threads while the network works on the previous one (OpenCV and numpy release the GIL)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def prefetch(make: Callable[[int], Item], numbers: Iterable[int], threads: int, ahead: int = 2) -> Iterator[Item]:
    """Yield make(number) in the order of the numbers; `threads` threads prepare up to `ahead` items in advance.

    With 0 threads each item is made on demand. `make` must depend on its number only, so that a resumed run sees the
    same items. An exception in `make` is raised when its item is due.
    """
    if threads == 0:
        yield from map(make, numbers)
        return
    waiting: deque[Future[Item]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="prefetch")
    try:
        for number in numbers:
            waiting.append(pool.submit(make, number))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
