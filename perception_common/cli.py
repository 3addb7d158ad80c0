"""How a command starts and ends: quick imports; a non-zero exit status and one line on stderr for an error."""

from __future__ import annotations

import errno
import gc
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from perception_common.atomic_file import write_error
from perception_common.errors import InputError

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
# Of a path that the user gave, and that nobody expected to be of another kind or closed to this user.
_PATH_ERRORS = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends a command as Ctrl-C does, so that whatever it began is cleaned up."""


def number(text: str) -> float:
    """Convert an option's value to a finite number, as `type` of argparse. Raises ValueError."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import without garbage collections: these take an eighth of the time of importing torch and find nothing.

    What exists at the end, above all the modules, is then left out of collections, which with torch pause a process for
    0.1 s otherwise. Ctrl-C and SIGTERM end the process at once meanwhile: there is nothing to clean up, and libraries
    turn an exception in the midst of their import into one of their own.
    """
    gc.disable()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, end_at_once)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        gc.enable()
        gc.freeze()


def end_at_once(number: int, frame: FrameType | None) -> NoReturn:
    """Handle a signal by the end of the process, with the status that shells give it."""
    os._exit(128 + number)


def run(main: Callable[[list[str] | None], int | None]) -> NoReturn:
    """Call a command's `main(None)`, which reads sys.argv, and exit with the status that it returns (None: 0).

    InputError prints its text as one line on stderr and exits with 1, as does a disk that is full or read-only, of
    stdout too, and a path without permission or of the wrong kind. Ctrl-C exits with 130, SIGTERM with 143 and a
    closed pipe (`command | head`) with 141, all without a traceback. Other exceptions are bugs and keep theirs. `main`
    should import what takes long, within `quick_imports`, so that this also holds in the first seconds.
    """
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status = main(None) or 0
        sys.stdout.flush()
    except InputError as error:
        print(f"{os.path.basename(sys.argv[0])}: {error}", file=sys.stderr)
        status = 1
    except Terminated:
        status = 143
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        _drop_output()
        status = 141
    except OSError as error:
        if error.errno in _DISK_ERRORS:
            _drop_output()
            problem = str(write_error(error.filename or "the output", error))
        elif error.errno in _PATH_ERRORS and error.filename is not None:
            problem = f"{error.filename} cannot be used ({error.strerror}); check the path and its permissions"
        else:
            raise
        print(f"{os.path.basename(sys.argv[0])}: {problem}", file=sys.stderr)
        status = 1
    for number in (signal.SIGINT, signal.SIGTERM):  # one more signal would interrupt the end of the interpreter
        signal.signal(number, signal.SIG_IGN)
    sys.exit(status)


def _drop_output() -> None:
    """Let stdout lead nowhere: Python flushes it again at exit, which would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated
