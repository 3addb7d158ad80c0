"""How a command ends: an error is one line on stderr and a non-zero exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from perception_common.errors import InputError


def run(main: Callable[[list[str] | None], int | None]) -> NoReturn:
    """Call a command's `main(None)`, which reads sys.argv, and exit with the status that it returns (None: 0).

    InputError prints its text as one line on stderr and exits with 1, Ctrl-C exits with 130, and a closed pipe
    (`command | head`) with 141. Other exceptions are bugs and keep their traceback.
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
        # Python flushes stdout again at exit, which must not fail on the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    sys.exit(status)
