"""Returns free memory of the heap to the system.

Keyframes and the arrays of a network's layers lie side by side in glibc's heap, so that what is freed leaves holes,
which glibc keeps and which grow for hours.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

FREE_BYTES = 256 << 20  # of resident free memory that stay, as the next image uses them again; empirical
RETURN_SECONDS = 60.0  # between two looks at the heap: the pages of one pass come back at a cost below 1 % of a core
_STATUS = Path("/proc/self/status")


class _HeapInfo(ctypes.Structure):
    """struct mallinfo2 of glibc, from malloc.h."""

    _fields_ = [
        *[(name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks")],
        *[(name, ctypes.c_size_t) for name in ("fsmblks", "uordblks", "fordblks", "keepcost")],
    ]


def resident_free_bytes() -> int:
    """Return how much anonymous memory is resident beyond what the heap has given out; 0 where this is not glibc."""
    try:
        information = ctypes.CDLL(None).mallinfo2
        fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        resident = int(fields["RssAnon"].split()[0]) << 10
    except (AttributeError, KeyError, OSError):
        return 0
    information.restype = _HeapInfo
    heap = information()
    return max(0, resident - heap.uordblks - heap.hblkhd)


def return_free_memory(keep: int = FREE_BYTES) -> bool:
    """Return all free memory of the heap to the system when more than `keep` bytes of it are resident."""
    if resident_free_bytes() <= keep:
        return False
    return bool(ctypes.CDLL(None).malloc_trim(0))
