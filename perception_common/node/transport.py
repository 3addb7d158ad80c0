"""Process settings for large images: memory allocation, and the shared memory of Fast DDS."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from perception_common.resources import find_config

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # parameters of mallopt, from glibc's malloc.h
_MMAP_THRESHOLD = 32 << 20  # bytes; glibc's maximum on 64-bit systems
_TRIM_THRESHOLD = 512 << 20  # bytes; empirical
_PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
_PROFILE_NEW_NAME = "FASTDDS_DEFAULT_PROFILES_FILE"  # the name from Fast DDS 3 on
_SHARED_MEMORY = 72 << 20  # bytes of one process with our profile: its segment of 64 MiB, and ports


def raise_malloc_thresholds() -> bool:
    """Let glibc reuse the memory of freed images instead of returning it to the system, which costs page faults.

    Blocks up to 32 MiB come from the heap, which keeps up to 512 MiB of free memory. Returns False without glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)) and bool(mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD))


def use_large_image_profile(shared_memory: Path = Path("/dev/shm")) -> str | None:
    """Make Fast DDS use our profile, whose shared-memory segment holds whole frames, unless the user set another one.

    Call it before rclpy.init; other middlewares ignore it. Returns None, or a sentence to log when the profile is not
    used because `shared_memory` is too small for the segment: Fast DDS would then use no shared memory at all.
    """
    if os.environ.get(_PROFILE) or os.environ.get(_PROFILE_NEW_NAME):
        return None
    profile = find_config("fastdds_large_images.xml")
    free = _free_bytes(shared_memory)
    if free < _SHARED_MEMORY:
        return (
            f"{shared_memory} has {free >> 20} MB free, large images need {_SHARED_MEMORY >> 20} MB: frames may be "
            "lost; give the container more (docker run --shm-size=512m)"
        )
    os.environ[_PROFILE] = str(profile)
    return None


def _free_bytes(folder: Path) -> int:
    try:
        usage = os.statvfs(folder)
    except OSError:
        return 0
    return usage.f_bavail * usage.f_frsize
