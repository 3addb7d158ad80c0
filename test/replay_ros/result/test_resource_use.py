"""Resource samples of processes with a known load."""

import subprocess
import sys
import time

import pytest

from replay_ros.result.resources import sampling

pytestmark = pytest.mark.slow


def test_cpu_and_memory_of_a_child_are_sampled():
    child = "import time; block = bytearray(200 * 2**20)\nwhile time.process_time() < 1.0: pass"
    with sampling(0.1) as alone:
        time.sleep(0.4)
    with sampling(0.1) as beside:
        subprocess.run([sys.executable, "-c", child], check=True)
    quiet, busy = alone.use(), beside.use()
    assert max(busy.memory_mib) > max(quiet.memory_mib) + 150
    spent = (
        sum(c * (b - a) for c, a, b in zip(busy.cpu_percent, (0.0, *busy.seconds), busy.seconds, strict=False)) / 100
    )
    assert spent > 0.5  # CPU seconds; the last sample may be a little before the end
    assert list(busy.seconds) == sorted(busy.seconds)


def test_without_samples_the_use_is_none():
    with sampling(60.0) as sampler:
        pass
    assert sampler.use() is None
