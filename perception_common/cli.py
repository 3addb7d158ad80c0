"""How a command ends: an error is one line on stderr and a non-zero exit status."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from perception_common.atomic_file import write_error
from perception_common.errors import InputError

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


def run(main: Callable[[list[str] | None], int | None]) -> NoReturn:
    """Call a command's `main(None)`, which reads sys.argv, and exit with the status that it returns (None: 0).

    InputError prints its text as one line on stderr and exits with 1, as does a disk that is full or read-only, of
    stdout too. Ctrl-C exits with 130, and a closed pipe (`command | head`) with 141. Other exceptions are bugs and keep
    their traceback.
    """
    try:
        status = main(None) or 0
        sys.stdout.flush()
    except InputError as error:
        print(f"{os.path.basename(sys.argv[0])}: {error}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        _drop_output()
        status = 141
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        _drop_output()
        print(f"{os.path.basename(sys.argv[0])}: {write_error(error.filename or 'the output', error)}", file=sys.stderr)
        status = 1
    sys.exit(status)


def _drop_output() -> None:
    """Let stdout lead nowhere: Python flushes it again at exit, which would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
