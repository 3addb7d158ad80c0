"""Free memory of the heap is returned, in a process of its own whose heap has holes."""

import subprocess
import sys

import pytest

from perception_common.node.guards import memory

pytestmark = pytest.mark.slow

HOLES = """
import numpy as np
from perception_common.node.guards.memory import resident_free_bytes, return_free_memory
from perception_common.node.transport import raise_malloc_thresholds

def resident():  # an independent figure: pages of /proc/self/statm
    return int(open("/proc/self/statm").read().split()[1]) * 4096 >> 20

assert raise_malloc_thresholds()
blocks = [np.ones(1 << 17) for _ in range(300)]  # 1 MiB each
kept = blocks[::2]
del blocks
before, free = resident(), resident_free_bytes() >> 20
assert not return_free_memory(keep=1 << 30)
assert resident() >= before - 5
assert return_free_memory(keep=64 << 20)
print(before - resident(), free, resident_free_bytes() >> 20, sum(int(each.sum()) for each in kept))
"""


def test_holes_in_the_heap_are_returned_and_what_is_in_use_stays():
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    returned, free_before, free_after, total = map(int, done.stdout.split())
    assert total == 150 << 17
    assert 130 <= returned <= 170
    assert free_before >= 145
    assert free_after <= free_before - 130


def test_other_systems_are_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "no such file")
    assert memory.resident_free_bytes() == 0
    assert not memory.return_free_memory()
