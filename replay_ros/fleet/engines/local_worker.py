"""A worker process of `LocalEngine`: takes tasks from a connection and returns their records.

It ends when its connection does, also in the middle of a task: nothing goes on when the process that started it dies.
"""

from __future__ import annotations

import os
import signal
import threading
import traceback
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from perception_common.cli import quick_imports


def main(descriptor: int) -> None:
    """Work until the connection ends. descriptor: of our end of the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    tasks: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
    threading.Thread(target=_receive, args=(connection, tasks), daemon=True).start()
    with quick_imports():
        from replay_ros.fleet.perform import perform  # takes seconds, in which the end of the connection must count
    while True:
        connection.send(perform(*tasks.get()))


def _receive(connection: Connection, tasks: SimpleQueue[tuple[Any, ...]]) -> None:
    try:
        while True:
            tasks.put(connection.recv())
    except (EOFError, OSError):
        os._exit(0)
    except BaseException:  # as a task that cannot be unpickled: nobody else would end this process
        traceback.print_exc()
        os._exit(1)
