"""How our commands end: one line on stderr and a meaningful status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from perception_common.errors import InputError


def run(main: Callable[[list[str] | None], int | None]) -> NoReturn:
    """Run a command's `main(argv)` on the process's arguments and exit with the status that it returns (None: 0).

    InputError ends with its text as one line on stderr and status 1, Ctrl-C with 130, a reader of our output that
    went away (`| head`) quietly with 141. Other exceptions are defects and keep their traceback.
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
        # Python flushes stdout once more at exit; there is nobody to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    sys.exit(status)
