"""Processes are found, and ended as a user would end them."""

import signal
import subprocess
import sys

import pytest

from perception_common.errors import InputError
from replay_ros.live.processes import find_executable, hear_sigint, stop

pytestmark = pytest.mark.slow

POLITE = "import time\ntry:\n  print('up', flush=True)\n  time.sleep(60)\nexcept KeyboardInterrupt: raise SystemExit(7)"
STUBBORN = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)"


def started(code):
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True, preexec_fn=hear_sigint
    )
    process.stdout.readline()
    return process


def test_sigint_first():
    process = started(POLITE)
    assert stop(process) == 7
    assert stop(process) == 7  # once more changes nothing


def test_force_where_it_does_not_help():
    assert stop(started(STUBBORN), timeout=0.2) == -signal.SIGKILL


def test_an_executable_that_is_not_installed():
    with pytest.raises(InputError, match="run `make`"):
        find_executable("no_such_node")
